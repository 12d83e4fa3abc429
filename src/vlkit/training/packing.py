"""Several samples in one row of a batch, each with positions of its own and blind for the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from vlkit.processing.batching import Sample as Encoded


def fill_rows(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Which samples share a row: the longest first, each in the first row that has room (first-fit decreasing).

    Args:
        lengths: tokens of each sample, none above `capacity`.
        capacity: tokens of a row.

    Returns:
        For each row the numbers of its samples, in their order; rows are in the order of their first sample.
    """
    rows: list[list[int]] = []
    room: list[int] = []
    for sample in sorted(range(len(lengths)), key=lambda number: (-lengths[number], number)):
        fitting = next((row for row, left in enumerate(room) if lengths[sample] <= left), None)
        if fitting is None:
            rows.append([])
            room.append(capacity)
            fitting = len(rows) - 1
        rows[fitting].append(sample)
        room[fitting] -= lengths[sample]
    return sorted(sorted(row) for row in rows)


def join(samples: Sequence[Encoded]) -> Encoded:
    """Samples one after the other as a single one; images and their tiles stay in order."""
    first = samples[0]
    pictured = [sample for sample in samples if sample.num_image_tokens] or [first]
    return replace(
        first,
        input_ids=torch.cat([sample.input_ids for sample in samples]),
        labels=torch.cat([sample.labels for sample in samples]),
        images_seq_mask=torch.cat([sample.images_seq_mask for sample in samples]),
        images=torch.cat([sample.images for sample in pictured]),
        images_spatial_crop=torch.cat([sample.images_spatial_crop for sample in pictured]),
        sft_format="".join(sample.sft_format for sample in samples),
        num_image_tokens=[count for sample in samples for count in sample.num_image_tokens],
        tilings=[tiling for sample in samples for tiling in sample.tilings],
        global_views=None
        if first.global_views is None
        else torch.cat([sample.global_views for sample in pictured if sample.global_views is not None]),
    )


def number_samples(rows: Sequence[Sequence[int]]) -> Tensor:
    """Number of the sample at each position, from 1, and 0 on padding, which stands on the right.

    Args:
        rows: lengths of the samples of each row.

    Returns:
        sequence_ids: int64[B, T].
    """
    numbered = [torch.arange(1, len(row) + 1).repeat_interleave(torch.tensor(row)) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(numbered, batch_first=True)
