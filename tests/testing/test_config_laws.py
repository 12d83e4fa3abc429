"""Every law of configs catches the mistake it is for, in a config that is right without it."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pytest
from pydantic import ConfigDict, Field, PlainSerializer, field_validator

from tests.testing.catching import caught, holds, outcome
from vlkit.projectors import Projector, ProjectorConfig, projectors


class PlainConfig(ProjectorConfig):
    """A config that keeps all laws, once it is registered."""

    type: Literal["plain"] = "plain"
    """Tag of the projector."""
    depth: int = 2
    """Number of layers."""


class OpenConfig(PlainConfig):
    model_config = ConfigDict(frozen=False)


class GrowsConfig(PlainConfig):
    @field_validator("depth")
    @classmethod
    def _one_more(cls, depth: int) -> int:
        return depth + 1


class HidesConfig(PlainConfig):
    secret: int = Field(default=0, exclude=True)
    """Left out of the dump."""


class SpeaksConfig(PlainConfig):
    width: Annotated[int, PlainSerializer(lambda value: f"{value} wide")] = 3
    """Dumped in another form."""


class TakesAnythingConfig(PlainConfig):
    model_config = ConfigDict(extra="ignore")


class Unspeakable:
    """No JSON schema can say it."""


class UnspeakableConfig(PlainConfig):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    inner: Unspeakable | None = None
    """Anything."""


class RenamesConfig(PlainConfig):
    depth: int = Field(default=2, alias="layers")
    """Number of layers."""


class HoldsItselfConfig(PlainConfig):
    inner: "HoldsItselfConfig | None" = None
    """Another one."""


class SilentConfig(PlainConfig):
    quiet: int = 1


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    with projectors.scratch():
        projectors.register(PlainConfig)(Projector)
        yield


@pytest.mark.parametrize(
    ("config", "law", "words"),
    [
        (OpenConfig(), "frozen", ("its field 'type' can be set", "frozen=True", "config.replace")),
        (GrowsConfig(), "round_trip", ("another config (depth: 2 became 3)", "validator changes values")),
        (HidesConfig(secret=3), "round_trip", ("another config (secret: 3 became 0)",)),
        (SpeaksConfig(width=4), "round_trip", ("its own JSON (nothing left out) is refused", "4 wide")),
        (OpenConfig(), "tag", ("the tag 'plain' leads to PlainConfig, not to OpenConfig", "share a tag")),
        (TakesAnythingConfig(), "unknown_fields", ("'no_such_field' was taken", 'extra="forbid"')),
        (RenamesConfig(), "schema", ("the schema lacks the fields 'depth'", "aliases")),
        (UnspeakableConfig(), "schema", ("PydanticInvalidForJsonSchema", "JSON schema")),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, ProjectorConfig) else None,
)
def test_a_mistake_breaks_its_law(config: ProjectorConfig, law: str, words: tuple[str, ...]) -> None:
    caught(config, law, *words)
    holds(PlainConfig(), law)


def test_a_tag_that_nobody_registered_breaks_its_law() -> None:
    class LostConfig(ProjectorConfig):
        type: Literal["lost"] = "lost"

    caught(LostConfig(), "tag", "the tag 'lost' is unknown", "@projectors.register(LostConfig) is missing")


def test_a_config_that_is_dumped_as_another_breaks_the_law_of_tags() -> None:
    class ForgetsConfig(PlainConfig):
        type: Literal["forgets"] = "forgets"  # type: ignore[assignment]

        def model_dump_json(self, **options: Any) -> str:
            return super().model_dump_json(exclude={"depth"})

    projectors.register(ForgetsConfig)(Projector)
    caught(ForgetsConfig(depth=7), "tag", "its JSON, resolved by its tag, is another config")


def test_a_config_may_hold_one_of_its_kind() -> None:
    holds(HoldsItselfConfig(), "schema")


def test_fields_without_a_docstring_are_noted() -> None:
    found = outcome(SilentConfig(), "schema")
    assert (found.status, found.reason) == ("noted", "no docstring below 'quiet'")
