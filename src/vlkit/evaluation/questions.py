"""Samples as questions: the conversation up to its last answer, which is the reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from vlkit.errors import ContextLengthError, InputError, VlkitError, did_you_mean
from vlkit.processing.batching import Sample as Encoded
from vlkit.processing.chat import ROLES
from vlkit.tiling import Tiling

if TYPE_CHECKING:
    from vlkit.processing.processor import Processor
    from vlkit.training.sample import Sample
    from vlkit.vlm import VLM

IMAGE_TAG = "<image>"
"""Tag of a picture in the user's turns of a sample."""

Grouping: TypeAlias = str | Callable[[Any, Sequence[Tiling]], str]
"""Name of a grouping, or a function of a sample and of how its pictures are cut that names its group."""
References: TypeAlias = Callable[[Any], Sequence[str]]
"""Gives all right answers of a sample."""


class Source(Protocol):
    """What evaluating needs of a source of samples; `vlkit.training.SampleSource` is one."""

    @property
    def count(self) -> int | None:
        """Number of samples; None: without end."""
        ...

    def sample(self, index: int) -> Sample:
        """Sample number `index`."""
        ...


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked, and what is right.

    Args:
        index: number of the sample in its source.
        origin: where it comes from.
        text: what the user says last.
        references: right answers, at least one.
        group: name of its group.
    """

    index: int
    origin: str
    text: str
    references: tuple[str, ...]
    group: str


@dataclass(frozen=True, eq=False)
class EncodedQuestion(Question):
    """A question ready to be answered.

    Args:
        encoded: ids and pixels up to where the answer begins.
    """

    encoded: Encoded


def by_tiles(sample: Sample, tilings: Sequence[Tiling]) -> str:
    """Tile rows and columns of each picture: "2x3", "1x1 + 1x2"."""
    return " + ".join(str(tiling.grid) for tiling in tilings) or "no picture"


def by_pictures(sample: Sample, tilings: Sequence[Tiling]) -> str:
    """Number of pictures: "1 picture"."""
    return f"{len(tilings)} picture{'' if len(tilings) == 1 else 's'}"


GROUPINGS: dict[str, Callable[[Sample, Sequence[Tiling]], str]] = {"tiles": by_tiles, "pictures": by_pictures}
"""Groupings by name."""


def resolve_grouping(grouping: Grouping | None) -> Callable[[Sample, Sequence[Tiling]], str]:
    """The function meant; None: all samples in one group.

    Raises:
        InputError: if there is no grouping of that name.
    """
    if grouping is None:
        return lambda sample, tilings: "all"
    if callable(grouping):
        return grouping
    if grouping not in GROUPINGS:
        raise InputError(f"no grouping is called {grouping!r:.80}; {did_you_mean(str(grouping), GROUPINGS)}")
    return GROUPINGS[grouping]


def last_answer(sample: Sample) -> tuple[str]:
    """The last turn of a sample, its only reference.

    Raises:
        InputError: if it is not an answer.
    """
    last: Any = sample.conversation[-1] if sample.conversation else {}
    if ROLES.get(last.get("role")) != "assistant" or not isinstance(last.get("content"), str):
        raise InputError(
            "the conversation does not end with an answer",
            rule="the last turn is the assistant's; it is what answers are compared with",
        )
    return (last["content"].strip(),)


def last_question(sample: Sample) -> str:
    """What the user says last, without picture tags; "" if he says nothing."""
    asked = (turn["content"] for turn in reversed(sample.conversation) if ROLES.get(turn["role"]) == "user")
    return next(asked, "").replace(IMAGE_TAG, "").strip()


@dataclass(frozen=True)
class Asker:
    """Makes questions of samples.

    Args:
        model: whose positions limit what can be asked.
        processor: that of the model.
        max_new_tokens: most tokens of an answer.
        references: gives all right answers of a sample.
        group_of: names the group of a sample.
    """

    model: VLM
    processor: Processor[Any]
    max_new_tokens: int
    references: References
    group_of: Callable[[Sample, Sequence[Tiling]], str]

    def ask(self, sample: Sample, index: int) -> EncodedQuestion:
        """Question of sample number `index`.

        Raises:
            InputError: if the sample is malformed, or there is no reference.
            ContextLengthError: if question and answer together are longer than the model's positions.
        """
        last_answer(sample)
        references, image_token = tuple(self.references(sample)), self.processor.config.image_token
        if not references:
            raise InputError("there is no reference", rule="at least one right answer for each sample")
        turns = [_tagged(turn, image_token) for turn in sample.conversation]
        turns[-1]["content"] = ""
        tags = sum(str(turn.get("content")).count(image_token) for turn in turns)
        if tags != len(sample.images):
            raise InputError(f"{len(sample.images)} images for {tags} {IMAGE_TAG}", rule="every tag stands for one")
        encoded = self.processor.process_one(conversations=turns, images=list(sample.images), inference_mode=True)
        self._require_room(len(encoded.input_ids))
        group = self.group_of(sample, encoded.tilings)
        return EncodedQuestion(index, sample.origin, last_question(sample), references, group, encoded)

    def _require_room(self, length: int) -> None:
        limit = self.model.config.decoder.max_positions
        if limit is not None and length + self.max_new_tokens - 1 > limit:
            raise ContextLengthError(
                f"{length} tokens and max_new_tokens {self.max_new_tokens}",
                rule=f"this model has {limit} positions",
                remedy="lower max_new_tokens, or leave the sample out",
            )


def _tagged(turn: Any, image_token: str) -> dict[str, Any]:
    """Turn with the processor's own picture tags, its pictures left out: a sample brings them apart."""
    kept = {name: value for name, value in turn.items() if name != "images"}
    if isinstance(kept.get("content"), str):
        kept["content"] = kept["content"].replace(IMAGE_TAG, image_token)
    return kept


def explained(error: VlkitError, origin: str) -> InputError:
    """The error with the sample's origin in front, unless it is there."""
    problem = error.problem if error.problem.startswith(origin) else f"{origin}: {error.problem}"
    return InputError(problem, rule=error.rule, remedy=error.remedy)
