"""Strategy for conversations as processors take them, with as many pictures as tags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hypothesis import strategies as st
from PIL import Image

from vlkit.testing.strategies.picture import images

ROLES = {"official": ("<|User|>", "<|Assistant|>"), "plain": ("user", "assistant")}
TEXT = st.text(st.characters(categories=("L", "N", "Zs"), include_characters=".,?!\n"), max_size=12)


@dataclass(frozen=True)
class Conversation:
    """A conversation and its pictures: `processor(conversations=it.messages, images=it.images)`.

    Args:
        messages: mappings with "role" and "content"; the last one is an answer, empty where it is to be generated.
        images: as many pictures as the messages have tags.
    """

    messages: list[dict[str, str]]
    images: list[Image.Image]


@st.composite
def conversations(
    draw: st.DrawFn,
    *,
    image_token: str = "<image>",
    roles: Literal["official", "plain"] = "official",
    most_turns: int = 3,
    most_images: int = 3,
    pictures: st.SearchStrategy[Image.Image] | None = None,
    answered: bool | None = None,
) -> Conversation:
    """Conversations of questions and answers, tags anywhere in the questions.

    Args:
        draw: given by hypothesis.
        image_token: tag of a picture.
        roles: names of the roles: the official ones, or user and assistant.
        most_turns: most questions.
        most_images: most pictures over all questions.
        pictures: strategy of pictures; None: `images()`.
        answered: whether the last answer is there; None: either.
    """
    user, assistant = ROLES[roles]
    pictures = images() if pictures is None else pictures
    tags = draw(
        st.lists(st.integers(0, most_images), min_size=1, max_size=most_turns).filter(lambda t: sum(t) <= most_images)
    )
    messages = []
    for number in tags:
        pieces = draw(st.lists(TEXT, min_size=number + 1, max_size=number + 1))
        messages += [{"role": user, "content": image_token.join(pieces)}, {"role": assistant, "content": draw(TEXT)}]
    if not (draw(st.booleans()) if answered is None else answered):
        messages[-1]["content"] = ""
    return Conversation(messages, [draw(pictures) for _ in range(sum(tags))])
