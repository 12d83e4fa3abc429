"""The tensors that carry the text of a batch, checked before the model runs."""

from __future__ import annotations

from torch import Tensor

from vlkit.errors import InputError, ShapeError


def require_text(
    input_ids: Tensor | None, inputs_embeds: Tensor | None, *, vocabulary: int, dim: int
) -> tuple[int, int]:
    """Samples B and positions T of a text, given as ids or as embeddings; if both are given, the embeddings count.

    Args:
        input_ids: int64[B, T].
        inputs_embeds: float[B, T, D].
        vocabulary: number of token ids.
        dim: width D.

    Raises:
        InputError: if neither is given, or ids are no integers or outside the vocabulary.
        ShapeError: if they have another shape.
    """
    if inputs_embeds is not None:
        if inputs_embeds.ndim != 3 or inputs_embeds.shape[2] != dim:
            raise ShapeError(f"inputs_embeds of shape {list(inputs_embeds.shape)}", rule=f"they are float[B, T, {dim}]")
        return inputs_embeds.shape[0], inputs_embeds.shape[1]
    if input_ids is None:
        raise InputError("neither input_ids nor inputs_embeds", rule="one of them is given")
    if input_ids.ndim != 2:
        raise ShapeError(
            f"input_ids of shape {list(input_ids.shape)}",
            rule="they are int64[B, T]",
            remedy="a single sample is input_ids[None]",
        )
    require_known("input_ids", input_ids, vocabulary=vocabulary)
    return input_ids.shape[0], input_ids.shape[1]


def require_known(name: str, ids: Tensor, *, vocabulary: int) -> None:
    """Refuse what is no token id.

    Raises:
        InputError: if `ids` are no integers, or one is outside the vocabulary.
    """
    if ids.is_floating_point() or ids.is_complex() or ids.element_size() < 4:
        raise InputError(f"{name} of {ids.dtype}", rule="token ids are int64 or int32", remedy=f"{name}.long()")
    if ids.numel() and not ids.is_meta:
        low, high = (int(bound) for bound in ids.aminmax())
        if low < 0 or high >= vocabulary:
            raise InputError(
                f"{name} from {low} to {high}",
                rule=f"the vocabulary has ids 0 to {vocabulary - 1}",
                remedy="use the tokenizer that belongs to the checkpoint",
            )


def require_one_per_position(name: str, values: Tensor, positions: tuple[int, int]) -> None:
    """Raise `ShapeError` unless `values` has the shape [B, T] of the positions."""
    if values.shape != positions:
        raise ShapeError(
            f"{name} of shape {list(values.shape)}", rule=f"it has one value per position: {list(positions)}"
        )


def require_prompt(positions: tuple[int, int], attention_mask: Tensor | None) -> None:
    """Refuse texts that generation cannot go on from.

    Args:
        positions: samples B and positions T.
        attention_mask: bool[B, T], False on padding.

    Raises:
        InputError: if the text is empty or padded on the right.
        ShapeError: if the mask has another shape.
    """
    if 0 in positions:
        raise InputError(
            f"the prompt has {positions[0]} samples and {positions[1]} positions",
            rule="generation begins after at least one token",
        )
    if attention_mask is None:
        return
    require_one_per_position("attention_mask", attention_mask, positions)
    if not bool(attention_mask[:, -1].all()):
        raise InputError(
            "attention_mask ends in padding",
            rule="a row goes on where its text ends, so padding stands on the left",
            remedy='let the processor pad with padding_side="left"',
        )
