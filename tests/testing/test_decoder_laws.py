"""Every law of decoders catches the mistake it is for, in a part that is right without it."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.testing.catching import caught, holds, outcome
from tests.testing.toy_decoder import Toy, ToyConfig, ToyLayer
from vlkit.cache import KVCache, LayerCache
from vlkit.decoders import decoders
from vlkit.decoders.base import DecoderOutput
from vlkit.errors import InputError
from vlkit.nn.attention import packed_causal_mask, packed_positions, padded_causal_mask
from vlkit.testing import check_decoder


def test_the_part_itself_keeps_every_law() -> None:
    with decoders.scratch():
        decoders.register(ToyConfig)(Toy)
        report = check_decoder("toy", compiles=False)
    odd = {found.law: found.status for found in report.outcomes if found.status != "passed"}
    assert odd == {"padding": "noted", "packing": "skipped", "compile": "skipped"}


class SeesLater(Toy):
    def mask(self, mask_BS: Tensor, new: int) -> Tensor:
        return mask_BS[:, None].expand(-1, new, -1)


class SeesOneMore(Toy):
    def mask(self, mask_BS: Tensor, new: int) -> Tensor:
        causal = super().mask(mask_BS, new)
        causal[:, :-1] |= causal[:, 1:]
        return causal


class SeesItselfOnly(Toy):
    def mask(self, mask_BS: Tensor, new: int) -> Tensor:
        length = mask_BS.shape[1]
        return torch.eye(length, dtype=torch.bool)[length - new :].expand(len(mask_BS), -1, -1)


class IgnoresPadding(Toy):
    def mask(self, mask_BS: Tensor, new: int) -> Tensor:
        return padded_causal_mask(torch.ones_like(mask_BS), new)


class AlignsWithTheFirst(Toy):
    def mask(self, mask_BS: Tensor, new: int) -> Tensor:
        return padded_causal_mask(mask_BS, mask_BS.shape[1])[:, :new]


class StartsAtZero(Toy):
    def count(self, past: int, new: int) -> Tensor:
        return torch.arange(new)


class GivesATensor(Toy):
    def result(self, x_BTD: Tensor, hidden_states: list[Tensor]) -> DecoderOutput:
        return x_BTD  # type: ignore[return-value]

    def logits(self, x_BTD: Tensor) -> Tensor:
        return super().logits(x_BTD)


class GivesALookalike(Toy):
    def result(self, x_BTD: Tensor, hidden_states: list[Tensor]) -> DecoderOutput:
        return SimpleNamespace(x_BTD=x_BTD, hidden_states=tuple(hidden_states))  # type: ignore[return-value]


class HasALargeHead(Toy):
    def logits(self, x_BTD: Tensor) -> Tensor:
        scores = super().logits(x_BTD)
        return torch.cat([scores, scores[..., :1]], dim=-1)


class KeepsOutputs(Toy):
    def result(self, x_BTD: Tensor, hidden_states: list[Tensor]) -> DecoderOutput:
        return super().result(x_BTD, [*hidden_states[1:], x_BTD] if hidden_states else [])


class ForgetsTheLastState(Toy):
    def result(self, x_BTD: Tensor, hidden_states: list[Tensor]) -> DecoderOutput:
        return super().result(x_BTD, hidden_states[:-1])


class AlwaysGivesStates(Toy):
    def result(self, x_BTD: Tensor, hidden_states: list[Tensor]) -> DecoderOutput:
        return super().result(x_BTD, hidden_states or [x_BTD])


class HasNoLimit(Toy):
    def limit(self, past: int, new: int) -> None:
        pass


class LimitsNewOnes(Toy):
    def limit(self, past: int, new: int) -> None:
        self.require_context(new)

    def count(self, past: int, new: int) -> Tensor:
        return super().count(past, new).clamp(max=self.config.positions - 1)


class LimitsAfterwards(Toy):
    def limit(self, past: int, new: int) -> None:
        self.length = past + new

    def count(self, past: int, new: int) -> Tensor:
        return super().count(past, new).clamp(max=self.config.positions - 1)

    def result(self, x_BTD: Tensor, hidden_states: list[Tensor]) -> DecoderOutput:
        self.require_context(self.length)
        return super().result(x_BTD, hidden_states)


class FailsBeyondItsLimit(HasNoLimit):
    def count(self, past: int, new: int) -> Tensor:
        return super().count(past, new)[: self.config.positions].view(new)


class CountsItself(Toy):
    def forward(self, x_BTD: Tensor, *, position_ids: Tensor | None = None, **how: Any) -> DecoderOutput:
        if position_ids is not None:
            raise InputError("position_ids", rule="this decoder counts itself")
        return super().forward(x_BTD, **how)

    def count(self, past: int, new: int) -> Tensor:
        return torch.zeros(new, dtype=torch.long)


class FailsOnOtherMasks(Toy):
    def look_at(self, mask: Tensor | None, x_BTD: Tensor, cache: KVCache | None) -> None:
        if mask is not None:
            mask.view(x_BTD.shape[:2])


class TakesAnyMask(Toy):
    def look_at(self, mask: Tensor | None, x_BTD: Tensor, cache: KVCache | None) -> None:
        pass


class RemembersItself(Toy):
    def run_layer(self, index: int, layer: nn.Module, x_BTD: Tensor, mask_BTS: Tensor, cache: Any) -> Tensor:
        if cache is None:
            return super().run_layer(index, layer, x_BTD, mask_BTS, cache)
        if not cache.layers[index].length:
            self.own = {**getattr(self, "own", {}), index: LayerCache()}
        seen = self.own[index].length
        cache.layers[index].append(x_BTD, x_BTD)
        causal = torch.ones(*x_BTD.shape[:2], seen + x_BTD.shape[1], dtype=torch.bool).tril(seen)
        return layer(x_BTD, causal, self.own[index])


class RemembersItsMask(Toy):
    def mask(self, mask_BS: Tensor, new: int) -> Tensor:
        if mask_BS.shape[1] == new:
            self.first = mask_BS
        else:
            mask_BS = mask_BS.clone()
            kept = min(len(self.first), len(mask_BS))
            mask_BS[:kept, : self.first.shape[1]] = self.first[:kept]
        return super().mask(mask_BS, new)


class TellsNobody(Toy):
    def run_layer(self, index: int, layer: nn.Module, x_BTD: Tensor, mask_BTS: Tensor, cache: Any) -> Tensor:
        return layer(x_BTD, mask_BTS, cache.layers[index] if cache else None)


class SaysNotWhere(Toy):
    def say_where(self, cache: KVCache | None, x_BTD: Tensor) -> None:
        pass


class RepeatsKeys(Toy):
    def __init__(self, config: ToyConfig) -> None:
        super().__init__(config)
        for layer in self.layers:
            layer.__class__ = RepeatingLayer


class RepeatingLayer(ToyLayer):
    def forward(self, x_BTD: Tensor, mask_BTS: Tensor, cache: LayerCache | None) -> Tensor:
        if cache is not None:
            return super().forward(x_BTD, mask_BTS, Doubled(cache))
        return super().forward(x_BTD, mask_BTS, None)


class Doubled(LayerCache):
    """Keeps everything twice."""

    def __init__(self, inner: LayerCache) -> None:
        self.inner = inner

    def append(self, *new: Tensor) -> tuple[Tensor, ...]:
        return self.inner.append(*new, *new)[: len(new)]


class Packs(Toy):
    packs = True

    def forward(self, x_BTD: Tensor, *, sequence_ids: Tensor | None = None, **how: Any) -> DecoderOutput:
        self.ids = sequence_ids
        return super().forward(x_BTD, **how)

    def mask(self, mask_BS: Tensor, new: int) -> Tensor:
        return super().mask(mask_BS, new) if self.ids is None else packed_causal_mask(self.ids)

    def count(self, past: int, new: int) -> Tensor:
        return super().count(past, new) if self.ids is None else packed_positions(self.ids)


class MixesSamples(Packs):
    def mask(self, mask_BS: Tensor, new: int) -> Tensor:
        return Toy.mask(self, mask_BS, new)


class CountsOn(Packs):
    def count(self, past: int, new: int) -> Tensor:
        return Toy.count(self, past, new)


class HidesPadding(Packs):
    def mask(self, mask_BS: Tensor, new: int) -> Tensor:
        mask_BTS = super().mask(mask_BS, new)
        return mask_BTS if self.ids is None else mask_BTS & (self.ids > 0)[:, None]

    def logits(self, x_BTD: Tensor) -> Tensor:
        scores = super().logits(x_BTD)
        return scores if self.ids is None else scores.masked_fill((self.ids == 0)[..., None], float("nan"))


WRONG = [
    (GivesATensor, "runs", ("AttributeError",)),
    (GivesALookalike, "shapes", ("forward gives a SimpleNamespace", "DecoderOutput")),
    (HasALargeHead, "shapes", ("logits gives [2, 8, 12], declared is [2, 8, 11]",)),
    (SeesLater, "causality", ("positions from 1 on change the results before them", "no causal mask")),
    (SeesOneMore, "causality", ("positions from 1 on", "off by one")),
    (SeesItselfOnly, "causality", ("does not change the last result",)),
    (IgnoresPadding, "padding", ("with 4 positions of padding", "padding is attended to")),
    (KeepsOutputs, "hidden_states", ("each layer's output is kept",)),
    (ForgetsTheLastState, "hidden_states", ("2 hidden states for 2 layers",)),
    (AlwaysGivesStates, "hidden_states", ("though nobody asked",)),
    (MixesSamples, "packing", ("sample 2 of a row gives another result", "packed_causal_mask")),
    (CountsOn, "packing", ("sample 2 of a row gives another result", "packed_positions")),
    (HidesPadding, "packing", ("gives no numbers",)),
    (HasNoLimit, "context_limit", ("17 positions", "max_positions is 16", "self.require_context(past + new)")),
    (FailsBeyondItsLimit, "context_limit", ("17 positions end in a RuntimeError",)),
    (FailsOnOtherMasks, "wrong_mask", ("ends in a RuntimeError",)),
    (TakesAnyMask, "wrong_mask", ("a mask of shape", "compare it with the embeddings")),
    (StartsAtZero, "cached", ("position by position the results are others", "cache.length")),
    (AlignsWithTheFirst, "chunked", ("in chunks of", "aligned with the first position")),
    (RemembersItself, "crop", ("after a crop from 8 to 4", "beside the cache")),
    (RemembersItsMask, "reorder", ("after a reordering", "beside the cache")),
    (TellsNobody, "policy_calls", ("the policy was told [], not [('before', 0, 0)",)),
    (SaysNotWhere, "policy_calls", ("cache.device is meta after forward on cpu",)),
    (RepeatsKeys, "cached_vectors", ("the cache keeps 8 of width 8; cached_vectors says 4 of width 8",)),
    (LimitsNewOnes, "cache_limit", ("2 positions after 15 cached ones are taken", "only new positions")),
    (LimitsAfterwards, "cache_limit", ("left 17 positions in the cache, not 15",)),
]  # fmt: skip


@pytest.mark.parametrize(("part", "law", "words"), WRONG, ids=lambda value: getattr(value, "__name__", None))
def test_a_mistake_breaks_its_law(part: type[Toy], law: str, words: tuple[str, ...]) -> None:
    caught(part(ToyConfig()), law, *words)
    if law != "padding":
        holds(Packs(ToyConfig()), law)


def test_absolute_positions_are_noted() -> None:
    found = outcome(Toy(ToyConfig()), "padding")
    assert (found.status, found.reason) == (
        "noted",
        "its positions are absolute: batches with padding need position_ids",
    )


def test_a_decoder_that_counts_positions_itself_is_not_given_any() -> None:
    holds(CountsItself(ToyConfig()), "padding")


def test_what_a_config_does_not_declare_is_not_tested() -> None:
    class SaysNothingConfig(ToyConfig):
        def cached_vectors(self) -> Mapping[int, int]:
            return {}

    assert outcome(Toy(SaysNothingConfig()), "cached_vectors").status == "skipped"


def test_stop_ids_outside_the_vocabulary_break_the_law_of_shapes() -> None:
    class StopsLateConfig(ToyConfig):
        @property
        def stop_ids(self) -> tuple[int, ...]:
            return (11,)

    caught(Toy(StopsLateConfig()), "shapes", "stop_ids are (11,), the vocabulary has 11 ids")


def test_what_a_config_does_not_limit_is_not_tested_for_it() -> None:
    assert outcome(Toy(ToyConfig(positions=99)), "cache_limit").reason == "it has 99 positions; up to 64 are tried"
