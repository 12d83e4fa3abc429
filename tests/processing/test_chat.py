"""Conversations: roles, turns and spans."""

from typing import Any

import pytest

from vlkit.errors import InputError
from vlkit.processing.chat import ROLES, Span, Turn, displayed, joined, read_conversation, spans, spans_of_text
from vlkit.processing.templates import DEEPSEEK_VL, EOS, TEMPLATES


def turn(role: str = "user", content: Any = "Hi", **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def test_turns_keep_the_name_and_know_the_role() -> None:
    turns, pictures = read_conversation(
        [turn("system", " a "), turn("<|User|>", "\nb"), turn("assistant", "")], image_token="<image>"
    )
    assert turns == [Turn("system", "system", "a"), Turn("user", "<|User|>", "b"), Turn("assistant", "assistant", "")]
    assert pictures is None


def test_pictures_of_all_turns_come_in_order() -> None:
    conversation = [turn(images=["a", "b"]), turn("assistant"), turn(images=[]), turn(images=("c",))]
    assert read_conversation(conversation, image_token="<image>")[1] == ["a", "b", "c"]
    assert read_conversation([turn(images=[])], image_token="<image>")[1] == []


@pytest.mark.parametrize("mask_prompt", [True, False])
def test_answers_are_always_learned_and_end_the_sentence(mask_prompt: bool) -> None:
    turns = [Turn("system", "system", "S"), Turn("user", "user", "Q"), Turn("assistant", "assistant", "A")]
    assert spans(turns, TEMPLATES["deepseek"], mask_prompt=mask_prompt) == [
        Span("S", learned=not mask_prompt),
        Span("<|User|>: Q\n\n<|Assistant|>:", learned=not mask_prompt),
        Span("A", learned=True, ends=True),
    ]


@pytest.mark.parametrize("mask_prompt", [True, False])
def test_a_conversation_as_one_text_is_cut_around_answers_only(mask_prompt: bool) -> None:
    asked, answered = Turn("user", "<|User|>", "Q"), Turn("assistant", "assistant", "A")
    found = spans_of_text(
        [Turn("system", "system", "S"), asked, answered, asked, Turn("assistant", "assistant", "")],
        DEEPSEEK_VL,
        mask_prompt=mask_prompt,
    )
    assert found == [
        Span("S\n\nUser: Q\n\nAssistant:", learned=not mask_prompt),
        Span(" A", learned=True, ends=True),
        Span("User: Q\n\nAssistant:", learned=not mask_prompt),
        Span("", learned=True, ends=True),
    ]
    assert joined(found) == f"S\n\nUser: Q\n\nAssistant: A{EOS}User: Q\n\nAssistant:"
    (open_end,) = spans_of_text([asked], DEEPSEEK_VL, mask_prompt=mask_prompt, system="T")
    assert open_end == Span("T\n\nUser: Q\n\n", learned=not mask_prompt)


def test_display_shows_the_names_as_given() -> None:
    turns = [Turn("user", "user", "Q"), Turn("assistant", "assistant", "")]
    assert displayed(turns, TEMPLATES["deepseek"], system="S") == "S\n\nuser: Q\n\nassistant:"


@pytest.mark.parametrize(
    ("conversation", "message"),
    [
        ([], "at least one"),
        ("text", "at least one"),
        ([3], "mappings"),
        ([turn("usr")], "did you mean 'user'"),
        ([turn("<|user|>")], "did you mean '<|User|>'"),
        ([turn(role=None)], "role None"),  # type: ignore[arg-type]
        ([{"role": "user"}], "NoneType"),
        ([turn(content=[{"type": "text", "text": "a"}])], "messages="),
        ([turn(image=["a"])], "did you mean 'images'"),
        ([turn(images="a.png")], "is a list"),
        ([turn(), turn("system")], "only the first"),
        ([turn(), turn("assistant", "<image>")], "user messages only"),
        ([turn("system", "<image>")], "user messages only"),
    ],
)
def test_malformed_conversations_are_refused(conversation: Any, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("|", r"\|")):
        read_conversation(conversation, image_token="<image>")


def test_every_role_name_is_accepted_first() -> None:
    for name, role in ROLES.items():
        assert read_conversation([turn(name)], image_token="<image>")[0][0].role == role
