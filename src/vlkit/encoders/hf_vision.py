"""Any vision model of the transformers library as an encoder: CLIP, SigLIP 1 and 2, DINO, ViT, ConvNeXt and others."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import torch
from einops import rearrange
from pydantic import Field, model_validator
from torch import Tensor, nn

from vlkit.config import Count
from vlkit.encoders.base import Encoder, EncoderConfig, encoders
from vlkit.encoders.hf_loading import Colours, load_tower, normalisation
from vlkit.encoders.hf_tower import (
    features_of,
    flops_of,
    make_tower,
    native_size,
    run_tower,
    unused_of,
    vision_config,
)
from vlkit.errors import ConfigError
from vlkit.foreign import building
from vlkit.foreign.features import Features
from vlkit.foreign.hf_config import check_content
from vlkit.foreign.tables import PreciseTables, move_tables
from vlkit.notation import Grid, Size


class HFVisionConfig(EncoderConfig):
    """A vision model that the installed transformers knows; the default is SigLIP base at 224 pixels as released."""

    type: Literal["hf_vision"] = "hf_vision"
    """Tag of the encoder."""
    config: dict[str, Any] = Field(default_factory=lambda: {"model_type": "siglip_vision_model"})
    """Content of the model's `config.json`, `model_type` included; what it leaves out has the library's defaults. Of
    a model with text and vision the vision part is taken."""
    image_size: Count | tuple[Count, Count] | None = None
    """Side of a square tile, or its width and height, in pixels; None: that of `config`."""
    select_layer: int | None = None
    """Number of the hidden state that is taken, 0 for the embeddings and -1 for the last layer, without the last norm
    if the model keeps that apart; None: the model's last hidden state."""
    mean: Colours = (0.5, 0.5, 0.5)
    """Mean per colour that is subtracted from pixels of 0 to 1."""
    std: Colours = (0.5, 0.5, 0.5)
    """Standard deviation per colour that they are divided by."""

    @property
    def feature_dim(self) -> int:
        return self.features.width

    @cached_property
    def tile_size(self) -> Size:
        match self.image_size:
            case None:
                return native_size(vision_config(self.config))
            case (width, height):
                return Size(width, height)
            case side:
                return Size(side, side)

    @property
    def pixel_mean(self) -> Colours:
        return self.mean

    @property
    def pixel_std(self) -> Colours:
        return self.std

    @cached_property
    def features(self) -> Features:
        """What the model makes of a tile of its own size."""
        return features_of(self.config, self.tile_size, self.select_layer)

    def features_of(self, size: Size) -> Features:
        """What the model makes of a tile of `size` pixels.

        Raises:
            ConfigError: if it does not take such tiles.
        """
        own = size == self.tile_size
        return self.features if own else features_of(self.config, Size(*size), self.select_layer)

    def check_size(self, size: Size) -> None:
        if size != self.tile_size:
            try:
                self.features_of(size)
            except ConfigError as error:
                raise ConfigError(
                    f"tiles of {size} pixels: {error.problem}",
                    rule=f"tiles of this encoder are {self.tile_size}; others only if its model takes them",
                    remedy="change image_size, or the size of the tiles",
                ) from error

    def grid_out(self, size: Size) -> Grid:
        return self.features_of(size).grid

    def forward_flops(self, size: Size) -> int:
        return flops_of(self.config, Size(*size), self.select_layer)

    @model_validator(mode="after")
    def _check(self) -> HFVisionConfig:
        check_content(self.config)
        _ = self.features
        if min(self.std) <= 0:
            raise ConfigError(f"std {self.std}", rule="pixels are divided by it, so it is above 0")
        return self


@encoders.register(HFVisionConfig)
class HFVision(PreciseTables, Encoder):
    """A vision model of transformers behind the encoder contract.

    Args:
        config: its settings.
        tower: a model that is built already, in place of a new one.
    """

    config: HFVisionConfig

    def __init__(self, config: HFVisionConfig, *, tower: Any = None) -> None:
        super().__init__(config)
        self.tower: Any = building.build(lambda: make_tower(config.config)) if tower is None else tower
        self.tower.register_load_state_dict_post_hook(move_tables)

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        *,
        revision: str | None = None,
        dtype: torch.dtype | None = None,
        **fields: Any,
    ) -> Self:
        """Encoder with published weights, from safetensors files only; code of the checkpoint is never run.

        Args:
            name_or_path: folder or hub id, also of a model with text and vision.
            revision: branch, tag or commit on the hub.
            dtype: type of the weights; None: as in the file.
            fields: fields of the config; mean and std are those of `preprocessor_config.json` if it is there.

        Returns:
            The encoder, in evaluation mode.

        Raises:
            ConfigError: if transformers is missing or does not know the model.
            CheckpointError: if files are missing or damaged, or lack weights of the model.
        """
        content, tower = load_tower(name_or_path, revision=revision, dtype=dtype)
        settings = normalisation(name_or_path, revision=revision) | fields
        return cls(HFVisionConfig(config=content, **settings), tower=tower).eval()

    def forward(self, pixels: Tensor) -> Tensor:
        features = self.config.features_of(self.require_pixels(pixels))
        out = run_tower(self.tower, pixels, self.config.select_layer)
        if out.ndim == 4:
            return rearrange(out, "n w y x -> n y x w")
        return rearrange(out[:, features.prefix :], "n (y x) w -> n y x w", y=features.grid.rows)

    def idle_modules(self) -> tuple[nn.Module, ...]:
        config = self.config
        names = unused_of(config.config, config.tile_size, config.select_layer)
        return tuple(self.tower.get_submodule(name) for name in names)
