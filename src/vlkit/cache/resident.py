"""The cache stays on the device that computes."""

from __future__ import annotations

from typing import Literal

from vlkit.cache.base import CachePolicy, CachePolicyConfig, cache_policies


class ResidentConfig(CachePolicyConfig):
    """All layers stay on the device that computes; memory grows in blocks of 256 positions."""

    type: Literal["resident"] = "resident"
    """Tag of the policy."""


@cache_policies.register(ResidentConfig)
class Resident(CachePolicy):
    """Does nothing: the reference that all others are measured by."""
