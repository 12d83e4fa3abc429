"""Conversations: turns with checked roles, and the spans of text that they are tokenised as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vlkit.errors import InputError, did_you_mean
from vlkit.processing.image import Picture
from vlkit.processing.templates import EOS, Template

Role = Literal["system", "user", "assistant"]

ROLES: dict[str, Role] = {
    "user": "user",
    "User": "user",
    "<|User|>": "user",
    "assistant": "assistant",
    "Assistant": "assistant",
    "<|Assistant|>": "assistant",
    "system": "system",
    "deepseekapi-sys": "system",
}
"""Role names that a conversation may use, and what they mean."""


@dataclass(frozen=True)
class Turn:
    """One message.

    Args:
        role: who speaks.
        name: the role as the conversation names it.
        text: content without outer white space.
    """

    role: Role
    name: str
    text: str


@dataclass(frozen=True)
class Span:
    """Text that is tokenised on its own.

    Args:
        text: may hold image tags.
        learned: whether its tokens are labels.
        ends: whether the end-of-sentence token follows.
    """

    text: str
    learned: bool
    ends: bool = False


def read_conversation(conversation: Sequence[Any], *, image_token: str) -> tuple[list[Turn], list[Picture] | None]:
    """Turns of a conversation in the official form, and the pictures that its turns carry.

    Args:
        conversation: mappings with "role" and "content" and, optionally, "images", a list of pictures.
        image_token: tag that stands for a picture; allowed in user turns only.

    Returns:
        The turns, and the pictures of all turns in order, None if no turn has the key "images".

    Raises:
        InputError: if it is empty, a turn is malformed, a role is unknown, a system turn is not the first, or an
            image tag stands outside the user's turns.
    """
    if not isinstance(conversation, list | tuple) or not conversation:
        raise InputError(
            f"the conversation is {conversation!r:.80}",
            rule="a conversation is a list of at least one message",
            remedy='for instance [{"role": "<|User|>", "content": "Hello"}, {"role": "<|Assistant|>", "content": ""}]',
        )
    turns = [_read_turn(message, index, image_token) for index, message in enumerate(conversation)]
    carried = [message["images"] for message in conversation if "images" in message]
    for pictures in carried:
        if not isinstance(pictures, list | tuple):
            raise InputError(f'"images" is a {type(pictures).__name__}', rule='"images" is a list', remedy="wrap it")
    return turns, [picture for pictures in carried for picture in pictures] if carried else None


def _read_turn(message: Any, index: int, image_token: str) -> Turn:
    check_keys(message, ("role", "content", "images"))
    name, content = message.get("role"), message.get("content")
    if not isinstance(name, str) or name not in ROLES:
        raise InputError(
            f"message {index} has the role {name!r:.80}",
            rule=f"roles are {', '.join(map(repr, ROLES))}",
            remedy=did_you_mean(str(name), ROLES),
        )
    if not isinstance(content, str):
        raise InputError(
            f'"content" of message {index} is a {type(content).__name__}',
            rule="contents are strings",
            remedy="pass content in parts as messages=",
        )
    turn = Turn(ROLES[name], name, content.strip())
    if turn.role == "system" and index:
        raise InputError(f"message {index} is a system message", rule="only the first message can be one")
    if turn.role != "user" and image_token in turn.text:
        raise InputError(f"message {index} ({name}) holds {image_token}", rule="image tags stand in user messages only")
    return turn


def check_keys(message: Any, known: Sequence[str]) -> None:
    """Refuse what is no mapping or has other keys than `known`.

    Raises:
        InputError: naming the nearest key.
    """
    if not isinstance(message, Mapping):
        raise InputError(f"a message is a {type(message).__name__}", rule="messages are mappings")
    for key in message:
        if key not in known:
            raise InputError(f"a message has no key {key!r:.80}", remedy=did_you_mean(str(key), known))


def spans(turns: Sequence[Turn], template: Template, *, mask_prompt: bool) -> list[Span]:
    """Spans of a conversation: a question ends where its answer begins, an answer ends the sentence.

    Args:
        turns: the conversation.
        template: text around a user's turn.
        mask_prompt: whether only answers are labels.
    """
    return [
        Span(turn.text, learned=True, ends=True)
        if turn.role == "assistant"
        else Span(template.question(turn.text) if turn.role == "user" else turn.text, learned=not mask_prompt)
        for turn in turns
    ]


def spans_of_text(turns: Sequence[Turn], template: Template, *, mask_prompt: bool, system: str = "") -> list[Span]:
    """Spans of a conversation that is one text: it is cut where an answer begins or ends, and nowhere else.

    Args:
        turns: the conversation; a system turn counts before `system`, and that before the template's own text.
        template: text around turns; what stands between them follows from who speaks.
        mask_prompt: whether only answers are labels.
        system: system text.
    """
    asking, answering = template.roles
    first, found = turns[0], []
    text = template.prompt([], system=first.text if first.role == "system" else system or template.system_text)
    for turn in turns:
        if turn.role == "user":
            text += template.prompt([(asking, turn.text)])
        elif turn.role == "assistant":
            found.append(Span(text + template.prompt([(answering, "")]), learned=not mask_prompt))
            found.append(Span(f" {turn.text}" if turn.text else "", learned=True, ends=True))
            text = ""
    return [*found, Span(text, learned=not mask_prompt)] if text else found


def joined(spans: Sequence[Span]) -> str:
    """The one text that spans make up; an answer that is still to be written does not end the sentence."""
    return "".join(span.text + EOS * (span.ends and bool(span.text)) for span in spans)


def displayed(turns: Sequence[Turn], template: Template, *, system: str = "") -> str:
    """The official `sft_format`: the conversation as one text, roles as they are named, for people to read.

    It is not always what is tokenised: `system` is only shown, and separators alternate by position.
    """
    return template.prompt([(turn.name, turn.text) for turn in turns], system=system).strip()
