"""The decode loop: one id per row and step, until every row has ended or enough are said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from vlkit.errors import InputError, ShapeError
from vlkit.generation.sampling import Sampler, SamplingConfig


def decode(
    first_logits_BV: Tensor,
    step: Callable[[Tensor], Tensor],
    *,
    sampling: SamplingConfig,
    max_new_tokens: int,
    eos_token_ids: tuple[int, ...],
    pad_token_id: int,
    history_ids_BT: Tensor | None = None,
    history_mask_BT: Tensor | None = None,
    stop: Callable[[Tensor], Tensor] | None = None,
) -> Iterator[Tensor]:
    """New ids, step by step; arguments are checked on the call, the model runs as the iterator is read.

    A row ends with an end token, which still is part of it, and goes on with `pad_token_id`. The model is not run after
    the last ids. Per step the host waits for the device once, and not at all if no row can end early.

    Args:
        first_logits_BV: float[B, V], logits behind the prompts.
        step: runs the model on int64[B], one new id per row, and gives the next float[B, V].
        sampling: how ids are chosen.
        max_new_tokens: most steps; 0 gives none.
        eos_token_ids: ids that end a row; () never ends one.
        pad_token_id: what a row that has ended says, and what the model is given for it.
        history_ids_BT: int64[B, T], the prompts, padded on the left; for repetition penalty and n-grams.
        history_mask_BT: bool[B, T], False on padding and image positions.
        stop: is given the new ids int64[B] of every step and says bool[B], which rows end with them.

    Yields:
        ids_B: int64[B].

    Raises:
        InputError: if a number or an id is out of range; while running, if the logits of a row are not finite.
        ShapeError: if logits, history or the answer of `stop` have another shape than the above.
    """
    if first_logits_BV.ndim != 2 or not first_logits_BV.numel() or not first_logits_BV.is_floating_point():
        raise ShapeError(
            f"first logits are {first_logits_BV.dtype}{list(first_logits_BV.shape)}",
            rule="they are float[B, V], one row per sample, neither of them empty",
        )
    rows, vocab = first_logits_BV.shape
    if type(max_new_tokens) is not int or max_new_tokens < 0:
        raise InputError(f"max_new_tokens is {max_new_tokens!r}", rule="it is an integer, 0 or more")
    for name, token in [("pad_token_id", pad_token_id), *(("eos_token_ids", token) for token in eos_token_ids)]:
        if type(token) is not int or not 0 <= token < vocab:
            raise InputError(f"{name}: {token!r} is no id", rule=f"an id is an integer in 0..{vocab - 1}")
    sampler = Sampler(
        sampling,
        rows=rows,
        vocab=vocab,
        device=first_logits_BV.device,
        history_ids_BT=history_ids_BT,
        history_mask_BT=history_mask_BT,
    )
    return _run(first_logits_BV, step, sampler, max_new_tokens, eos_token_ids, pad_token_id, stop)


def _run(
    logits_BV: Tensor,
    step: Callable[[Tensor], Tensor],
    sampler: Sampler,
    max_new_tokens: int,
    eos_token_ids: tuple[int, ...],
    pad_token_id: int,
    stop: Callable[[Tensor], Tensor] | None,
) -> Iterator[Tensor]:
    shape, device = logits_BV.shape, logits_BV.device
    eos = torch.tensor(eos_token_ids, dtype=torch.long, device=device)
    ended_B = torch.zeros(shape[0], dtype=torch.bool, device=device)
    broken_B, can_end = ended_B, bool(eos_token_ids) or stop is not None
    for count in range(1, max_new_tokens + 1):
        if logits_BV.shape != shape:
            raise ShapeError(f"step gave logits of shape {list(logits_BV.shape)}", rule=f"they are {list(shape)}")
        ids_B = sampler.choose(logits_BV).masked_fill(ended_B, pad_token_id)
        broken_B = broken_B | (~logits_BV.amax(-1).isfinite() & ~ended_B)
        ended_B = ended_B | (ids_B[:, None] == eos).any(-1)
        if stop is not None:
            ended_B = ended_B | _checked(stop(ids_B), ended_B)
        last = count == max_new_tokens
        if can_end or last:
            broken, all_ended = torch.stack([broken_B.any(), ended_B.all()]).tolist()
            last = last or all_ended
            if broken:
                _refuse_broken(broken_B, count)
        yield ids_B
        if last:
            return
        sampler.observe(ids_B)
        logits_BV = step(ids_B)


def _checked(stopped_B: Tensor, ended_B: Tensor) -> Tensor:
    if stopped_B.shape != ended_B.shape or stopped_B.dtype != torch.bool:
        raise ShapeError(
            f"stop gave {stopped_B.dtype}{list(stopped_B.shape)}", rule=f"it gives bool[{len(ended_B)}], one per row"
        )
    return stopped_B.to(ended_B.device)


def _refuse_broken(broken_B: Tensor, count: int) -> None:
    raise InputError(
        f"the logits of rows {broken_B.nonzero().flatten().tolist()} are not finite at step {count} or before",
        rule="the greatest logit of a row is a finite number",
        remedy="float16 overflows where bfloat16 and float32 do not; otherwise check the weights and the inputs",
    )


def collect(steps: Iterable[Tensor], *, rows: int, device: torch.device | str | None = None) -> Tensor:
    """All ids of `decode` in one tensor.

    Args:
        steps: int64[B] each.
        rows: samples B, for the case that there are no steps.
        device: where the empty result lies in that case.

    Returns:
        ids_BT: int64[B, T], T being the number of steps.
    """
    ids = list(steps)
    return torch.stack(ids, dim=1) if ids else torch.empty(rows, 0, dtype=torch.long, device=device)
