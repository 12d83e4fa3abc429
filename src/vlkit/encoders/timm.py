"""Any model of the timm library as an encoder: vision transformers, convolutional networks and hierarchical models."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from einops import rearrange
from pydantic import model_validator
from torch import Tensor, nn

from vlkit.config import Count
from vlkit.encoders.base import Encoder, EncoderConfig, encoders
from vlkit.encoders.timm_model import (
    features_of,
    flops_of,
    load_timm,
    make_timm,
    published,
    run_timm,
    unused_of,
    width_last,
)
from vlkit.errors import ConfigError
from vlkit.foreign import building
from vlkit.foreign.features import Features
from vlkit.foreign.tables import round_tables
from vlkit.notation import Grid, Size


class TimmConfig(EncoderConfig):
    """A model of timm by its name."""

    type: Literal["timm"] = "timm"
    """Tag of the encoder."""
    model: str = "vit_base_patch16_224"
    """A name of `timm.list_models()`, with or without the tag of published weights behind a point."""
    image_size: Count | tuple[Count, Count] | None = None
    """Side of a square tile, or its width and height, in pixels; None: that of the published weights."""
    select_layer: int | tuple[int, ...] | None = None
    """Intermediate features in place of the final ones, by their number in `forward_intermediates` (-1 the last one);
    several are put side by side on the width, in the model's order."""
    norm: bool = False
    """Whether intermediate features pass the model's last norm."""
    dynamic_size: bool = False
    """Whether a vision transformer resizes its positions to tiles of other sizes; convolutions take them anyhow."""

    @property
    def feature_dim(self) -> int:
        return self.features.width

    @cached_property
    def tile_size(self) -> Size:
        match self.image_size:
            case None:
                _, height, width = self.published["input_size"]
                return Size(width, height)
            case (width, height):
                return Size(width, height)
            case side:
                return Size(side, side)

    @property
    def pixel_mean(self) -> tuple[float, float, float]:
        red, green, blue = self.published["mean"]
        return (red, green, blue)

    @property
    def pixel_std(self) -> tuple[float, float, float]:
        red, green, blue = self.published["std"]
        return (red, green, blue)

    @property
    def published(self) -> dict[str, Any]:
        """What timm says of the published weights."""
        return published(self.model)

    @cached_property
    def features(self) -> Features:
        """What the model makes of a tile of its own size."""
        return features_of(self, self.tile_size)

    def features_of(self, size: Size) -> Features:
        """What the model makes of a tile of `size` pixels.

        Raises:
            ConfigError: if it does not take such tiles.
        """
        return self.features if size == self.tile_size else features_of(self, Size(*size))

    def check_size(self, size: Size) -> None:
        if size != self.tile_size:
            try:
                self.features_of(size)
            except ConfigError as error:
                raise ConfigError(
                    f"tiles of {size} pixels for {self.model!r}: {error.problem}",
                    rule=f"its tiles are {self.tile_size}; others only if the model takes them",
                    remedy="change image_size, or set dynamic_size if the model has it",
                ) from error

    def grid_out(self, size: Size) -> Grid:
        return self.features_of(size).grid

    def forward_flops(self, size: Size) -> int:
        return flops_of(self, Size(*size))

    @model_validator(mode="after")
    def _check(self) -> TimmConfig:
        _ = self.features
        return self


@encoders.register(TimmConfig)
class Timm(Encoder):
    """A model of timm behind the encoder contract.

    Args:
        config: its settings.
        model: a model that is built already, in place of a new one.
    """

    config: TimmConfig

    def __init__(self, config: TimmConfig, *, model: Any = None) -> None:
        super().__init__(config)
        self.model: Any = building.build(lambda: make_timm(config)) if model is None else model
        self.model.register_load_state_dict_post_hook(round_tables)

    @classmethod
    def from_pretrained(cls, model: str, *, file: str | Path | None = None, **fields: Any) -> Self:
        """Encoder with published weights, from a safetensors file only, resized to `image_size` as timm does it.

        Args:
            model: name of the model, as in the config.
            file: a safetensors file with the names of timm; None: the published one, fetched from the hub.
            fields: the config's other fields.

        Returns:
            The encoder, in evaluation mode.

        Raises:
            ConfigError: if timm is missing, or there is no such model.
            CheckpointError: if there are no such weights, or they do not fit.
        """
        config = TimmConfig(model=model, **fields)
        return cls(config, model=load_timm(config, file)).eval()

    def forward(self, pixels: Tensor) -> Tensor:
        features = self.config.features_of(self.require_pixels(pixels))
        out = run_timm(self.config, self.model, pixels)
        if out.ndim == 3:
            return rearrange(out[:, features.prefix :], "n (y x) w -> n y x w", y=features.grid.rows)
        return out if width_last(self.config, self.model) else rearrange(out, "n w y x -> n y x w")

    def idle_modules(self) -> tuple[nn.Module, ...]:
        return tuple(self.model.get_submodule(name) for name in unused_of(self.config))
