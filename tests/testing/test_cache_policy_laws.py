"""Every law of cache policies catches the mistake it is for, in a policy that is right without it."""

import random
from collections.abc import Iterator
from typing import ClassVar, Literal

import pytest
import torch
from torch import Tensor

from tests.testing.catching import caught, holds
from vlkit.cache import CachePolicy, CachePolicyConfig, KVCache, LayerCache, cache_policies
from vlkit.errors import RegistryError
from vlkit.testing import check_cache_policy


class ShelfConfig(CachePolicyConfig):
    """Puts layers on a shelf."""

    type: Literal["shelf"] = "shelf"
    """Tag of the policy."""


class Shelf(CachePolicy):
    """A policy that keeps all laws."""


@pytest.fixture(autouse=True)
def _scratch() -> Iterator[None]:
    with cache_policies.scratch():
        yield


def registered(policy: type[CachePolicy]) -> ShelfConfig:
    """Config that leads to the policy."""
    cache_policies.register(ShelfConfig, replace=True)(policy)
    return ShelfConfig()


def test_the_policy_itself_keeps_every_law() -> None:
    report = check_cache_policy(registered(Shelf))
    assert {found.status for found in report.outcomes} == {"passed"}


def with_layer(layer: type[LayerCache]) -> type[CachePolicy]:
    """Policy with its own kind of layer cache."""
    return type(layer.__name__, (Shelf,), {"new_layer": lambda self: layer()})


class Rounded(LayerCache):
    def append(self, *new: Tensor) -> tuple[Tensor, ...]:
        return super().append(*(tensor.bfloat16().to(tensor.dtype) for tensor in new))


class NeverForgets(LayerCache):
    def crop(self, length: int) -> None:
        pass


class ComesBack(LayerCache):
    lost: tuple[Tensor, ...] = ()

    def crop(self, length: int) -> None:
        if length < self.length:
            self.lost = tuple(tensor[..., length:, :].clone() for tensor in self.tensors)
        super().crop(length)

    def append(self, *new: Tensor) -> tuple[Tensor, ...]:
        lost, self.lost = self.lost, ()
        if lost:
            super().append(*lost)
        return super().append(*new)


class KeepsItsOrder(LayerCache):
    def reorder(self, rows: Tensor) -> None:
        super().reorder(torch.arange(len(rows)) % len(self.tensors[0]))


class Detached(LayerCache):
    def append(self, *new: Tensor) -> tuple[Tensor, ...]:
        return super().append(*(tensor.detach() for tensor in new))


class ForksInPlace(LayerCache):
    def fork(self, other: LayerCache, rows: Tensor | None) -> None:
        other.__dict__ = self.__dict__


class ForksElsewhere(LayerCache):
    def fork(self, other: LayerCache, rows: Tensor | None) -> None:
        super().fork(other, None if rows is None else rows.sort().values.flip(0))


class ReservesMore(LayerCache):
    @property
    def nbytes(self) -> int:
        return super().nbytes + 1


class SharesALayer(Shelf):
    def __init__(self, config: CachePolicyConfig) -> None:
        super().__init__(config)
        self.layer = LayerCache()

    def new_layer(self) -> LayerCache:
        return self.layer


class DropsTheFirstLayer(Shelf):
    def after_layer(self, cache: KVCache, index: int) -> None:
        if index == len(cache.layers) - 1:
            cache.layers[0].crop(0)


class ScalesOtherLayers(Shelf):
    def after_layer(self, cache: KVCache, index: int) -> None:
        if index == len(cache.layers) - 1 and cache.length == 8:
            for tensor in cache.layers[0].tensors:
                tensor.mul_(2)


class Locks(Shelf):
    locked: bool = False

    def before_layer(self, cache: KVCache, index: int) -> None:
        if self.locked:
            for tensor in cache.layers[index].tensors:
                tensor.zero_()
        self.locked = True

    def after_layer(self, cache: KVCache, index: int) -> None:
        self.locked = False


