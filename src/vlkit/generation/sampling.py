"""Sampling: how the next id of each row follows from its logits and from what the row has said so far.

The rules and their order are those of the transformers library: repetition penalty, n-grams, temperature, top-k, top-p.
"""

from __future__ import annotations

from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional as F

from vlkit.config import Config
from vlkit.errors import InputError, ShapeError


class SamplingConfig(Config):
    """How the next id is chosen; the default is greedy."""

    temperature: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)
    """Divisor of the logits: 0 always takes the most likely id (and leaves `top_k`, `top_p` and `seed` unused)."""
    top_k: int | None = Field(default=None, ge=1)
    """Keep the k most likely ids, and those equal to the last of them."""
    top_p: float | None = Field(default=None, gt=0.0, le=1.0)
    """Keep the fewest ids whose probability reaches p (nucleus sampling, arXiv:1904.09751)."""
    repetition_penalty: float = Field(default=1.0, ge=1e-6, le=1e6)
    """Divide positive and multiply negative logits of ids that the row holds already (arXiv:1909.05858); 1 is off."""
    no_repeat_ngram_size: int | None = Field(default=None, ge=1)
    """Never say the same n ids in a row twice."""
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    """Row `r` of a batch is drawn from a stream of its own with seed `seed + r`, so that it gets the ids which it gets
    alone with that seed. None takes a seed from torch's global generator, the only case in which that is touched."""

    @model_validator(mode="after")
    def _temperature_is_representable(self) -> Self:
        if 0.0 < self.temperature < 1e-6:
            raise ValueError("temperature is 0 (greedy) or at least 1e-6: logits divided by less overflow float32")
        return self

    @property
    def needs_history(self) -> bool:
        """Whether the choice depends on earlier ids."""
        return self.repetition_penalty != 1.0 or self.no_repeat_ngram_size is not None


class Sampler:
    """Chooses the next id of each row and remembers the earlier ones.

    Args:
        config: the rules.
        rows: samples B.
        vocab: ids V that the logits stand for.
        device: where the logits lie.
        history_ids_BT: int64[B, T], the prompts, padded on the left.
        history_mask_BT: bool[B, T], False where no id was said: padding and image positions. None: all count.

    Raises:
        ShapeError: if the history is not integers [B, T], or its mask is no bool tensor of the same shape.
        InputError: if an id that counts lies outside the vocabulary.
    """

    def __init__(
        self,
        config: SamplingConfig,
        *,
        rows: int,
        vocab: int,
        device: torch.device | str | None = None,
        history_ids_BT: Tensor | None = None,
        history_mask_BT: Tensor | None = None,
    ) -> None:
        ids_BT = torch.empty(rows, 0, dtype=torch.long) if history_ids_BT is None else history_ids_BT
        mask_BT = torch.ones_like(ids_BT, dtype=torch.bool) if history_mask_BT is None else history_mask_BT
        _require_fitting(ids_BT, mask_BT, rows)
        self.config = config
        if config.needs_history:
            _require_known(ids_BT[mask_BT], vocab)
            self._ids_BS, self._mask_BS = ids_BT.to(device, torch.long), mask_BT.to(device)
        self._streams = _streams(config.seed, rows) if config.temperature else []

    def choose(self, logits_BV: Tensor) -> Tensor:
        """Next ids.

        Args:
            logits_BV: float[B, V], at least one finite value per row.

        Returns:
            ids_B: int64[B].
        """
        config, logits_BV = self.config, logits_BV.detach().float()
        if config.repetition_penalty != 1.0:
            logits_BV = penalise_repetition(logits_BV, self._ids_BS, self._mask_BS, config.repetition_penalty)
        if config.no_repeat_ngram_size is not None:
            logits_BV = ban_repeated_ngrams(logits_BV, self._ids_BS, self._mask_BS, config.no_repeat_ngram_size)
        if not config.temperature:
            return logits_BV.argmax(-1)
        logits_BV = logits_BV / config.temperature
        if config.top_k is not None:
            logits_BV = keep_top_k(logits_BV, config.top_k)
        if config.top_p is not None:
            logits_BV = keep_top_p(logits_BV, config.top_p)
        uniform_B = torch.cat([torch.rand(1, generator=stream) for stream in self._streams])
        return draw(logits_BV, uniform_B.to(logits_BV.device, non_blocking=True))

    def observe(self, ids_B: Tensor) -> None:
        """Take int64[B] into the history; to be called once per step."""
        if self.config.needs_history:
            self._ids_BS = torch.cat([self._ids_BS, ids_B[:, None]], dim=1)
            self._mask_BS = torch.cat([self._mask_BS, torch.ones_like(ids_B[:, None], dtype=torch.bool)], dim=1)


