"""The DeepSeek-VL processor: the official settings and files around the processor of any model."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from vlkit.encoders import HybridConfig
from vlkit.errors import ConfigError
from vlkit.files import read_json, write_json
from vlkit.layouts import PlainConfig
from vlkit.models.deepseek_vl.config import DeepseekVLConfig
from vlkit.models.deepseek_vl.cropping import whole_pictures
from vlkit.models.deepseek_vl.settings import IMAGE_FILE, TEXT_FILE, DeepseekVLProcessorConfig
from vlkit.models.family import NATIVE
from vlkit.models.geometry import geometry_of
from vlkit.notation import Grid
from vlkit.processing.geometry import ImageGeometry
from vlkit.processing.image import MAX_PIXELS
from vlkit.processing.processor import Processor
from vlkit.processing.tokenizer import Tokenizer
from vlkit.vlm_config import VLMConfig


class DeepseekVLProcessor(Processor[DeepseekVLProcessorConfig]):
    """Turns conversations and pictures into what `DeepseekVL` takes.

    A conversation without a system message begins with the official system text; one whose text is empty has none.

    Args:
        tokenizer: holds the image token.
        config: sizes, normalisation, labels.
        geometry: all that a model has settled of its pictures; None: a square of tokens, as the settings count them.
        max_pixels: most pixels of a picture, checked before it is decoded.

    Raises:
        ConfigError: if settings and geometry differ in the size of a picture or in the tokens that it takes.
        CheckpointError: if the tokenizer has no image token.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        config: DeepseekVLProcessorConfig,
        *,
        geometry: ImageGeometry | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        super().__init__(tokenizer, config, geometry or _square(config), max_pixels=max_pixels)
        side = (config.image_size, config.image_size)
        _require_agreement("size of a picture", side, tuple(self.geometry.tile_size))
        _require_agreement("number of its tokens", config.num_image_tokens, self.plan(side).num_tokens)

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path, *, revision: str | None = None) -> Self:
        """Processor of a folder or of a repository on the hub.

        The folder holds preprocessor_config.json, mostly processor_config.json, and the tokenizer's files. The
        config.json of the model, if it is there, says into which grid of tokens a picture is turned.

        Raises:
            CheckpointError: if a file is missing or damaged.
            ConfigError: if a setting is wrong.
        """
        folder = Path(name_or_path)
        if not folder.is_dir():
            from vlkit.checkpoint.hub import resolve_folder

            folder = resolve_folder(name_or_path, revision=revision, weights=False)
        text, model = folder / TEXT_FILE, folder / "config.json"
        config = DeepseekVLProcessorConfig.from_official(
            read_json(folder / IMAGE_FILE), read_json(text) if text.is_file() else {}
        )
        tokenizer = Tokenizer.from_folder(folder, tokens=(config.image_token,), pad_token=config.pad_token)
        return cls(tokenizer, config, geometry=_geometry(read_json(model), config) if model.is_file() else None)

    @classmethod
    def for_model(cls, config: VLMConfig, tokenizer: Tokenizer | None = None) -> Self:
        """Processor of an assembled model, in all else with the settings of the released files.

        Args:
            config: gives size, layout, grid and cropping, and its encoder the normalisation.
            tokenizer: None: one token per byte, `Tokenizer.of_bytes`.

        Raises:
            ConfigError: if the tokenizer has ids beyond the decoder's vocabulary, or the tiles are not square.
            CheckpointError: if the tokenizer has no image token.
        """
        width, height = config.tile_size
        if width != height:
            raise ConfigError(f"tiles of {config.tile_size}", rule="the settings of DeepSeek-VL have one side for both")
        encoder = config.encoder.high if isinstance(config.encoder, HybridConfig) else config.encoder
        settings = DeepseekVLProcessorConfig(
            image_size=width,
            min_size=config.cropping.least_side,
            num_image_tokens=config.image_tokens(config.tile_size),
            image_mean=encoder.pixel_mean,
            image_std=encoder.pixel_std,
            normalize=encoder is config.encoder,
        )
        tokenizer = Tokenizer.of_bytes([settings.image_token]) if tokenizer is None else tokenizer
        tokenizer.require_within(config.decoder.vocabulary)
        return cls(tokenizer, settings, geometry=geometry_of(config))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write preprocessor_config.json, processor_config.json and the tokenizer's files.

        Raises:
            CheckpointError: if the folder cannot be written to.
        """
        for name, content in zip((IMAGE_FILE, TEXT_FILE), self.config.to_official(), strict=True):
            write_json(Path(folder) / name, content)
        self.tokenizer.save(folder)


def _square(config: DeepseekVLProcessorConfig) -> ImageGeometry:
    side = math.isqrt(config.num_image_tokens)
    return ImageGeometry(
        layout=PlainConfig(),
        candidate_resolutions=((config.image_size, config.image_size),),
        grid_of=lambda size: Grid(side, side),
        cropping=whole_pictures(config.min_size),
    )


def _geometry(content: Mapping[str, Any], config: DeepseekVLProcessorConfig) -> ImageGeometry:
    """Geometry of the model; its official config has no field for the shortest side."""
    if NATIVE in content:
        return geometry_of(DeepseekVLConfig.model_validate(content[NATIVE]))
    return dataclasses.replace(geometry_of(DeepseekVLConfig.from_hf(content)), cropping=whole_pictures(config.min_size))


def _require_agreement(what: str, setting: Any, model: Any) -> None:
    if setting != model:
        raise ConfigError(
            f"the {what} is {setting} in the processor's settings, {model} by the model's grid",
            rule="processor and model agree about pictures",
            remedy="take both from one checkpoint, with its config.json",
        )
