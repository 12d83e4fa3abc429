"""The DeepSeek-VL2 processor: the official settings and files around the processor of any model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from vlkit.errors import ConfigError
from vlkit.files import read_json
from vlkit.layouts import Layout1DConfig, Layout2DConfig, LayoutConfig
from vlkit.models.deepseek_vl2.config import DeepseekVLV2Config
from vlkit.models.family import NATIVE
from vlkit.models.geometry import geometry_of
from vlkit.notation import Grid, Size
from vlkit.processing.geometry import ImageGeometry
from vlkit.processing.image import MAX_PIXELS
from vlkit.processing.processor import Processor, ProcessorConfig
from vlkit.processing.tokenizer import VL2_TOKENS, Tokenizer
from vlkit.tiling import tile_grid
from vlkit.vlm_config import VLMConfig

Resolution = tuple[Annotated[int, Field(ge=1, le=2**15)], Annotated[int, Field(ge=1, le=2**15)]]


class DeepseekVLV2ProcessorConfig(ProcessorConfig):
    """The official processor_config.json, with the official class's defaults."""

    candidate_resolutions: tuple[Resolution, ...] = Field(min_length=1, max_length=1024)
    """Widths and heights that pictures are fitted to; the first is the size of a tile (the official class takes its
    width for both sides)."""
    patch_size: int = Field(ge=1)
    """Side of the encoder's patches in pixels."""
    downsample_ratio: int = Field(ge=1)
    """Patches per feature, in both directions."""
    add_special_token: bool = False
    """Not used, by the official class neither."""
    processor_class: str | None = "DeepseekVLV2Processor"
    """Not used; recorded by the official files."""
    auto_map: dict[str, str] | None = None
    """Not used: code of a checkpoint is never run."""

    @model_validator(mode="after")
    def _whole_tiles(self) -> DeepseekVLV2ProcessorConfig:
        for width, height in self.candidate_resolutions:
            tile_grid((width, height), self.candidate_resolutions[0])
            if width * height > 2**25:
                raise ConfigError(f"candidate resolution {width}x{height}", rule=f"at most {2**25} pixels")
        if min(self.candidate_resolutions[0]) < self.patch_size:
            raise ConfigError(f"patches of {self.patch_size} pixels", rule="a tile holds at least one patch")
        return self

    @property
    def grid(self) -> Grid:
        """Feature rows and columns of a tile: patches that fit in, divided by the ratio and rounded up."""
        return self.grid_of(Size(*self.candidate_resolutions[0]))

    def grid_of(self, size: Size) -> Grid:
        """Feature rows and columns of a view of `size` pixels."""
        rows, cols = (math.ceil(side // self.patch_size / self.downsample_ratio) for side in (size.height, size.width))
        return Grid(rows, cols)


class DeepseekVLV2Processor(Processor[DeepseekVLV2ProcessorConfig]):
    """Turns conversations and pictures into what `DeepseekVLV2` takes.

    Args:
        tokenizer: holds the image token.
        config: sizes, normalisation, template.
        layout: its plan gives the number of tokens of an image; None means the 2D layout, as in the official class.
        grid: feature rows and columns that encoder and projector make of a tile; None means `config.grid`.
        geometry: in place of layout and grid, all that a model has settled of its pictures.
        max_pixels: most pixels of a picture, checked before it is decoded.

    Raises:
        ConfigError: if the layout cannot arrange a candidate resolution.
        CheckpointError: if the tokenizer has no image token.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        config: DeepseekVLV2ProcessorConfig,
        *,
        layout: LayoutConfig | None = None,
        grid: Grid | None = None,
        geometry: ImageGeometry | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        own = ImageGeometry(
            layout=layout or Layout2DConfig(),
            candidate_resolutions=config.candidate_resolutions,
            grid_of=config.grid_of if grid is None else lambda size: grid,
        )
        super().__init__(tokenizer, config, geometry or own, max_pixels=max_pixels)

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path, *, revision: str | None = None) -> Self:
        """Processor of a folder or of a repository on the hub.

        The folder holds processor_config.json and the tokenizer's files. The config.json of the model, if it is there,
        says which layout counts the tokens; without it the 2D layout does. One in vlkit's own form gives all of the
        geometry.

        Raises:
            CheckpointError: if a file is missing or damaged.
            ConfigError: if a setting is wrong.
        """
        folder = Path(name_or_path)
        if not folder.is_dir():
            from vlkit.checkpoint.hub import resolve_folder

            folder = resolve_folder(name_or_path, revision=revision, weights=False)
        config = DeepseekVLV2ProcessorConfig.model_validate(read_json(folder / "processor_config.json"))
        tokens = (config.image_token, *VL2_TOKENS[1:])
        tokenizer = Tokenizer.from_folder(folder, tokens=tokens, pad_token=config.pad_token)
        model = folder / "config.json"
        content = read_json(model) if model.is_file() else {}
        if NATIVE in content:
            geometry = geometry_of(DeepseekVLV2Config.model_validate(content[NATIVE]))
            return cls(tokenizer, config, geometry=geometry)
        return cls(tokenizer, config, layout=_layout_of(content))

    @classmethod
    def for_model(cls, config: VLMConfig, tokenizer: Tokenizer | None = None) -> Self:
        """Processor of any assembled model, in all else with the settings of the released files.

        Args:
            config: gives resolutions, layout, grid and cropping, and its encoder the normalisation.
            tokenizer: None: one token per byte, `Tokenizer.of_bytes()`.

        Raises:
            ConfigError: if the tokenizer has ids beyond the decoder's vocabulary, or the tiles are too large.
            CheckpointError: if the tokenizer has no image token.
        """
        tokenizer = Tokenizer.of_bytes() if tokenizer is None else tokenizer
        tokenizer.require_within(config.decoder.vocabulary)
        settings = DeepseekVLV2ProcessorConfig(
            candidate_resolutions=config.candidate_resolutions,
            patch_size=min(config.encoder.cell_size),
            downsample_ratio=config.projector.merge,
            image_mean=config.encoder.pixel_mean,
            image_std=config.encoder.pixel_std,
            mask_prompt=False,
        )
        return cls(tokenizer, settings, geometry=geometry_of(config))


def _layout_of(model: Mapping[str, Any]) -> LayoutConfig:
    tag, where = model.get("tile_tag", "2D"), model.get("global_view_pos", "head")
    if tag == "2D":
        return Layout2DConfig(global_view=where)
    if tag == "1D":
        candidates = model.get("candidate_resolutions", [(384, 384)])
        if not isinstance(candidates, list):
            raise ConfigError(f"candidate_resolutions is a {type(candidates).__name__}", rule="it is a list")
        return Layout1DConfig(global_view=where, max_tiles=len(candidates))
    raise ConfigError(f"tile_tag is {tag!r:.80}", rule='tile_tag is "1D" or "2D"', remedy="correct config.json")
