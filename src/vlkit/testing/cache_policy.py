"""Cache policies put to the test: a cache under the policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from vlkit.cache.base import CachePolicy, CachePolicyConfig, KVCache, cache_policies
from vlkit.decoders.deepseek_v2 import DeepseekV2
from vlkit.testing.cache_policy_laws import CACHE_POLICY_LAWS
from vlkit.testing.cache_step_laws import CACHE_STEP_LAWS
from vlkit.testing.comparing import require_near
from vlkit.testing.config_laws import CONFIG_LAWS
from vlkit.testing.reference import LAYERS, reference_decoders
from vlkit.testing.subject import Options, Subject

ROUNDED = 0.5
"""Largest relative change of a logit by a policy that rounds and is not told how much: the order of size is right."""


class CachePolicySubject(Subject):
    """A cache policy.

    Args:
        target: a tag, a config class, a config, or a policy.
        options: as in `Options`; a policy has nothing to compile or export.
        near: largest relative change of a logit; None: none at all, or `ROUNDED` if the config says that the policy is
            not lossless.
    """

    kind = "cache policy"
    registry, contract = cache_policies, CachePolicy
    laws = (*CONFIG_LAWS, *CACHE_POLICY_LAWS, *CACHE_STEP_LAWS)
    config: CachePolicyConfig

    def __init__(self, target: Any, options: Options, *, near: float | None = None) -> None:
        super().__init__(target, options)
        self.near = near if near is not None else 0.0 if self.config.lossless else ROUNDED

    def cache(self) -> KVCache:
        """Empty cache under the policy."""
        return KVCache(LAYERS, self.config)

    def compare(
        self,
        run: Callable[[DeepseekV2, KVCache], Tensor],
        what: str,
        *,
        likely: str,
        remedy: str = "a lossless policy moves tensors and leaves their numbers alone; for others pass near=",
    ) -> None:
        """Raise `Broken` unless a run under the policy gives what it gives under `resident`, on every small decoder."""
        for attention, decoder in reference_decoders().items():
            require_near(
                run(decoder, self.cache()),
                run(decoder, decoder.new_cache("resident")),
                f"{what} ({attention})",
                likely=likely,
                remedy=remedy,
                near=self.near,
            )
