"""Rotary position embedding: frequencies, their scaling to long contexts, and the rotation.

Papers: RoPE arXiv:2104.09864, linear interpolation arXiv:2306.15595, YaRN arXiv:2309.00071.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from vlkit.config import Config


class RopeScaling(Config):
    """What all ways of scaling share."""

    factor: float = Field(ge=1)
    """By how much the context is stretched."""
    mscale_all_dim: float = 0.0
    """Latent attention multiplies its softmax scale by `m(mscale_all_dim)^2`, `m` being `attention_factor`; 0: by 1."""

    @property
    def softmax_factor(self) -> float:
        """Factor on the softmax scale of latent attention."""
        return attention_factor(self.factor, self.mscale_all_dim) ** 2

    @property
    def amplitude(self) -> float:
        """Factor on cosines and sines."""
        return 1.0


class LinearScaling(RopeScaling):
    """Positions divided by the factor."""

    type: Literal["linear"] = "linear"
    """Tag of the scaling."""


class DynamicScaling(RopeScaling):
    """The base grows with the sequence once it is longer than `max_position_embeddings`."""

    type: Literal["dynamic"] = "dynamic"
    """Tag of the scaling."""


class YarnScaling(RopeScaling):
    """Low frequencies interpolated, high ones kept, a ramp between them."""

    type: Literal["yarn"] = "yarn"
    """Tag of the scaling."""
    original_max_position_embeddings: int = Field(default=4096, ge=1)
    """Context length that the model was trained for."""
    beta_fast: float = 32
    """Rotations over the original context above which a frequency is kept."""
    beta_slow: float = 1
    """Rotations below which it is interpolated."""
    mscale: float = 1.0
    """Numerator of the amplitude `m(mscale) / m(mscale_all_dim)`."""

    @property
    def amplitude(self) -> float:
        return attention_factor(self.factor, self.mscale) / attention_factor(self.factor, self.mscale_all_dim)


AnyRopeScaling = Annotated[LinearScaling | DynamicScaling | YarnScaling, Field(discriminator="type")]


def attention_factor(factor: float, mscale: float) -> float:
    """`0.1 * mscale * ln(factor) + 1`, and 1 for factors up to 1 (YaRN, section 3.4)."""
    return 0.1 * mscale * math.log(factor) + 1.0 if factor > 1 else 1.0


class Rotation(NamedTuple):
    """Cosines and sines, float32[B, T, K / 2] each, of the angles at every position."""

    cos: Tensor
    sin: Tensor


class Rope:
    """Rotary tables; float32 whatever the model's dtype, and without state.

    Args:
        dim: rotated width K of a head.
        theta: base of the frequencies.
        max_positions: context length beyond which dynamic scaling sets in.
        scaling: how long contexts are reached, if at all.
    """

    def __init__(self, *, dim: int, theta: float, max_positions: int, scaling: AnyRopeScaling | None = None) -> None:
        self.dim, self.theta, self.max_positions, self.scaling = dim, theta, max_positions, scaling

    def __call__(self, positions_BT: Tensor, *, longest: Tensor | int | None = None) -> Rotation:
        """Rotation at each position.

        Args:
            positions_BT: int64[B, T].
            longest: length of the longest sequence so far, which dynamic scaling depends on; None: from the positions.
        """
        if longest is None:
            longest = positions_BT.max() + 1 if isinstance(self.scaling, DynamicScaling) else 0
        wide = positions_BT.to(torch.float32)
        if isinstance(self.scaling, LinearScaling):
            wide = wide / self.scaling.factor
        angles = wide[..., None] * self.frequencies(longest, device=positions_BT.device)
        amplitude = self.scaling.amplitude if self.scaling else 1.0
        return Rotation(angles.cos() * amplitude, angles.sin() * amplitude)

    def frequencies(self, longest: Tensor | int = 0, *, device: torch.device | None = None) -> Tensor:
        """Angle per position of each pair of dimensions, float32[K / 2]."""
        exponents = torch.arange(0, self.dim, 2, device=device).float() / self.dim
        match self.scaling:
            case DynamicScaling(factor=factor):
                length = torch.as_tensor(longest, device=device).clamp(min=self.max_positions)
                stretch = factor * length / self.max_positions - (factor - 1)
                return 1.0 / (self.theta * stretch ** (self.dim / (self.dim - 2))) ** exponents
            case YarnScaling() as yarn:
                kept = 1.0 / self.theta**exponents
                interpolated = 1.0 / (yarn.factor * self.theta**exponents)
                ramp = self._ramp(yarn, device)
                return interpolated * ramp + kept * (1 - ramp)
            case _:
                return 1.0 / self.theta**exponents

    def _ramp(self, yarn: YarnScaling, device: torch.device | None) -> Tensor:
        def dimension(rotations: float) -> float:
            turns = yarn.original_max_position_embeddings / (rotations * 2 * math.pi)
            return self.dim * math.log(turns) / (2 * math.log(self.theta))

        low = max(math.floor(dimension(yarn.beta_fast)), 0)
        high: float = min(math.ceil(dimension(yarn.beta_slow)), self.dim - 1)
        if high == low:
            high += 0.001
        return ((torch.arange(self.dim // 2, device=device).float() - low) / (high - low)).clamp(0, 1)


def rotate(x_BTHK: Tensor, rotation: Rotation, *, interleaved: bool) -> Tensor:
    """Heads turned by their positions' angles; the result always has first halves before second halves.

    Args:
        x_BTHK: float[B, T, H, K].
        rotation: tables for these positions.
        interleaved: whether the pairs stand next to each other (latent attention) or half a head apart (Llama).
    """
    wide = x_BTHK.to(torch.promote_types(x_BTHK.dtype, torch.float32))
    first, second = (wide[..., 0::2], wide[..., 1::2]) if interleaved else wide.chunk(2, dim=-1)
    cos, sin = rotation.cos[:, :, None], rotation.sin[:, :, None]
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1).to(x_BTHK.dtype)
