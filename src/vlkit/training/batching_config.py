"""Settings of batches."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from vlkit.config import Config, Count, Width
from vlkit.errors import ConfigError


class BatchingConfig(Config):
    """How samples become batches."""

    batch_size: Count = 8
    """Samples of a batch, over all processes."""
    arrangement: Literal["padded", "bucketed", "packed"] = "padded"
    """A row for each sample; the same with samples of similar length in a batch; or several samples in a row, which do
    not see each other."""
    row_length: Width | None = None
    """Tokens of a row that samples share (packed only); None: `max_length`."""
    window: Count = 16
    """Batches among which samples are sorted by length (bucketed only); each sample is then made twice."""
    max_length: Width | None = None
    """Most tokens of a sample; a longer one is a bad sample, since nothing is ever cut off."""
    shuffle: bool = True
    """Whether every epoch of a source with an end has another order."""
    bad_samples: Literal["refuse", "skip"] = "refuse"
    """Whether a sample that cannot be used ends the training, or is left out and reported."""
    workers: int = Field(default=0, ge=0, le=256)
    """Processes that make batches ahead; 0: each batch is made when it is needed."""
    ahead: Count = 2
    """Batches that each of them is ahead."""

    @property
    def capacity(self) -> int | None:
        """Tokens of a row that samples share; None: they share none."""
        return (self.row_length or self.max_length) if self.arrangement == "packed" else None

    @model_validator(mode="after")
    def _check(self) -> BatchingConfig:
        if self.arrangement == "packed" and self.capacity is None:
            raise ConfigError("packed rows without a length", remedy="give row_length or max_length")
        if self.row_length is not None and self.arrangement != "packed":
            raise ConfigError(f"row_length with arrangement {self.arrangement!r}", rule="only packed rows have one")
        if self.row_length is not None and self.row_length < (self.max_length or 0):
            raise ConfigError(
                f"row_length {self.row_length} below max_length {self.max_length}", rule="every sample fits in a row"
            )
        return self
