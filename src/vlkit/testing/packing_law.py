"""The law of decoders that take several samples in a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from vlkit.testing.comparing import require_near
from vlkit.testing.law import Broken, Skipped, law

if TYPE_CHECKING:
    from vlkit.testing.decoder import DecoderSubject


@law()
def packing(subject: DecoderSubject) -> None:
    """Samples that share a row, told apart by `sequence_ids`, give the results that each gives alone."""
    decoder = subject.decoder()
    if not decoder.packs:
        raise Skipped("it takes one sample in a row")
    if subject.length < 3:
        raise Skipped("its rows are too short for two samples")
    x, first = subject.x(samples=1), subject.length // 2
    numbers = torch.arange(subject.length)[None]
    ids_BT = torch.where(numbers < first, 1, 2).masked_fill(numbers == subject.length - 1, 0)
    together = subject.logits(decoder, x, sequence_ids=ids_BT)
    for number in (1, 2):
        own = ids_BT == number
        require_near(
            together[own],
            subject.logits(decoder, x[own][None])[0],
            f"sample {number} of a row gives another result than alone",
            likely="samples of a row see each other, or positions go on from one to the next",
            remedy="mask with packed_causal_mask and count with packed_positions, of vlkit.nn.attention",
        )
    if not bool(together[ids_BT == 0].isfinite().all()):
        raise Broken("padding beside packed samples gives no numbers", likely="its rows of the mask are empty")