def penalise_repetition(logits_BV: Tensor, ids_BS: Tensor, mask_BS: Tensor, penalty: float) -> Tensor:
    """Logits in which the ids of the row's history are less likely (for a penalty above 1); masked ids do not count."""
    seen_BV = _marks(ids_BS, mask_BS, logits_BV.shape[1])
    return torch.where(seen_BV, torch.where(logits_BV < 0, logits_BV * penalty, logits_BV / penalty), logits_BV)


def ban_repeated_ngrams(logits_BV: Tensor, ids_BS: Tensor, mask_BS: Tensor, size: int) -> Tensor:
    """Logits with minus infinity for every id that would complete `size` ids in a row which the history holds.

    A run of ids that a masked position interrupts is no n-gram. A row in which nothing would be left is not changed.
    """
    tail = ids_BS.shape[1] - size + 1
    if tail < 1:
        return logits_BV
    repeats_BS = mask_BS[:, size - 1 :]
    for i in range(size - 1):
        same_BS = ids_BS[:, i : i + tail] == ids_BS[:, tail + i, None]
        repeats_BS = repeats_BS & same_BS & mask_BS[:, i : i + tail] & mask_BS[:, tail + i, None]
    left_BV = logits_BV.masked_fill(_marks(ids_BS[:, size - 1 :], repeats_BS, logits_BV.shape[1]), -torch.inf)
    return torch.where(left_BV.amax(-1, keepdim=True) == -torch.inf, logits_BV, left_BV)


def keep_top_k(logits_BV: Tensor, k: int) -> Tensor:
    """Logits with minus infinity for all that are less than the k-th greatest of their row."""
    least_B1 = logits_BV.topk(min(k, logits_BV.shape[1])).values[:, -1:]
    return logits_BV.masked_fill(logits_BV < least_B1, -torch.inf)


def keep_top_p(logits_BV: Tensor, p: float) -> Tensor:
    """Logits with minus infinity outside the smallest set whose probability reaches `p`; of equals the lower id stays.

    At least one id of a row stays; with `p` 1 all do.
    """
    if p >= 1.0:
        return logits_BV
    sorted_BV, order_BV = logits_BV.sort(descending=True, stable=True)
    before_BV = F.pad(sorted_BV.softmax(-1).cumsum(-1)[:, :-1], (1, 0))
    drop_BV = torch.empty_like(before_BV, dtype=torch.bool).scatter_(1, order_BV, before_BV >= p)
    return logits_BV.masked_fill(drop_BV, -torch.inf)


def draw(logits_BV: Tensor, uniform_B: Tensor) -> Tensor:
    """Ids drawn from the softmax of the logits: the first whose cumulative probability exceeds `uniform_B`.

    One random number decides a row, so that the ids do not depend on the device or on the other rows. An id of
    probability zero is never drawn, whatever the rounding.

    Args:
        logits_BV: float32[B, V].
        uniform_B: float32[B] in [0, 1).

    Returns:
        ids_B: int64[B].
    """
    probs_BV = logits_BV.softmax(-1)
    reached_BV = probs_BV.cumsum(-1).masked_fill(probs_BV == 0, 0.0)
    threshold_B1 = uniform_B[:, None] * reached_BV.amax(-1, keepdim=True)
    return (reached_BV > threshold_B1).to(torch.uint8).argmax(-1)


def _marks(ids_BS: Tensor, mask_BS: Tensor, vocab: int) -> Tensor:
    """bool[B, V], True for the unmasked ids of the row; a masked one may have any value."""
    marks = torch.zeros(len(ids_BS), vocab + 1, dtype=torch.bool, device=ids_BS.device)
    return marks.scatter_(1, ids_BS.masked_fill(~mask_BS, vocab), True)[:, :vocab]


def _streams(seed: int | None, rows: int) -> list[torch.Generator]:
    first = int(torch.randint(2**62, ())) if seed is None else seed
    return [torch.Generator().manual_seed(first + row) for row in range(rows)]


def _require_fitting(ids_BT: Tensor, mask_BT: Tensor, rows: int) -> None:
    integers = not (ids_BT.is_floating_point() or ids_BT.dtype == torch.bool)
    two_axes = ids_BT.ndim == 2 and len(ids_BT) == rows
    if not (integers and two_axes and mask_BT.shape == ids_BT.shape and mask_BT.dtype == torch.bool):
        raise ShapeError(
            f"history {ids_BT.dtype}{list(ids_BT.shape)} with mask {mask_BT.dtype}{list(mask_BT.shape)}",
            rule=f"history is int64[{rows}, T] with mask bool[{rows}, T], one row per row of the logits",
        )


def _require_known(ids: Tensor, vocab: int) -> None:
    outside = ids[(ids < 0) | (ids >= vocab)]
    if len(outside):
        raise InputError(
            f"the history holds the id {int(outside[0])}",
            rule=f"ids that count lie in 0..{vocab - 1}",
            remedy="set history_mask_BT to False on padding and image positions",
        )
