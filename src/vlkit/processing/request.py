"""What a user asks for, in any of its forms, as spans of text and the pictures that belong to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vlkit.errors import InputError
from vlkit.processing.chat import Span, displayed, joined, read_conversation, spans, spans_of_text
from vlkit.processing.image import Picture
from vlkit.processing.messages import to_conversation
from vlkit.processing.templates import Template


@dataclass(frozen=True)
class Request:
    """One sample before anything is tokenised or opened.

    Args:
        sft_format: the whole text, for people to read.
        spans: pieces that are tokenised on their own.
        pictures: pictures in the order of their tags.
        surplus_allowed: whether there may be more pictures than tags.
    """

    sft_format: str
    spans: list[Span]
    pictures: Sequence[Picture]
    surplus_allowed: bool = False


@dataclass(frozen=True)
class RequestReader:
    """Reads prompts, conversations and messages.

    Args:
        template: text around turns.
        image_token: tag that stands for a picture.
        mask_prompt: whether only answers are labels.
    """

    template: Template
    image_token: str
    mask_prompt: bool

    def prompt(self, text: Any, pictures: Sequence[Picture] | None, *, as_turn: bool, system: str) -> Request:
        """Request of a text, taken as it is or, with `as_turn`, as one user's turn.

        Raises:
            InputError: if it is no text.
        """
        if not isinstance(text, str):
            raise InputError(f"the prompt is a {type(text).__name__}", rule="a prompt is a text")
        if as_turn:
            asking, answering = self.template.roles
            system = system or self.template.system_text
            text = self.template.prompt([(asking, text.strip()), (answering, "")], system=system).strip()
        return Request(text, [Span(text, learned=True, ends=True)], pictures or [])

    def conversation(self, turns: Any, pictures: Sequence[Picture] | None, *, system: str) -> Request:
        """Request of a conversation in the official form; pictures that its turns carry count if none are given.

        Raises:
            InputError: if the conversation is malformed.
        """
        read, carried = read_conversation(turns, image_token=self.image_token)
        if self.template.as_one_text:
            parts = spans_of_text(read, self.template, mask_prompt=self.mask_prompt, system=system)
            shown = joined(parts)
        else:
            parts = spans(read, self.template, mask_prompt=self.mask_prompt)
            shown = displayed(read, self.template, system=system)
        given = (carried or []) if pictures is None else pictures
        return Request(shown, parts, given, surplus_allowed=True)

    def messages(self, messages: Any, pictures: Sequence[Picture] | None, *, system: str, ask: bool) -> Request:
        """Request of messages in the OpenAI or Hugging Face form; `ask` adds the answer that a model is to fill.

        Raises:
            InputError: if the messages are malformed, or both they and `pictures` hold pictures.
        """
        conversation, carried = to_conversation(messages, image_token=self.image_token, ask=ask)
        if carried and pictures:
            raise InputError("images are given twice", rule="the messages hold them or images= does, not both")
        request = self.conversation(conversation, carried or pictures or [], system=system)
        return Request(request.sft_format, request.spans, request.pictures)


def only_one(**texts: Any) -> tuple[str, Any]:
    """Name and value of the one argument that is not None.

    Raises:
        InputError: if none or several are given.
    """
    given = [(form, text) for form, text in texts.items() if text is not None]
    if len(given) != 1:
        raise InputError(
            f"{' and '.join(form for form, _ in given) or 'no text'} given",
            rule=f"exactly one of {', '.join(texts)} is given",
        )
    return given[0]
