"""The DeepSeek-OCR processor: the official settings and files, and one processor per resolution mode."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field

from vlkit.config import Count
from vlkit.encoders import DeepEncoderConfig
from vlkit.files import read_json
from vlkit.layouts import TilesFirstConfig
from vlkit.models.deepseek_ocr.config import DeepseekOCRConfig
from vlkit.models.deepseek_ocr.modes import DEFAULT, ResolutionMode, mode_of
from vlkit.models.family import NATIVE
from vlkit.models.geometry import geometry_of
from vlkit.notation import Grid, Size
from vlkit.processing.geometry import ImageGeometry
from vlkit.processing.image import MAX_PIXELS
from vlkit.processing.processor import Processor, ProcessorConfig
from vlkit.processing.tokenizer import Tokenizer
from vlkit.vlm_config import VLMConfig

TOKENS = ("<image>", "<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>", "<|grounding|>")
"""Tokens of pictures and places in them, in the order in which missing ones get their ids."""

RELICS = {"processor_class": "DeepseekVLV2Processor", "sft_format": "deepseek"}
"""Class and template that the released settings file names and the official code does not use: DeepSeek-VL2's."""


class DeepseekOCRProcessorConfig(ProcessorConfig):
    """The official processor_config.json, and the mode of a processor that has another one than its model's config."""

    sft_format: str = "plain"
    """Name of the chat template: the official prompts are plain text, whatever the released file says."""
    patch_size: Count = 16
    """Side of the encoder's patches in pixels."""
    downsample_ratio: Count = 4
    """Patches per feature, in both directions."""
    mode: ResolutionMode | None = None
    """Sizes of the views; None: those of the model's config.json."""
    candidate_resolutions: tuple[tuple[Count, Count], ...] = Field(default=((1024, 1024),), max_length=1024)
    """Not used, by the official code neither: the mode gives the sizes."""
    add_special_token: bool = False
    """Not used, by the official class neither."""
    processor_class: str | None = "DeepseekOCRProcessor"
    """Not used; recorded by the files."""
    auto_map: dict[str, str] | None = None
    """Not used: code of a checkpoint is never run."""

    def grid_of(self, size: Size) -> Grid:
        """Feature rows and columns of a view of `size` pixels."""
        rows, cols = (math.ceil(side // self.patch_size / self.downsample_ratio) for side in (size.height, size.width))
        return Grid(rows, cols)


class DeepseekOCRProcessor(Processor[DeepseekOCRProcessorConfig]):
    """Turns prompts and pictures into what `DeepseekOCR` takes; `at` gives the processors of other modes.

    Args:
        tokenizer: holds the image token.
        config: mode, normalisation, template.
        geometry: all that a model has settled of its pictures; None: that of the released model.
        max_pixels: most pixels of a picture, checked before it is decoded.

    Raises:
        CheckpointError: if the tokenizer has no image token.
    """

    upright: ClassVar[bool] = True

    def __init__(
        self,
        tokenizer: Tokenizer,
        config: DeepseekOCRProcessorConfig,
        *,
        geometry: ImageGeometry | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        if geometry is None:
            mode = config.mode or mode_of(DEFAULT)
            geometry = ImageGeometry(layout=TilesFirstConfig(), grid_of=config.grid_of, **mode.fields)
        super().__init__(tokenizer, config, geometry, max_pixels=max_pixels)

    def at(self, mode: str | ResolutionMode) -> Self:
        """Processor of another resolution mode, alike in all else.

        Args:
            mode: "tiny", "small", "base", "large", "gundam", or sizes of one's own.

        Raises:
            ConfigError: if there is no such mode.
        """
        mode = mode_of(mode)
        geometry = dataclasses.replace(self.geometry, **mode.fields)
        return type(self)(self.tokenizer, self.config.replace(mode=mode), geometry=geometry, max_pixels=self.max_pixels)

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path, *, revision: str | None = None) -> Self:
        """Processor of a folder or of a repository on the hub, in the mode that it was saved in, or "gundam".

        The folder holds processor_config.json and the tokenizer's files; the config.json of the model, if it is there,
        says how many tokens a view becomes.

        Raises:
            CheckpointError: if a file is missing or damaged.
            ConfigError: if a setting is wrong.
        """
        folder = Path(name_or_path)
        if not folder.is_dir():
            from vlkit.checkpoint.hub import resolve_folder

            folder = resolve_folder(name_or_path, revision=revision, weights=False)
        settings = _settings(folder / "processor_config.json")
        tokens = (settings.image_token, *TOKENS[1:])
        tokenizer = Tokenizer.from_folder(folder, tokens=tokens, pad_token=settings.pad_token)
        model = folder / "config.json"
        return cls(tokenizer, settings, geometry=_geometry(model, settings) if model.is_file() else None)

    @classmethod
    def for_model(cls, config: VLMConfig, tokenizer: Tokenizer | None = None) -> Self:
        """Processor of a model in the mode of its config, in all else with the settings of the released files.

        Args:
            config: gives mode, layout and grids, and its encoder the normalisation.
            tokenizer: None: one token per byte, `Tokenizer.of_bytes`.

        Raises:
            ConfigError: if the tokenizer has ids beyond the decoder's vocabulary.
            CheckpointError: if the tokenizer has no image token.
        """
        tokenizer = Tokenizer.of_bytes(TOKENS) if tokenizer is None else tokenizer
        tokenizer.require_within(config.decoder.vocabulary)
        encoder, merge = config.encoder, config.projector.merge
        patch, ratio = min(encoder.cell_size), merge
        if isinstance(encoder, DeepEncoderConfig):
            patch, ratio = encoder.sam.patch_size, merge * 2 ** len(encoder.sam.downsample_channels)
        settings = DeepseekOCRProcessorConfig(
            patch_size=patch,
            downsample_ratio=ratio,
            image_mean=encoder.pixel_mean,
            image_std=encoder.pixel_std,
            mask_prompt=False,
        )
        return cls(tokenizer, settings, geometry=geometry_of(config))


def _settings(file: Path) -> DeepseekOCRProcessorConfig:
    content = read_json(file)
    if content.items() >= RELICS.items():
        content = {name: value for name, value in content.items() if name not in RELICS}
    return DeepseekOCRProcessorConfig.model_validate(content)


def _geometry(file: Path, settings: DeepseekOCRProcessorConfig) -> ImageGeometry:
    content = read_json(file)
    native = NATIVE in content
    model = DeepseekOCRConfig.model_validate(content[NATIVE]) if native else DeepseekOCRConfig.from_hf(content)
    return geometry_of(model if settings.mode is None else model.at(settings.mode))
