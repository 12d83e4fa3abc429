"""From spans of text and image sizes in tokens to the integers of one sample."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

from vlkit.errors import InputError
from vlkit.processing.chat import Span
from vlkit.processing.tokenizer import Tokenizer


def count_tags(spans: Sequence[Span], image_token: str, images: int, *, surplus_allowed: bool) -> int:
    """Number of image tags in the spans.

    Args:
        spans: text of a sample.
        image_token: the tag.
        images: number of images given.
        surplus_allowed: whether images without a tag lead to a warning instead of an error.

    Raises:
        InputError: if tags and images do not fit.
    """
    tags = sum(span.text.count(image_token) for span in spans)
    if images < tags or (images > tags and not surplus_allowed):
        raise InputError(
            f"{tags} image tags for {images} images",
            rule=f"every {image_token} in the text stands for one image",
            remedy=f"write {image_token} where each image belongs, and pass the images in that order",
        )
    if images > tags:
        warnings.warn(f"{images - tags} of {images} images have no tag and are left out", stacklevel=4)
    return tags


@dataclass
class TokenSequence:
    """Ids of a sample, growing from its first token on.

    Args:
        tokenizer: gives the ids; the first one is its first token.
        image_id: id at every image position.
        ignore_id: label of what is not learned.
    """

    tokenizer: Tokenizer
    image_id: int
    ignore_id: int
    input_ids: list[int] = field(init=False)
    labels: list[int] = field(init=False)
    images_seq_mask: list[bool] = field(init=False)

    def __post_init__(self) -> None:
        bos_id = self.tokenizer.bos_id
        self.input_ids, self.labels, self.images_seq_mask = [bos_id], [bos_id], [False]

    def extend(self, spans: Sequence[Span], image_token: str, counts: Sequence[int]) -> None:
        """Append spans; the i-th image tag becomes `counts[i]` image positions.

        The text before, between and after image tags is tokenised separately, as in the official processor.
        """
        remaining = iter(counts)
        for span in spans:
            for index, text in enumerate(span.text.split(image_token)):
                if index:
                    self._append([self.image_id] * next(remaining), learned=False, image=True)
                self._append(self.tokenizer.encode(text), learned=span.learned)
            if span.ends:
                self._append([self.tokenizer.eos_id], learned=span.learned)

    def _append(self, ids: list[int], *, learned: bool, image: bool = False) -> None:
        self.input_ids += ids
        self.labels += ids if learned else [self.ignore_id] * len(ids)
        self.images_seq_mask += [image] * len(ids)

    def open_end(self) -> None:
        """Take the last end-of-sentence token away, so that a model writes on from there.

        Raises:
            InputError: if the sequence ends with something else.
        """
        if self.input_ids[-1] != self.tokenizer.eos_id:
            raise InputError(
                "the conversation does not end with an answer",
                rule="for inference the last message is the assistant's, empty if the model is to begin it",
                remedy='add {"role": "<|Assistant|>", "content": ""}, or pass inference_mode=False',
            )
        for values in (self.input_ids, self.labels, self.images_seq_mask):
            del values[-1:]

    def __len__(self) -> int:
        return len(self.input_ids)