class RefusesAfterErrors(Locks):
    def before_layer(self, cache: KVCache, index: int) -> None:
        if self.locked:
            raise RuntimeError("a layer is being fetched")
        self.locked = True


class KeepsOnItsClass(Shelf):
    kept: ClassVar[list[LayerCache]] = []

    def __init__(self, config: CachePolicyConfig) -> None:
        super().__init__(config)
        self.made = 0

    def new_layer(self) -> LayerCache:
        self.made += 1
        if len(self.kept) < self.made:
            self.kept.append(LayerCache())
        return self.kept[self.made - 1]


class DrawsNumbers(Shelf):
    def after_layer(self, cache: KVCache, index: int) -> None:
        random.random()


class OldArguments(Shelf):
    def before_layer(self, index: int) -> None:  # type: ignore[override]
        pass


WRONG: list[tuple[type[CachePolicy], str, tuple[str, ...]]] = [
    (with_layer(Rounded), "logits", ("others than with 'resident'", "rounded", "near=")),
    (OldArguments, "logits", ("TypeError", "other arguments")),
    (SharesALayer, "logits", ("breaks the law 'logits'",)),
    (SharesALayer, "layers", ("several layers have one cache", "the same object")),
    (DropsTheFirstLayer, "layers", ("the layers hold [0, 3, 3]",)),
    (ScalesOtherLayers, "layers", ("layer 0 holds other numbers (multi-head attention)",)),
    (with_layer(ForksInPlace), "fork", ("ShapeError", "hands out what both then write to")),
    (with_layer(ForksElsewhere), "fork", ("a cache and its fork of 2 copies",)),
    (with_layer(ReservesMore), "declared_bytes", ("bytes, cache_bytes says", "nbytes of the layer")),
    (with_layer(NeverForgets), "crop", ("after a crop to 0 of 8 positions the cache has 8", "crop does nothing")),
    (with_layer(ComesBack), "crop", ("RuntimeError", "what was cropped comes back")),
    (with_layer(KeepsItsOrder), "reorder", ("after a reordering to [2, 0, 1]", "not reordered")),
    (Locks, "after_an_error", ("after an error inside a layer", "only after_layer undoes")),
    (RefusesAfterErrors, "after_an_error", ("RuntimeError: a layer is being fetched",)),
    (with_layer(Detached), "gradients", ("gradients through the cache", "detached")),
    (KeepsOnItsClass, "independence", ("two caches in turn", "on its class")),
    (DrawsNumbers, "global_state", ("it changed Python's random numbers",)),
]  # fmt: skip


@pytest.mark.parametrize(("policy", "law", "words"), WRONG, ids=lambda value: getattr(value, "__name__", None))
def test_a_mistake_breaks_its_law(policy: type[CachePolicy], law: str, words: tuple[str, ...]) -> None:
    caught(registered(policy), law, *words)
    KeepsOnItsClass.kept.clear()
    holds(registered(Shelf), law)


def test_a_policy_that_rounds_may_say_how_much_or_that_it_does() -> None:
    rounded, skip = with_layer(Rounded), ["tag"]
    assert check_cache_policy(registered(rounded), near=0.05).ok

    class LossyConfig(ShelfConfig):
        @property
        def lossless(self) -> bool:
            return False

    cache_policies.register(LossyConfig, replace=True)(rounded)
    assert check_cache_policy(LossyConfig(), skip=skip).ok
    caught(LossyConfig(), "logits", "others than with 'resident'", near=1e-6)


def test_a_policy_object_is_checked_by_its_config() -> None:
    config = registered(Shelf)
    assert check_cache_policy(Shelf(config)).part == "cache policy 'shelf' (ShelfConfig)"


def test_a_policy_that_is_not_registered_is_named() -> None:
    with pytest.raises(RegistryError, match="'shelf' is not one of the cache_policies"):
        check_cache_policy("shelf")
    caught(ShelfConfig(), "tag", "the tag 'shelf' is unknown", "@cache_policies.register(ShelfConfig) is missing")
