"""One example to learn from: a conversation, its pictures, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from vlkit.errors import VlkitError

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_TAG = "<image>"
"""Tag of a picture in the user's turns of a sample, whatever tag the processor's own texts use."""


class SampleError(VlkitError):
    """A sample cannot be used; says where it comes from and why.

    Args:
        origin: where it comes from, for instance "train.jsonl, line 17".
        reason: what is wrong with it.
        rule: the rule that it breaks.
        remedy: what can be done about it.
    """

    def __init__(self, origin: str, reason: str, *, rule: str | None = None, remedy: str | None = None) -> None:
        super().__init__(f"{origin}: {reason}", rule=rule, remedy=remedy)
        self.origin, self.reason = origin, reason

    def __reduce__(self) -> Any:
        return _again, (self.origin, self.reason, self.rule, self.remedy)


def _again(origin: str, reason: str, rule: str | None, remedy: str | None) -> SampleError:
    return SampleError(origin, reason, rule=rule, remedy=remedy)


class Mark(NamedTuple):
    """Something small in a picture, which the image tokens that show it may learn to name.

    Args:
        text: what it is; its first token is learned.
        x, y: its middle, in pixels from the left and upper edge.
        size: its height in pixels; views in which it is too small to be seen do not learn it. None: always seen.
    """

    text: str
    x: float
    y: float
    size: float | None = None


@dataclass(frozen=True)
class Sample:
    """A conversation in the official form with its pictures.

    Args:
        conversation: turns such as `{"role": "<|User|>", "content": "<image>\\nWhat is this?"}` and
            `{"role": "<|Assistant|>", "content": "A boat."}`.
        images: pictures in the order of their `<image>` tags.
        origin: where it comes from, for messages.
        marks: for each picture, what is where in it; empty if image tokens learn nothing.
    """

    conversation: tuple[Mapping[str, Any], ...]
    images: tuple[Image, ...] = ()
    origin: str = "a sample"
    marks: tuple[tuple[Mark, ...], ...] = ()
