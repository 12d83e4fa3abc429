"""The DeepSeek-VL2 processor: conversations and pictures in, the six tensors of a batch out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import torch
from PIL.Image import Image
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from vlkit.config import Config
from vlkit.errors import ConfigError, ContextLengthError, InputError, did_you_mean
from vlkit.files import read_json, write_json
from vlkit.layouts import Layout1DConfig, Layout2DConfig, LayoutConfig
from vlkit.models.deepseek_vl2.config import NATIVE, DeepseekVLV2Config
from vlkit.notation import Grid
from vlkit.processing.batching import PaddingSide, ProcessorOutput, Sample, collate, split_rows
from vlkit.processing.image import MAX_PIXELS, Picture, load, pixels, views
from vlkit.processing.request import RequestReader, only_one
from vlkit.processing.sequence import TokenSequence, count_tags
from vlkit.processing.templates import CHAT_TEMPLATE, TEMPLATES
from vlkit.processing.tokenizer import VL2_TOKENS, Tokenizer
from vlkit.tiling import Tiling, tile_grid

Resolution = tuple[Annotated[int, Field(ge=1, le=2**15)], Annotated[int, Field(ge=1, le=2**15)]]
Fraction = Annotated[float, Field(ge=0, le=1)]
Deviation = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class DeepseekVLV2ProcessorConfig(Config):
    """The official processor_config.json, with the official class's defaults."""

    candidate_resolutions: tuple[Resolution, ...] = Field(min_length=1, max_length=1024)
    """Widths and heights that pictures are fitted to; the first is the size of a tile (the official class takes its
    width for both sides)."""
    patch_size: int = Field(ge=1)
    """Side of the encoder's patches in pixels."""
    downsample_ratio: int = Field(ge=1)
    """Patches per feature, in both directions."""
    image_mean: tuple[Fraction, Fraction, Fraction] = (0.5, 0.5, 0.5)
    """Mean per colour; also the colour of the padding, as whole numbers of 0..255, rounded down."""
    image_std: tuple[Deviation, Deviation, Deviation] = (0.5, 0.5, 0.5)
    """Standard deviation per colour."""
    normalize: bool = True
    """Whether mean and standard deviation are applied to the pixels."""
    image_token: str = Field(default="<image>", min_length=1)
    """Tag of a picture in texts, and the token at its positions."""
    pad_token: str = Field(default="<｜▁pad▁｜>", min_length=1)
    """Padding token of tokenizers that name none."""
    add_special_token: bool = False
    """Not used, by the official class neither."""
    sft_format: str = "deepseek"
    """Name of the chat template."""
    mask_prompt: bool = True
    """Whether the labels leave out what the user and the system say (the released files set this to false)."""
    ignore_id: int = -100
    """Label of positions that are not learned."""
    processor_class: str | None = "DeepseekVLV2Processor"
    """Not used; recorded by the official files."""
    auto_map: dict[str, str] | None = None
    """Not used: code of a checkpoint is never run."""

    @field_validator("sft_format")
    @classmethod
    def _known_template(cls, name: str) -> str:
        if name not in TEMPLATES:
            raise ConfigError(f"no chat template is called {name!r:.80}; {did_you_mean(name, TEMPLATES)}")
        return name

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
        width, height = self.candidate_resolutions[0]
        rows, cols = (math.ceil(side // self.patch_size / self.downsample_ratio) for side in (height, width))
        return Grid(rows, cols)


class ImagePlan(NamedTuple):
    """How a picture is cut, and the number of tokens that it takes."""

    tiling: Tiling
    num_tokens: int


class DeepseekVLV2Processor:
    """Turns conversations and pictures into what `DeepseekVLV2` takes.

    Args:
        tokenizer: holds the image token.
        config: sizes, normalisation, template.
        layout: its plan gives the number of tokens of an image; None means the 2D layout, as in the official class.
        grid: feature rows and columns that encoder and projector make of a tile; None means `config.grid`.
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
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.tokenizer, self.config = tokenizer, config
        self.layout, self.grid = layout or Layout2DConfig(), grid or config.grid
        self.max_pixels = max_pixels
        self._reader = RequestReader(TEMPLATES[config.sft_format], config.image_token, config.mask_prompt)
        self.image_token_id = tokenizer.id_of(config.image_token)
        sizes = config.candidate_resolutions
        self.layout.check([tile_grid(size, sizes[0]) for size in sizes])

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path, *, revision: str | None = None) -> DeepseekVLV2Processor:
        """Processor of a folder or of a repository on the hub.

        The folder holds processor_config.json and the tokenizer's files. The config.json of the model, if it is there,
        says which layout counts the tokens; without it the 2D layout does. One in vlkit's own form also gives the grid.

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
        layout, grid = _arrangement_of(read_json(model)) if model.is_file() else (None, None)
        return cls(tokenizer, config, layout=layout, grid=grid)

    @classmethod
    def for_model(cls, config: DeepseekVLV2Config, tokenizer: Tokenizer | None = None) -> DeepseekVLV2Processor:
        """Processor of any assembled model, in all else with the settings of the released files.

        Args:
            config: gives resolutions, layout and grid.
            tokenizer: None: one token per byte, `Tokenizer.of_bytes()`.

        Raises:
            ConfigError: if the tokenizer has ids beyond the decoder's vocabulary, or the tiles are too large.
            CheckpointError: if the tokenizer has no image token.
        """
        tokenizer = Tokenizer.of_bytes() if tokenizer is None else tokenizer
        if tokenizer.last_id >= config.decoder.vocabulary:
            raise ConfigError(
                f"the tokenizer has ids up to {tokenizer.last_id}, the decoder {config.decoder.vocabulary} of them",
                rule="every token has an embedding",
                remedy=f"give the decoder a vocabulary of {tokenizer.last_id + 1} or more, or take another tokenizer",
            )
        settings = DeepseekVLV2ProcessorConfig(
            candidate_resolutions=config.candidate_resolutions,
            patch_size=min(config.encoder.cell_size),
            downsample_ratio=config.projector.merge,
            mask_prompt=False,
        )
        return cls(tokenizer, settings, layout=config.layout, grid=config.grid)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write processor_config.json, tokenizer.json, tokenizer_config.json and special_tokens_map.json.

        The settings of the layout are the model's and go to its config.json.

        Raises:
            CheckpointError: if the folder cannot be written to.
        """
        folder = Path(folder)
        write_json(folder / "processor_config.json", self.config.model_dump(mode="json", exclude_none=True))
        official = self.config.sft_format == "deepseek" and self.config.image_token == VL2_TOKENS[0]
        self.tokenizer.save(folder, chat_template=CHAT_TEMPLATE if official else None)

    def plan(self, image_size: tuple[int, int], *, crop: bool = True) -> ImagePlan:
        """Tiling and number of tokens of a picture of `image_size` (width, height)."""
        tiling = Tiling.choose(image_size, self.config.candidate_resolutions, crop=crop)
        return ImagePlan(tiling, self.layout.count(tiling.grid, self.grid))

    def decode(self, ids: Sequence[int] | Tensor, *, skip_special_tokens: bool = False) -> str:
        """Text of the ids of one sequence."""
        return self.tokenizer.decode(ids, skip_special_tokens=skip_special_tokens)

    def __call__(
        self,
        *,
        prompt: str | Sequence[str] | None = None,
        conversations: Sequence[Any] | None = None,
        messages: Sequence[Any] | None = None,
        images: Sequence[Any] | None = None,
        apply_sft_format: bool = False,
        inference_mode: bool = True,
        system_prompt: str = "",
        crop: bool | None = None,
        max_length: int | None = None,
        padding_side: PaddingSide = "left",
        return_tensors: Literal["pt"] = "pt",
    ) -> ProcessorOutput:
        """Batch of one sample, or of as many as there are texts in a list; the options are those of `process_one`.

        Args:
            prompt: a text, or a list of texts.
            conversations: a conversation in the official form, or a list of conversations.
            messages: a conversation in the OpenAI or Hugging Face form, or a list of such.
            images: list of pictures; for a list of texts a list of such lists.
            padding_side: where short samples are padded.
            return_tensors: "pt", the only kind there is.

        Raises:
            InputError: if not exactly one of the three texts is given, or the text and the images do not fit.
            ContextLengthError: if a sample is longer than `max_length`.
        """
        if return_tensors != "pt":
            raise InputError(f"return_tensors is {return_tensors!r:.80}", rule='only "pt" is supported')
        form, given = only_one(prompt=prompt, conversations=conversations, messages=messages)
        rows = split_rows(given, images, item=str if form == "prompt" else (list, tuple))
        samples = [
            self.process_one(
                **{form: row},
                images=own,
                apply_sft_format=apply_sft_format,
                inference_mode=inference_mode,
                system_prompt=system_prompt,
                crop=crop,
                max_length=max_length,
            )
            for row, own in rows
        ]
        return self.batchify(samples, padding_side=padding_side)

    def batchify(self, samples: Sequence[Sample], *, padding_side: PaddingSide = "left") -> ProcessorOutput:
        """Samples as one batch; see `vlkit.processing.collate`."""
        pad_id, ignore_id = self.tokenizer.pad_id, self.config.ignore_id
        return collate(samples, pad_id=pad_id, ignore_id=ignore_id, padding_side=padding_side)

    def process_one(
        self,
        *,
        prompt: str | None = None,
        conversations: Sequence[Any] | None = None,
        messages: Sequence[Any] | None = None,
        images: Sequence[Picture] | None = None,
        apply_sft_format: bool = False,
        inference_mode: bool = True,
        system_prompt: str = "",
        crop: bool | None = None,
        max_length: int | None = None,
    ) -> Sample:
        """One sample, without a batch dimension.

        Args:
            prompt: text that is taken as it is, unless `apply_sft_format`.
            conversations: messages in the official form. Pictures may stand in the key "images" of a message; they
                count only if `images` is None.
            messages: messages in the OpenAI or Hugging Face form; for inference an empty answer is added.
            images: pictures in the order of their tags. A conversation may have some left over, as in the official
                class; they are reported in a warning.
            apply_sft_format: whether the prompt is one user's turn.
            inference_mode: whether the last end-of-sentence token is taken away.
            system_prompt: text that stands first in `sft_format`. It is tokenised with `apply_sft_format` only, as in
                the official class; a system message is the way to give a conversation one.
            crop: whether images are cut into tiles of their best resolution; None: if there are at most two.
            max_length: most tokens that the sample may have; nothing is ever cut off.

        Raises:
            InputError: if not exactly one of the three texts is given, or the text and the images do not fit.
            ContextLengthError: if the sample is longer than `max_length`.
        """
        if images is not None and not isinstance(images, list | tuple):
            raise InputError(f"images are a {type(images).__name__}", rule="images are a list", remedy="wrap it: [...]")
        form, text = only_one(prompt=prompt, conversations=conversations, messages=messages)
        if form == "prompt":
            request = self._reader.prompt(text, images, as_turn=apply_sft_format, system=system_prompt)
        elif form == "conversations":
            request = self._reader.conversation(text, images, system=system_prompt)
        else:
            request = self._reader.messages(text, images, system=system_prompt, ask=inference_mode)
        given, image_token = len(request.pictures), self.config.image_token
        tags = count_tags(request.spans, image_token, given, surplus_allowed=request.surplus_allowed)
        plans, tiles = self._cut_images(request.pictures[:tags], crop=given <= 2 if crop is None else crop)
        counts = [plan.num_tokens for plan in plans]
        sequence = TokenSequence(self.tokenizer, self.image_token_id, self.config.ignore_id)
        sequence.extend(request.spans, image_token, counts)
        if inference_mode:
            sequence.open_end()
        if max_length is not None and len(sequence) > max_length:
            raise ContextLengthError(
                f"the sample has {len(sequence)} tokens, {sum(counts)} of them for {len(counts)} images",
                rule=f"max_length is {max_length}",
                remedy="shorten the text, pass fewer or smaller images, or crop=False",
            )
        return Sample(
            input_ids=torch.tensor(sequence.input_ids),
            labels=torch.tensor(sequence.labels),
            images_seq_mask=torch.tensor(sequence.images_seq_mask),
            images=self._pixels(tiles),
            images_spatial_crop=torch.tensor([plan.tiling.grid[::-1] for plan in plans] or [(0, 0)]),
            sft_format=request.sft_format,
            num_image_tokens=counts,
            tilings=[plan.tiling for plan in plans],
        )

    def _cut_images(self, images: Sequence[Picture], *, crop: bool) -> tuple[list[ImagePlan], list[Image]]:
        """Plan of each image, and the views of all of them in turn."""
        fill = tuple(int(mean * 255) for mean in self.config.image_mean)
        plans, tiles = [], []
        for picture in images:
            image = load(picture, max_pixels=self.max_pixels)
            plans.append(self.plan(image.size, crop=crop))
            tiles += views(image, plans[-1].tiling, fill)
        return plans, tiles

    def _pixels(self, tiles: Sequence[Image]) -> Tensor:
        if not tiles:
            width, height = self.config.candidate_resolutions[0]
            return torch.zeros(1, 3, height, width)
        if not self.config.normalize:
            return pixels(tiles)
        return pixels(tiles, self.config.image_mean, self.config.image_std)


def _arrangement_of(model: Mapping[str, Any]) -> tuple[LayoutConfig, Grid | None]:
    """Layout that a model's config.json asks for, and the grid if it is in vlkit's own form."""
    if NATIVE in model:
        config = DeepseekVLV2Config.model_validate(model[NATIVE])
        return config.layout, config.grid
    return _layout_of(model), None


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
