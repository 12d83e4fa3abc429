"""The processor of any model: conversations and pictures in, the tensors of a batch out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar

import torch
from PIL.Image import Image
from pydantic import Field, field_validator
from torch import Tensor

from vlkit.config import Config
from vlkit.errors import ConfigError, ContextLengthError, InputError, did_you_mean
from vlkit.files import write_json
from vlkit.layouts import LayoutConfig
from vlkit.notation import Grid
from vlkit.processing.batching import PaddingSide, ProcessorOutput, Sample, collate, split_rows
from vlkit.processing.geometry import ImageGeometry, ImagePlan
from vlkit.processing.image import MAX_PIXELS, Picture, load, pixels
from vlkit.processing.request import RequestReader, only_one
from vlkit.processing.sequence import TokenSequence, count_tags
from vlkit.processing.templates import CHAT_TEMPLATE, TEMPLATES, Template
from vlkit.processing.tokenizer import VL2_TOKENS, Tokenizer

Fraction = Annotated[float, Field(ge=0, le=1)]
Deviation = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ProcessorConfig(Config):
    """Settings of every processor: pixels, tags, template, labels."""

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
    sft_format: str = "deepseek"
    """Name of the chat template."""
    mask_prompt: bool = True
    """Whether the labels leave out what the user and the system say (DeepSeek-VL2's files set this to false)."""
    ignore_id: int = -100
    """Label of positions that are not learned."""

    @field_validator("sft_format")
    @classmethod
    def _known_template(cls, name: str) -> str:
        if name not in TEMPLATES:
            raise ConfigError(f"no chat template is called {name!r:.80}; {did_you_mean(name, TEMPLATES)}")
        return name

    @property
    def template(self) -> Template:
        """The chat template."""
        return TEMPLATES[self.sft_format]

    @property
    def fill(self) -> tuple[int, ...]:
        """Colour of the padding."""
        return tuple(int(mean * 255) for mean in self.image_mean)


SettingsT = TypeVar("SettingsT", bound=ProcessorConfig)


class Processor(Generic[SettingsT]):
    """Turns conversations and pictures into what a model takes.

    Args:
        tokenizer: holds the image token.
        config: normalisation, tags, template.
        geometry: how pictures are cut, and how many tokens they take.
        max_pixels: most pixels of a picture, checked before it is decoded.

    Raises:
        CheckpointError: if the tokenizer has no image token.
    """

    upright: ClassVar[bool] = False
    """Whether pictures are turned as their EXIF orientation says."""

    def __init__(
        self, tokenizer: Tokenizer, config: SettingsT, geometry: ImageGeometry, *, max_pixels: int = MAX_PIXELS
    ) -> None:
        self.tokenizer, self.config, self.geometry, self.max_pixels = tokenizer, config, geometry, max_pixels
        self._reader = RequestReader(config.template, config.image_token, config.mask_prompt)
        self.image_token_id = tokenizer.id_of(config.image_token)

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path, *, revision: str | None = None) -> Self:
        """Processor of a folder or of a repository on the hub.

        Raises:
            CheckpointError: if a file is missing or damaged.
            ConfigError: if a setting is wrong.
        """
        raise NotImplementedError(f"{cls.__name__} defines from_pretrained(name_or_path, revision=)")

    @classmethod
    def for_model(cls, config: Any, tokenizer: Tokenizer | None = None) -> Self:
        """Processor of a model with this config.

        Args:
            config: a `vlkit.VLMConfig`.
            tokenizer: None: one token per byte.

        Raises:
            ConfigError: if they do not fit each other.
        """
        raise NotImplementedError(f"{cls.__name__} defines for_model(config, tokenizer=)")

    @property
    def layout(self) -> LayoutConfig:
        """Layout whose plan gives the number of tokens of an image."""
        return self.geometry.layout

    @property
    def grid(self) -> Grid:
        """Feature rows and columns that encoder and projector make of a tile."""
        return self.geometry.grid

    def save_pretrained(self, folder: str | Path) -> None:
        """Write processor_config.json, tokenizer.json, tokenizer_config.json and special_tokens_map.json.

        The settings of layout and tiling are the model's and go to its config.json.

        Raises:
            CheckpointError: if the folder cannot be written to.
        """
        folder = Path(folder)
        write_json(folder / "processor_config.json", self.config.model_dump(mode="json", exclude_none=True))
        official = self.config.sft_format == "deepseek" and self.config.image_token == VL2_TOKENS[0]
        self.tokenizer.save(folder, chat_template=CHAT_TEMPLATE if official else None)

    def plan(self, image_size: tuple[int, int], *, crop: bool | None = None, images: int = 1) -> ImagePlan:
        """Tiling and number of tokens of a picture of `image_size` (width, height), one of `images` in its prompt."""
        return self.geometry.plan(image_size, crop=crop, images=images)

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
        return collate(
            samples,
            pad_id=self.tokenizer.pad_id,
            ignore_id=self.config.ignore_id,
            padding_side=padding_side,
            pad_is_text=self.tokenizer.pad_id == self.tokenizer.eos_id,
        )

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
            crop: whether images are cut into tiles; None: as the model's cropping says, by default if there are at most
                two.
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
        plans, overviews, tiles = self._cut_images(request.pictures[:tags], crop=crop, images=given)
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
        images_pixels, global_views = self._pixels(overviews, tiles)
        return Sample(
            input_ids=torch.tensor(sequence.input_ids),
            labels=torch.tensor(sequence.labels),
            images_seq_mask=torch.tensor(sequence.images_seq_mask),
            images=images_pixels,
            images_spatial_crop=torch.tensor([plan.tiling.grid[::-1] for plan in plans] or [(0, 0)]),
            sft_format=request.sft_format,
            num_image_tokens=counts,
            tilings=[plan.tiling for plan in plans],
            global_views=global_views,
        )

    def _cut_images(
        self, pictures: Sequence[Picture], *, crop: bool | None, images: int
    ) -> tuple[list[ImagePlan], list[Image], list[list[Image]]]:
        """Plan, global view and tiles of each picture."""
        plans, overviews, tiles = [], [], []
        for picture in pictures:
            image = load(picture, max_pixels=self.max_pixels, upright=self.upright)
            plans.append(self.plan(image.size, crop=crop, images=images))
            overview, own = self.geometry.cut(image, plans[-1].tiling, self.config.fill)
            overviews.append(overview)
            tiles.append(own)
        return plans, overviews, tiles

    def _pixels(self, overviews: list[Image], tiles: list[list[Image]]) -> tuple[Tensor, Tensor | None]:
        """Views of all pictures in turn, or their tiles and, apart from these, their global views."""
        width, height = self.geometry.tile_size
        if self.geometry.global_view_size is None:
            together = [view for overview, own in zip(overviews, tiles) for view in (overview, *own)]
            return self._numbers(together) if together else torch.zeros(1, 3, height, width), None
        alone = [view for own in tiles for view in own]
        wide, high = self.geometry.global_view_size
        return (
            self._numbers(alone) if alone else torch.zeros(0, 3, height, width),
            self._numbers(overviews) if overviews else torch.zeros(0, 3, high, wide),
        )

    def _numbers(self, images: list[Image]) -> Tensor:
        if not self.config.normalize:
            return pixels(images)
        return pixels(images, self.config.image_mean, self.config.image_std)
