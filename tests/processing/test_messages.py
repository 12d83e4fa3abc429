"""OpenAI and Hugging Face messages become official conversations."""

from typing import Any

import pytest

from vlkit.errors import InputError
from vlkit.processing.messages import to_conversation

IMAGE = object()


def converted(messages: Any, ask: bool = True) -> Any:
    return to_conversation(messages, image_token="<image>", ask=ask)


def user(*parts: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


def text(value: str) -> dict[str, str]:
    return {"type": "text", "text": value}


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image", "image": IMAGE},
        {"type": "image", "url": IMAGE},
        {"type": "image", "path": IMAGE},
        {"type": "image_url", "image_url": IMAGE},
        {"type": "image_url", "image_url": {"url": IMAGE, "detail": "high"}},
    ],
)
def test_parts_are_joined_by_newlines_and_images_become_tags(part: dict[str, Any]) -> None:
    conversation, pictures = converted(user(text("First"), part, text("What is it?")))
    assert conversation[0] == {"role": "<|User|>", "content": "First\n<image>\nWhat is it?"}
    assert len(pictures) == 1
    assert pictures[0] is IMAGE


def test_pictures_come_in_the_order_of_their_tags() -> None:
    messages = [
        *user({"type": "image", "image": 1}, {"type": "image", "image": 2}),
        {"role": "assistant", "content": "ok"},
    ]
    conversation, pictures = converted([*messages, *user(text("and"), {"type": "image", "image": 3})])
    assert pictures == [1, 2, 3]
    assert [turn["content"].count("<image>") for turn in conversation] == [2, 0, 1, 0]


def test_empty_answer_is_added_only_to_ask() -> None:
    question = [{"role": "user", "content": "Hi"}]
    assert converted(question)[0][-1] == {"role": "<|Assistant|>", "content": ""}
    assert len(converted(question, ask=False)[0]) == 1
    answered = [*question, {"role": "assistant", "content": "Ho"}]
    assert converted(answered)[0][-1] == {"role": "<|Assistant|>", "content": "Ho"}


@pytest.mark.parametrize(
    "messages",
    [
        [],
        "Hi",
        [3],
        [{"role": "tool", "content": "Hi"}],
        [{"role": ["user"], "content": "Hi"}],
        [{"role": "user", "content": None}],
        [{"role": "user", "content": {"type": "text", "text": "Hi"}}],
        [{"role": "user", "contents": "Hi"}],
        user("Hi"),
        user({"type": "text"}),
        user({"type": "video", "video": "a.mp4"}),
        user({"type": "image", "image": IMAGE, "url": IMAGE}),
    ],
)
def test_malformed_messages_are_refused(messages: Any) -> None:
    with pytest.raises(InputError) as error:
        converted(messages)
    assert error.value.rule or error.value.remedy
