"""Chat templates: how turns become text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

EOS = "<｜end▁of▁sentence｜>"


@dataclass(frozen=True)
class Template:
    """Text around the messages of a conversation, as format strings over `role`, `text` and `system`.

    Args:
        roles: names of the asking and of the answering side.
        even: messages 0, 2, ...
        odd: messages 1, 3, ...
        empty: messages without text.
        system: the system text, if there is one.
        as_one_text: whether a conversation is tokenised as the one text that it is shown as, in which an answer goes on
            after a blank; if not, every question and every answer is on its own, and the system text is only shown.
        system_text: with `as_one_text`, the system text of conversations that bring none.
    """

    roles: tuple[str, str]
    even: str
    odd: str
    empty: str = ""
    system: str = ""
    as_one_text: bool = False
    system_text: str = ""

    def prompt(self, messages: Sequence[tuple[str, str]], *, system: str = "") -> str:
        """Text of messages given as (role, text)."""
        head = self.system.format(system=system) if system else ""
        return head + "".join(
            (self.empty if not text else self.odd if index % 2 else self.even).format(role=role, text=text)
            for index, (role, text) in enumerate(messages)
        )

    def question(self, text: str) -> str:
        """Text of one user turn, up to where the answer begins."""
        return self.prompt([(self.roles[0], text), (self.roles[1], "")])


TEMPLATES = {
    "deepseek": Template(
        ("<|User|>", "<|Assistant|>"),
        even="{role}: {text}\n\n",
        odd="{role}: {text}" + EOS,
        empty="{role}:",
        system="{system}\n\n",
    ),
    "deepseekv2": Template(
        ("|<User>|", "|<Assistant>|"), even="{text}" + EOS, odd="{text}" + EOS, system="{system}\n<｜sft▁end｜>"
    ),
    "plain": Template(("", ""), even="{text}", odd="{text}"),
    "alignment": Template(("", ""), even="<image>\n", odd="{text}"),
}
"""DeepSeek-VL2's official templates by name; the released checkpoints use "deepseek"."""

DEEPSEEK_VL = Template(
    ("User", "Assistant"),
    even="{role}: {text}\n\n",
    odd="{role}: {text}" + EOS,
    empty="{role}:",
    system="{system}\n\n",
    as_one_text=True,
    system_text="You are a helpful language and vision assistant. You are able to understand the visual content that "
    "the user provides, and assist the user with a variety of tasks using natural language.",
)
"""What DeepSeek-VL calls "deepseek"."""

CHAT_TEMPLATE = (
    "{{- bos_token -}}"
    "{%- for message in messages -%}"
    "{%- if message['content'] is string -%}{%- set text = message['content'] | trim -%}"
    "{%- else -%}"
    "{%- set joined = namespace(text='') -%}"
    "{%- for part in message['content'] -%}"
    "{%- if not loop.first -%}{%- set joined.text = joined.text + '\\n' -%}{%- endif -%}"
    "{%- set joined.text = joined.text + (part['text'] if part['type'] == 'text' else '<image>') -%}"
    "{%- endfor -%}"
    "{%- set text = joined.text | trim -%}"
    "{%- endif -%}"
    "{%- if message['role'] in ['user', '<|User|>'] -%}"
    "{{- '<|User|>:' + (' ' + text + '\\n\\n' if text else '') + '<|Assistant|>:' -}}"
    "{%- elif message['role'] in ['assistant', '<|Assistant|>'] -%}{{- text + eos_token -}}"
    "{%- elif message['role'] == 'system' and loop.first -%}{{- text -}}"
    "{%- else -%}{{- raise_exception('unknown role, or a system message that is not the first') -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
)
"""The "deepseek" template in Jinja, for engines that read `chat_template` from tokenizer_config.json.

It gives the text that the processor's ids stand for. An engine that tokenises this text in one go gets the same ids
for a single question; in longer conversations the processor, as the official one, tokenises every turn on its own.
"""
