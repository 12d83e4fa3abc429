"""Rounding of vectors to few bits, with one scale for each group of channels at each position."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from vlkit.cache.layer import Codec
from vlkit.errors import ConfigError

CodeType = Literal["int8", "int4", "fp8"]
PIECE = 1024
"""Positions that are rounded at once, so that what is needed on the way stays small."""
LARGEST: dict[CodeType, int] = {"int8": 127, "int4": 7, "fp8": 448}
"""Largest number of each code."""


class Quantizer(Codec):
    """Symmetric rounding: a group's scale is its largest number divided by the largest code, in the tensor's own type.

    With `q(x)` what is read back and `scale` that of the group, before the result is rounded to the tensor's type:
    `|x - q(x)| <= scale / 2` for int8 and int4, and for fp8 (e4m3, arXiv:2209.05433)
    `|x - q(x)| <= max(|x| / 16, scale / 1024)`, as long as the scale is a normal number of that type. A group of zeros
    stays zero.

    Args:
        dtype: type of the codes.
        group_size: channels that share a scale; the last group of a vector may have fewer.
        exact_channels: last channels of each vector that are kept as they are.
    """

    def __init__(self, dtype: CodeType, *, group_size: int, exact_channels: int = 0) -> None:
        self.dtype, self.group_size, self.exact_channels = dtype, group_size, exact_channels

    @property
    def name(self) -> str:
        return json.dumps([self.dtype, self.group_size, self.exact_channels])

    def vector_bytes(self, width: int, itemsize: int) -> int:
        """Bytes that a vector takes: codes, scales and exact channels.

        Raises:
            ConfigError: if no channel would be rounded.
        """
        rounded = self._rounded(width)
        codes = -(-rounded // 2) if self.dtype == "int4" else rounded
        return codes + (-(-rounded // self.group_size) + width - rounded) * itemsize

    def encode(self, x: Tensor) -> tuple[Tensor, ...]:
        """Codes uint8[..., T, codes], scales float[..., T, groups], and exact channels float[..., T, exact] if any."""
        pieces = [self._encoded(piece) for piece in x.split(PIECE, dim=-2)]
        return pieces[0] if len(pieces) == 1 else tuple(torch.cat(parts, dim=-2) for parts in zip(*pieces, strict=True))

    def decode(self, kept: Sequence[Tensor], widths: Sequence[int]) -> tuple[Tensor, ...]:
        parts = 3 if self.exact_channels else 2
        each = (kept[start : start + parts] for start in range(0, len(kept), parts))
        return tuple(self._decoded(width, tensors) for width, tensors in zip(widths, each, strict=True))

    def _encoded(self, x: Tensor) -> tuple[Tensor, ...]:
        rounded, limit = self._rounded(x.shape[-1]), LARGEST[self.dtype]
        groups = F.pad(x[..., :rounded], (0, -rounded % self.group_size)).unflatten(-1, (-1, self.group_size))
        scales = groups.abs().amax(dim=-1) / limit
        wide = torch.promote_types(x.dtype, torch.float32)
        levels = groups.to(wide) / scales.to(wide).masked_fill(scales == 0, 1)[..., None]
        codes = self._codes(levels.clamp(-limit, limit).flatten(-2)[..., :rounded])
        return (codes, scales, x[..., rounded:]) if self.exact_channels else (codes, scales)

    def _decoded(self, width: int, kept: Sequence[Tensor]) -> Tensor:
        scales = kept[1]
        x = scales.new_empty(*scales.shape[:-1], width)
        for piece, *parts in zip(*(tensor.split(PIECE, dim=-2) for tensor in (x, *kept)), strict=True):
            self._decode_into(piece, *parts)
        return x

    def _decode_into(self, x: Tensor, codes: Tensor, scales: Tensor, exact: Tensor | None = None) -> None:
        rounded = self._rounded(x.shape[-1])
        whole = rounded // self.group_size
        x[..., :rounded] = self._levels(codes)[..., :rounded]
        x[..., : whole * self.group_size].unflatten(-1, (whole, self.group_size)).mul_(scales[..., :whole, None])
        x[..., whole * self.group_size : rounded].mul_(scales[..., whole:])
        if exact is not None:
            x[..., rounded:] = exact

    def _codes(self, levels: Tensor) -> Tensor:
        if self.dtype == "fp8":
            return levels.to(torch.float8_e4m3fn).view(torch.uint8)
        whole = levels.round().to(torch.int8)
        if self.dtype == "int8":
            return whole.view(torch.uint8)
        first, second = (F.pad(whole, (0, whole.shape[-1] % 2)).view(torch.uint8) & 15).chunk(2, dim=-1)
        return first | second << 4

    def _levels(self, codes: Tensor) -> Tensor:
        if self.dtype == "fp8":
            return codes.view(torch.float8_e4m3fn)
        if self.dtype == "int8":
            return codes.view(torch.int8)
        return torch.cat([(codes << 4).view(torch.int8) >> 4, codes.view(torch.int8) >> 4], dim=-1)

    def _rounded(self, width: int) -> int:
        """Channels of a vector that are rounded."""
        if width <= self.exact_channels:
            raise ConfigError(
                f"exact_channels {self.exact_channels} of vectors of width {width}",
                rule="some channels of each vector are rounded",
                remedy="set exact_channels lower, or do not quantize",
            )
        return width - self.exact_channels
