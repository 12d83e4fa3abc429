"""Requests: the three forms of a text, read into spans and pictures."""

from typing import Any

import pytest

from vlkit.errors import InputError
from vlkit.processing.chat import Span
from vlkit.processing.request import RequestReader, only_one
from vlkit.processing.templates import TEMPLATES

READER = RequestReader(TEMPLATES["deepseek"], "<image>", mask_prompt=True)
QUESTION = "<|User|>: <image>\nHi\n\n<|Assistant|>:"


def test_prompt_is_taken_as_it_is_or_as_one_turn() -> None:
    plain = READER.prompt(" Hi ", None, as_turn=False, system="S")
    assert (plain.sft_format, plain.spans, list(plain.pictures)) == (" Hi ", [Span(" Hi ", True, True)], [])
    turn = READER.prompt(" <image>\nHi ", ["x"], as_turn=True, system="S")
    assert turn.spans == [Span(f"S\n\n{QUESTION}", True, True)]
    assert not turn.surplus_allowed


def test_messages_and_conversation_are_read_alike_but_for_surplus_pictures() -> None:
    turns = [{"role": "<|User|>", "content": "<image>\nHi"}, {"role": "<|Assistant|>", "content": ""}]
    parts = [{"type": "image", "image": "x"}, {"type": "text", "text": "Hi"}]
    conversation = READER.conversation(turns, ["x"], system="")
    messages = READER.messages([{"role": "user", "content": parts}], None, system="", ask=True)
    assert conversation.spans == messages.spans == [Span(QUESTION, False), Span("", True, True)]
    assert conversation.sft_format == messages.sft_format
    assert list(conversation.pictures) == list(messages.pictures) == ["x"]
    assert (conversation.surplus_allowed, messages.surplus_allowed) == (True, False)


def test_pictures_come_from_one_place() -> None:
    carried: list[Any] = [{"role": "user", "content": "<image>", "images": ["x"]}]
    assert list(READER.conversation(carried, None, system="").pictures) == ["x"]
    assert list(READER.conversation(carried, ["y"], system="").pictures) == ["y"]
    message = [{"role": "user", "content": [{"type": "image", "image": "x"}]}]
    with pytest.raises(InputError, match="twice"):
        READER.messages(message, ["y"], system="", ask=True)


def test_exactly_one_text_is_given() -> None:
    assert only_one(prompt=None, messages="") == ("messages", "")
    for texts in ({"prompt": None, "messages": None}, {"prompt": "a", "messages": []}):
        with pytest.raises(InputError, match="exactly one of prompt, messages"):
            only_one(**texts)
