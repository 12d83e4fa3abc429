"""The settings of the DeepSeek-VL processor, and the two official files that hold them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from vlkit.config import Count
from vlkit.encoders.clip import PIXEL_MEAN, PIXEL_STD
from vlkit.errors import ConfigError
from vlkit.models.deepseek_vl.cropping import MIN_SIZE
from vlkit.models.official import complete, require
from vlkit.processing.processor import Deviation, Fraction, ProcessorConfig
from vlkit.processing.templates import DEEPSEEK_VL, EOS, Template

IMAGE_FIELDS = {
    "image_size": "image_size",
    "min_size": "min_size",
    "image_mean": "image_mean",
    "image_std": "image_std",
    "do_normalize": "normalize",
}
"""Fields of preprocessor_config.json and what they are here."""
TEXT_FIELDS = {
    "image_tag": "image_token",
    "num_image_tokens": "num_image_tokens",
    "sft_format": "sft_format",
    "mask_prompt": "mask_prompt",
    "ignore_id": "ignore_id",
}
"""Fields of processor_config.json and what they are here."""
IMAGE_FILE, TEXT_FILE = "preprocessor_config.json", "processor_config.json"
RESCALE_FACTOR, PROCESSOR_CLASS = 1 / 255, "VLChatProcessor"
IMAGE_DEFAULTS = {**dict.fromkeys(IMAGE_FIELDS, ...), "rescale_factor": RESCALE_FACTOR}
TEXT_DEFAULTS = {**dict.fromkeys(TEXT_FIELDS, ...), "add_special_token": False}
"""What either file may hold; the ellipsis stands for the default of the class below."""
UNUSED = frozenset({"auto_map", "background_color", "image_processor_type", "model_type", "processor_class"})
"""Keys of either file without effect: the colour of the padding follows from the mean."""


class DeepseekVLProcessorConfig(ProcessorConfig):
    """The official settings, with the official classes' defaults."""

    image_size: int = Field(ge=1, le=4096)
    """Side in pixels of the square that pictures are scaled into."""
    min_size: Count = MIN_SIZE
    """Shortest side in pixels that a picture is scaled to."""
    num_image_tokens: Count = 576
    """Tokens that a picture takes."""
    image_mean: tuple[Fraction, Fraction, Fraction] = PIXEL_MEAN
    """Mean per colour; also the colour of the padding, as whole numbers of 0..255, rounded down."""
    image_std: tuple[Deviation, Deviation, Deviation] = PIXEL_STD
    """Standard deviation per colour."""
    image_token: str = Field(default="<image_placeholder>", min_length=1)
    """Tag of a picture in texts, and the token at its positions."""
    pad_token: str = Field(default=EOS, min_length=1)
    """Padding token of tokenizers that name none: the one that ends sentences."""
    sft_format: Literal["deepseek"] = "deepseek"
    """Name of the chat template."""

    @property
    def template(self) -> Template:
        return DEEPSEEK_VL

    @model_validator(mode="after")
    def _fits(self) -> DeepseekVLProcessorConfig:
        if self.min_size > self.image_size:
            raise ConfigError(
                f"min_size {self.min_size} with image_size {self.image_size}",
                rule="no side is longer than that of the square",
            )
        return self

    @classmethod
    def from_official(cls, image: Mapping[str, Any], text: Mapping[str, Any]) -> Self:
        """Settings from the content of preprocessor_config.json and of processor_config.json.

        Raises:
            ConfigError: if a key is unknown or a value cannot be used.
        """
        image = complete(image, IMAGE_DEFAULTS, prefix=f"{IMAGE_FILE}: ", unused=UNUSED)
        text = complete(text, TEXT_DEFAULTS, prefix=f"{TEXT_FILE}: ", unused=UNUSED)
        factor = image["rescale_factor"]
        require(
            isinstance(factor, float) and math.isclose(factor, RESCALE_FACTOR),
            f"{IMAGE_FILE}: rescale_factor {factor!r:.80}",
            "it is 1/255, which brings pixels to 0..1",
        )
        require(
            text["add_special_token"] is False,
            f"{TEXT_FILE}: add_special_token {text['add_special_token']!r:.80}",
            "it is false: else a picture had one token more than features",
        )
        given = [(image, IMAGE_FIELDS), (text, TEXT_FIELDS)]
        return cls.model_validate(
            {
                ours: content[name]
                for content, names in given
                for name, ours in names.items()
                if content[name] is not ...
            }
        )

    def to_official(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Content of preprocessor_config.json and of processor_config.json."""
        fields = self.model_dump(mode="json")
        image = {name: fields[ours] for name, ours in IMAGE_FIELDS.items()}
        text = {name: fields[ours] for name, ours in TEXT_FIELDS.items()}
        image |= {"background_color": list(self.fill), "image_processor_type": "VLMImageProcessor"}
        image |= {"processor_class": PROCESSOR_CLASS, "rescale_factor": RESCALE_FACTOR}
        return image, text | {"add_special_token": False, "processor_class": PROCESSOR_CLASS}
