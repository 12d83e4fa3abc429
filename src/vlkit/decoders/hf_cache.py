"""vlkit's KV cache in the shape that models of transformers expect, so that every cache policy serves them too."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from torch import Tensor

from vlkit.cache.base import KVCache
from vlkit.foreign.extras import load_extra


class LayerSteps:
    """Tells the cache's policy which layer of a pass runs, as layers ask for their keys and values one by one.

    Args:
        cache: the cache that the pass goes on with.
    """

    def __init__(self, cache: KVCache) -> None:
        self.cache, self.running = cache, -1

    def enter(self, index: int) -> None:
        """Layer `index` is about to read and append; the one before it has finished."""
        self.leave()
        self.cache.policy.before_layer(self.cache, index)
        self.running = index

    def leave(self) -> None:
        """The layer that ran last has finished."""
        if self.running >= 0:
            self.cache.policy.after_layer(self.cache, self.running)
        self.running = -1


def transformers_cache(steps: LayerSteps) -> Any:
    """A `transformers.Cache` for one pass whose keys and values live in vlkit's cache."""
    layers = [_layer_class()(steps, index) for index in range(len(steps.cache.layers))]
    return load_extra("transformers").Cache(layers=layers)


def keeps_keys_and_values(config: Any) -> bool:
    """Whether all that a model of this transformers config keeps of earlier positions is keys and values."""
    kinds = {type(layer).__name__ for layer in load_extra("transformers").DynamicCache(config=config).layers}
    return kinds <= {"DynamicLayer", "DynamicSlidingWindowLayer"}


@lru_cache(maxsize=1)
def _layer_class() -> Any:
    base: Any = load_extra("transformers").DynamicLayer

    class Layer(base):  # type: ignore[misc]
        """One layer of it; windows are left to the masks, so that the cache can be cut back to any length."""

        def __init__(self, steps: LayerSteps, index: int) -> None:
            super().__init__()
            self.steps, self.index = steps, index

        def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
            self.steps.enter(self.index)
            return self.steps.cache.layers[self.index].append(key_states, value_states)

        def get_seq_length(self, *args: Any) -> int:
            return self.steps.cache.layers[self.index].length

    return Layer
