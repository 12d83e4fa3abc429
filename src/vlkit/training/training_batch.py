"""A batch to learn from: tensors for the model, and what is to be known about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from vlkit.processing.batching import PIXELS
from vlkit.processing.batching import Sample as Encoded
from vlkit.processing.processor import Processor
from vlkit.training.encoding import NOT_COUNTED, nothing
from vlkit.training.packing import fill_rows, join, number_samples


@dataclass(frozen=True)
class Skipped:
    """A sample that was left out.

    Args:
        origin: where it comes from.
        reason: why it cannot be used.
    """

    origin: str
    reason: str


@dataclass(frozen=True, eq=False)
class TrainingBatch(Mapping[str, Tensor]):
    """Tensors as a model takes them, padded on the right: `model(**batch)`.

    Args:
        tensors: `input_ids`, `attention_mask`, `labels`, `images`, `images_seq_mask`, `images_spatial_crop`, perhaps
            `global_views`; of packed rows also `sequence_ids`, int64[B, T].
        samples: number of samples in it; 0 if none of them could be used, and then nothing in it is learned.
        tokens: positions that are no padding.
        counted: labels that the loss counts.
        left_out: samples that could not be used.
    """

    tensors: Mapping[str, Tensor]
    samples: int
    tokens: int
    counted: int
    left_out: tuple[Skipped, ...] = ()

    @property
    def skipped(self) -> int:
        """Number of samples that were left out."""
        return len(self.left_out)

    @property
    def filled(self) -> float:
        """Share of positions that are no padding."""
        return self.tokens / self.tensors["input_ids"].numel()

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> TrainingBatch:
        """The batch on another device, pixels in another floating-point type; None leaves it as it is."""
        moved = {
            name: tensor.to(device=device, dtype=dtype if name in PIXELS else None, non_blocking=True)
            for name, tensor in self.tensors.items()
        }
        return replace(self, tensors=moved)


def make_batch(
    processor: Processor[Any],
    samples: Sequence[Encoded],
    *,
    capacity: int | None = None,
    left_out: Sequence[Skipped] = (),
) -> TrainingBatch:
    """Batch of encoded samples.

    Args:
        processor: that encoded them.
        samples: as `vlkit.training.encoding.encode` gives them; none: a batch of which nothing is learned.
        capacity: tokens of a row that several samples share; None: a row for each sample.
        left_out: samples that are missing.
    """
    encoded = list(samples) or [nothing(processor)]
    lengths = [len(sample.input_ids) for sample in encoded]
    shared = [[number] for number in range(len(encoded))] if capacity is None else fill_rows(lengths, capacity)
    numbers_BT = number_samples([[lengths[number] for number in row] for row in shared])
    joined = [join([encoded[number] for number in row]) for row in shared]
    tensors = dict(processor.batchify(joined, padding_side="right"))
    tensors["attention_mask"] = numbers_BT > 0
    tensors["labels"] = tensors["labels"].masked_fill(numbers_BT == 0, NOT_COUNTED)
    if capacity is not None:
        tensors["sequence_ids"] = numbers_BT
    return TrainingBatch(
        tensors,
        samples=len(samples),
        tokens=sum(lengths),
        counted=int((tensors["labels"][:, 1:] != NOT_COUNTED).sum()),
        left_out=tuple(left_out),
    )
