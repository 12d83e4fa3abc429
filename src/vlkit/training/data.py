"""Sources of samples that a recipe can name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SerializeAsAny, model_validator

from vlkit.config import Config, Count
from vlkit.errors import ConfigError
from vlkit.processing.image import MAX_PIXELS
from vlkit.registry import Registry
from vlkit.training.json_lines import JsonLines
from vlkit.training.source import Mixture, SampleSource


class SourceConfig(Config):
    """Base of the configs of sources."""

    type: str
    """Tag of the source."""


sources: Registry[SourceConfig, SampleSource] = Registry(
    "sources",
    SourceConfig,
    homes={
        "jsonl": "vlkit.training.data",
        "mixture": "vlkit.training.data",
        "printed_text": "vlkit.printed_text.source",
    },
)
AnySource = Annotated[SerializeAsAny[SourceConfig], sources]
"""Field type that takes any registered source."""


class JsonLinesConfig(SourceConfig):
    """Conversations in a file of JSON lines, or of one JSON array, with pictures in a folder."""

    type: Literal["jsonl"] = "jsonl"
    """Tag of the source."""
    file: str = Field(min_length=1)
    """File of the conversations; a relative path starts where the command runs, like all paths of a recipe."""
    images: str | None = None
    """Folder that the paths of the pictures start from; None: there are none."""
    max_pixels: int = Field(default=MAX_PIXELS, ge=1)
    """Most pixels of a picture."""


@sources.register(JsonLinesConfig)
def open_json_lines(config: JsonLinesConfig) -> JsonLines:
    """Source of a config."""
    images = None if config.images is None else Path(config.images)
    return JsonLines(Path(config.file), images, max_pixels=config.max_pixels)


class MixtureConfig(SourceConfig):
    """Several sources in turn, each as often as its weight says; without end."""

    type: Literal["mixture"] = "mixture"
    """Tag of the source."""
    sources: tuple[AnySource, ...] = Field(min_length=1, max_length=256)
    """What is mixed."""
    weights: tuple[Count, ...] = Field(min_length=1, max_length=256)
    """Of every `sum(weights)` samples in a row, how many come from each source."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """Decides the order in sources with an end."""

    @model_validator(mode="after")
    def _check(self) -> MixtureConfig:
        if len(self.sources) != len(self.weights):
            raise ConfigError(
                f"{len(self.weights)} weights for {len(self.sources)} sources", rule="every source has one weight"
            )
        return self


@sources.register(MixtureConfig)
def open_mixture(config: MixtureConfig) -> Mixture:
    """Source of a config."""
    return Mixture([sources.build(each) for each in config.sources], config.weights, seed=config.seed)
