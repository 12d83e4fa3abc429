"""Samples of different length as one batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from vlkit.errors import InputError
from vlkit.tiling import Tiling

PaddingSide: TypeAlias = Literal["left", "right"]


@dataclass(frozen=True, eq=False)
class Sample:
    """One conversation or prompt, ready for a batch.

    Args:
        input_ids: int64[T].
        labels: int64[T].
        images_seq_mask: bool[T], true where an image feature stands.
        images: float[n, 3, height, width], for each image its global view, then its tiles; one zero tile without any.
            Only the tiles, if there are any, where global views have a size of their own.
        images_spatial_crop: int64[m, 2], tiles across and tiles down of each image; (0, 0) without any.
        sft_format: the conversation as text.
        num_image_tokens: tokens of each image.
        tilings: how each image was cut.
        global_views: float[m, 3, height', width'], the global view of each image where these have a size of their own.
    """

    input_ids: Tensor
    labels: Tensor
    images_seq_mask: Tensor
    images: Tensor
    images_spatial_crop: Tensor
    sft_format: str
    num_image_tokens: list[int]
    tilings: list[Tiling]
    global_views: Tensor | None = None


@dataclass(frozen=True, eq=False)
class ProcessorOutput(Mapping[str, Tensor]):
    """A batch; as a mapping it holds the tensors that a model takes, so that `model.generate(**batch)` works.

    Args:
        input_ids: int64[B, T].
        attention_mask: bool[B, T].
        labels: int64[B, T].
        images: float[B, n, 3, height, width], short rows filled up with zero tiles.
        global_views: float[B, m, 3, height', width'], likewise; None, and not part of the mapping, where global views
            have the size of tiles and stand in `images`.
        images_seq_mask: bool[B, T].
        images_spatial_crop: int64[B, m, 2], short rows filled up with (0, 0).
        sft_format: text of each sample; not part of the mapping.
        num_image_tokens: tokens of each image of each sample; not part of the mapping.
        tilings: how each image of each sample was cut; not part of the mapping.
    """

    input_ids: Tensor
    attention_mask: Tensor
    labels: Tensor
    images: Tensor
    images_seq_mask: Tensor
    images_spatial_crop: Tensor
    sft_format: list[str]
    num_image_tokens: list[list[int]]
    tilings: list[list[Tiling]]
    global_views: Tensor | None = None

    def __getitem__(self, name: str) -> Tensor:
        tensor: Tensor | None = getattr(self, name) if name in TENSORS else None
        if tensor is None:
            raise KeyError(name)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return (name for name in TENSORS if getattr(self, name) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> ProcessorOutput:
        """The batch on another device, the images in another floating-point type; None leaves it as it is.

        The official batch turns images to bfloat16 unless told otherwise; this one never does by itself.
        """
        moved: dict[str, Any] = {
            name: tensor.to(device=device, dtype=dtype if name in PIXELS else None) for name, tensor in self.items()
        }
        return replace(self, **moved)


PIXELS = ("images", "global_views")
"""Names of the tensors that hold pixels."""
TENSORS = ("input_ids", "attention_mask", "labels", "images", "images_seq_mask", "images_spatial_crop", "global_views")
"""Names of the tensors of a batch."""


def split_rows(texts: Any, images: Any, *, item: type | tuple[type, ...]) -> list[tuple[Any, Any]]:
    """Text and images of each sample of a call.

    Args:
        texts: one text, or a list of texts.
        images: the images of the one text, or a list of the images of each; None for none at all.
        item: type of one text, as it is found in a list.

    Raises:
        InputError: if there are not as many lists of images as texts.
    """
    if not (isinstance(texts, list | tuple) and texts and isinstance(texts[0], item)):
        return [(texts, images)]
    if images is None:
        return [(text, None) for text in texts]
    if not isinstance(images, list | tuple) or len(images) != len(texts):
        raise InputError(
            f"images are not one list for each of the {len(texts)} samples",
            rule="a batch takes a list of lists of images",
            remedy="use [] for a sample without images",
        )
    return list(zip(texts, images))


def collate(
    samples: Sequence[Sample],
    *,
    pad_id: int,
    ignore_id: int,
    padding_side: PaddingSide = "left",
    pad_is_text: bool = False,
) -> ProcessorOutput:
    """Samples padded to the longest.

    Padding is never attended and never a label. A padding token inside the text follows the official batches: with
    left padding it is attended and no label; with right padding it is not attended and stays a label. So a model sees
    all of the text with left padding only, the default.

    Args:
        samples: at least one, with tiles of one size.
        pad_id: id of the padding token.
        ignore_id: label of the padding.
        padding_side: where the padding goes; generation needs "left".
        pad_is_text: whether the padding token has a meaning inside a text, as where it also ends sentences; it is then
            attended and a label like any other.

    Raises:
        InputError: if there is no sample or the side is unknown.
    """
    if padding_side not in ("left", "right"):
        raise InputError(f"padding_side is {padding_side!r:.80}", rule='padding_side is "left" or "right"')
    if not samples:
        raise InputError("the batch is empty", rule="a batch has at least one sample")
    global_views = [sample.global_views for sample in samples if sample.global_views is not None]
    if global_views and len(global_views) < len(samples):
        raise InputError(
            f"{len(global_views)} of {len(samples)} samples have global views apart from their tiles",
            rule="the samples of a batch come from one processor",
        )
    lengths = torch.tensor([len(sample.input_ids) for sample in samples])
    left, longest = padding_side == "left", int(lengths.max())

    def padded(rows_T: Sequence[Tensor], fill: int | bool) -> Tensor:
        return torch.nn.utils.rnn.pad_sequence(
            list(rows_T), batch_first=True, padding_value=fill, padding_side=padding_side
        )

    input_ids_BT = padded([sample.input_ids for sample in samples], pad_id)
    labels_BT = padded([sample.labels for sample in samples], ignore_id)
    position_T = torch.arange(longest)
    attention_mask_BT = position_T >= longest - lengths[:, None] if left else position_T < lengths[:, None]
    if left and not pad_is_text:
        labels_BT = labels_BT.masked_fill(labels_BT == pad_id, ignore_id)
    elif not pad_is_text:
        attention_mask_BT = input_ids_BT != pad_id
    return ProcessorOutput(
        input_ids=input_ids_BT,
        attention_mask=attention_mask_BT,
        labels=labels_BT,
        images=_filled_up([sample.images for sample in samples]),
        images_seq_mask=padded([sample.images_seq_mask for sample in samples], False),
        images_spatial_crop=_filled_up([sample.images_spatial_crop for sample in samples]),
        sft_format=[sample.sft_format for sample in samples],
        num_image_tokens=[sample.num_image_tokens for sample in samples],
        tilings=[sample.tilings for sample in samples],
        global_views=_filled_up(global_views) if global_views else None,
    )


def _filled_up(rows: Sequence[Tensor]) -> Tensor:
    longest = max(map(len, rows))
    batch = rows[0].new_zeros(len(rows), longest, *rows[0].shape[1:])
    for row, values in enumerate(rows):
        batch[row, : len(values)] = values
    return batch
