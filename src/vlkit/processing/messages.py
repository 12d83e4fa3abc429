"""Messages in the OpenAI and Hugging Face form, converted to the official conversations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vlkit.errors import InputError, did_you_mean
from vlkit.processing.chat import check_keys
from vlkit.processing.image import Picture

NAMES = {"user": "<|User|>", "assistant": "<|Assistant|>", "system": "system"}
IMAGE_KEYS = ("image", "image_url", "url", "path")


def to_conversation(
    messages: Sequence[Any], *, image_token: str, ask: bool
) -> tuple[list[dict[str, str]], list[Picture]]:
    """Conversation and pictures of a list of messages.

    The parts of a content, text and image tags, are joined by newlines: an image, then a question, becomes
    `<image>\\nquestion`, as in the official examples. An image is given as `{"type": "image", "image": ...}` (also
    "url" or "path") or `{"type": "image_url", "image_url": {"url": ...}}`, each value being any `Picture`, or as
    `{"type": "image"}` with the picture elsewhere. Paths are read from the local disk: do not pass the messages of
    strangers on without looking at them.

    Args:
        messages: mappings with "role" (user, assistant, system) and "content", a string or a list of parts.
        image_token: tag that stands for a picture.
        ask: whether to add the empty answer that a model is to fill, unless an answer is there already.

    Raises:
        InputError: if a message or a part is malformed.
    """
    if not isinstance(messages, list | tuple) or not messages:
        raise InputError(f"messages are {messages!r:.80}", rule="messages are a list of at least one mapping")
    pictures: list[Picture] = []
    conversation = []
    for message in messages:
        check_keys(message, ("role", "content"))
        role, content = message.get("role"), message.get("content")
        if not isinstance(role, str) or role not in NAMES:
            raise InputError(
                f"a message has the role {role!r:.80}",
                rule=f"roles are {', '.join(NAMES)}",
                remedy=did_you_mean(str(role), NAMES),
            )
        if isinstance(content, list | tuple):
            content = "\n".join(_text_of(part, pictures, image_token) for part in content)
        if not isinstance(content, str):
            raise InputError(
                f'"content" of a message is a {type(content).__name__}', rule="content is a string or a list of parts"
            )
        conversation.append({"role": NAMES[role], "content": content})
    if ask and conversation[-1]["role"] != NAMES["assistant"]:
        conversation.append({"role": NAMES["assistant"], "content": ""})
    return conversation, pictures


def _text_of(part: Any, pictures: list[Picture], image_token: str) -> str:
    """Text of a part; the picture of an image part goes to `pictures`."""
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    if kind not in ("image", "image_url"):
        raise InputError(
            f"a content part is {part!r:.80}",
            rule='parts are {"type": "text", "text": ...}, {"type": "image", ...} or {"type": "image_url", ...}',
        )
    given = [part[key] for key in IMAGE_KEYS if part.get(key) is not None]
    if len(given) > 1:
        raise InputError(f"an image part has {len(given)} pictures", rule=f"one of {', '.join(IMAGE_KEYS)} is given")
    for picture in given:
        pictures.append(picture.get("url") if isinstance(picture, Mapping) else picture)
    return image_token
