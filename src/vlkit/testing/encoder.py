"""Encoders put to the test: what they are run on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vlkit.encoders.base import Encoder, EncoderConfig, encoders
from vlkit.errors import ConfigError
from vlkit.notation import Size
from vlkit.testing.building_laws import BUILDING_LAWS
from vlkit.testing.comparing import normal
from vlkit.testing.config_laws import CONFIG_LAWS
from vlkit.testing.cost_laws import flops
from vlkit.testing.encoder_laws import ENCODER_LAWS, declared
from vlkit.testing.forward_laws import FORWARD_LAWS
from vlkit.testing.module_subject import ModuleSubject
from vlkit.testing.start_laws import START_LAWS
from vlkit.testing.subject import Options
from vlkit.testing.tool_laws import TOOL_LAWS


class EncoderSubject(ModuleSubject):
    """An encoder.

    Args:
        target: a tag, a config class, a config, or an encoder.
        options: as in `Options`.
        sizes: widths and heights of tiles to run it on; None: its own, and those near it that `check_size` allows.
    """

    kind, x_name = "encoder", "pixels"
    registry, contract = encoders, Encoder
    laws = (*CONFIG_LAWS, declared, *START_LAWS, *ENCODER_LAWS, flops, *BUILDING_LAWS, *FORWARD_LAWS, *TOOL_LAWS)
    config: EncoderConfig

    def __init__(self, target: Any, options: Options, *, sizes: Sequence[tuple[int, int]] | None = None) -> None:
        super().__init__(target, options)
        self._sizes = sizes

    @property
    def sizes(self) -> list[Size]:
        """Widths and heights of tiles to run it on, its own first."""
        width, height = self.config.tile_size
        if self._sizes is not None:
            return [self.config.tile_size, *(Size(*size) for size in self._sizes)]
        across, down = self.config.cell_size
        near = [
            (width + across, height), (width, height + down), (width + across, height + down), (width + 1, height + 1),
            (width - across, height - down), (width, height - down), (width // 2, height // 2),
        ]  # fmt: skip
        return [self.config.tile_size, *(Size(*size) for size in near if self.takes(Size(*size)))]

    def takes(self, size: Size) -> bool:
        """Whether the config allows tiles of a size."""
        if min(size) < 1:
            return False
        try:
            self.config.check_size(size)
        except ConfigError:
            return False
        return True

    def x(self, samples: int = 2, seed: int = 0, dtype: torch.dtype | None = None, size: Size | None = None) -> Tensor:
        width, height = size or self.config.tile_size
        return normal(seed, samples, 3, height, width, dtype=dtype or self.dtype)

    def declared_flops(self) -> int:
        return self.config.forward_flops(self.config.tile_size)
