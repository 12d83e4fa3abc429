"""From a sample to the integers and pixels that a model learns from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from vlkit.errors import VlkitError
from vlkit.processing.batching import Sample as Encoded
from vlkit.processing.chat import ROLES
from vlkit.processing.processor import Processor
from vlkit.training.marks import mark_labels
from vlkit.training.sample import IMAGE_TAG, Sample, SampleError

ASKING = frozenset(role for role, speaker in ROLES.items() if speaker == "user")
"""Names of the user's role in the official conversations."""
NOT_COUNTED = -100
"""Label of a position that the loss leaves out."""


def encode(processor: Processor[Any], sample: Sample, *, max_length: int | None = None) -> Encoded:
    """Ids, labels and pixels of a sample; nothing is ever cut off.

    The first position is no label, since nothing stands before it: so a sample gives the same loss alone, in a padded
    batch and in a packed row.

    Args:
        processor: of the model that learns.
        sample: whose `<image>` tags become the processor's own.
        max_length: most tokens that it may have.

    Raises:
        SampleError: if the processor refuses it, it is too long, or no token of it is learned.
    """
    tags = sum(_text(turn).count(IMAGE_TAG) for turn in sample.conversation if turn.get("role") in ASKING)
    if tags != len(sample.images):
        raise SampleError(
            sample.origin, f"{len(sample.images)} images for {tags} {IMAGE_TAG}", rule="every tag stands for one image"
        )
    try:
        encoded = processor.process_one(
            conversations=[_turn(turn, processor.config.image_token) for turn in sample.conversation],
            images=list(sample.images),
            inference_mode=False,
            max_length=max_length,
        )
    except VlkitError as error:
        raise SampleError(sample.origin, error.problem, rule=error.rule, remedy=error.remedy) from None
    labels_T = encoded.labels.masked_fill(encoded.labels == processor.config.ignore_id, NOT_COUNTED)
    labels_T[0] = NOT_COUNTED
    if sample.marks:
        labels_T = mark_labels(processor, sample, replace(encoded, labels=labels_T))
    if not bool((labels_T != NOT_COUNTED).any()):
        raise SampleError(sample.origin, "no token of it is learned", rule="a sample ends with an assistant's answer")
    return replace(encoded, labels=labels_T)


def nothing(processor: Processor[Any]) -> Encoded:
    """The shortest sequence, of which nothing is learned: what a worker runs when none of its samples can be used."""
    encoded = processor.process_one(prompt="", inference_mode=False)
    return replace(encoded, labels=torch.full_like(encoded.labels, NOT_COUNTED))


def _text(turn: Mapping[str, Any]) -> str:
    content = turn.get("content")
    return content if isinstance(content, str) else ""


def _turn(turn: Mapping[str, Any], image_token: str) -> dict[str, Any]:
    content = _text(turn).replace(IMAGE_TAG, image_token)
    return {"role": turn.get("role"), "content": content if isinstance(turn.get("content"), str) else None}
