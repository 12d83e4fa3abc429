"""Questions about pictures, many at a time: the answers, and how sure the model is of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from vlkit.errors import InputError
from vlkit.printed_text.answer import Answer
from vlkit.processing.grounding import GROUNDING_TAGS

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from vlkit.processing.batching import ProcessorOutput
    from vlkit.processing.processor import Processor
    from vlkit.processing.tokenizer import Tokenizer
    from vlkit.vlm import VLM

Question = tuple[str, "Image"]
"""What is asked, and the picture that it is asked about."""

BATCH = 50
"""Questions at a time."""
MOST_TOKENS = 96
"""Most tokens of an answer."""


def answer_all(
    model: VLM,
    processor: Processor[Any],
    questions: Sequence[Question],
    *,
    batch_size: int = BATCH,
    on_batch: Callable[[int], None] | None = None,
) -> list[Answer]:
    """Answers to questions about one picture each, with how sure the model is of them.

    Args:
        model: trained on this task.
        processor: that of the model.
        questions: see `vlkit.printed_text.questions`.
        batch_size: questions at a time.
        on_batch: is told after each batch how many answers there are.

    Raises:
        InputError: if `batch_size` is less than 1.
    """
    if batch_size < 1:
        raise InputError(f"batch_size is {batch_size}", rule="it is a whole number from 1")
    answers: list[Answer] = []
    for start in range(0, len(questions), batch_size):
        inputs = question_inputs(processor, questions[start : start + batch_size]).to(model.device)
        ids_BT = model.generate(**inputs, max_new_tokens=MOST_TOKENS)
        answers += judged(model, processor, inputs, ids_BT)
        if on_batch is not None:
            on_batch(len(answers))
    return answers


def question_inputs(processor: Processor[Any], questions: Sequence[Question]) -> ProcessorOutput:
    """Inputs of questions about one picture each, up to where their answers begin."""
    tag = processor.config.image_token
    conversations = [
        [{"role": "<|User|>", "content": f"{tag}\n{question}"}, {"role": "<|Assistant|>", "content": ""}]
        for question, _ in questions
    ]
    return processor(conversations=conversations, images=[[picture] for _, picture in questions])


@torch.no_grad()
def judged(model: VLM, processor: Processor[Any], inputs: ProcessorOutput, ids_BT: Tensor) -> list[Answer]:
    """Answers in words, and how sure the model is of them, from one more pass over questions and answers.

    What stands behind the end of an answer is not part of it, and nothing before depends on it.

    Args:
        model: that gave the answers.
        processor: that of the model.
        inputs: of the questions, as `question_inputs` gives them.
        ids_BT: int64[B, T], each answer with the token that ends it.
    """
    out = model(
        input_ids=torch.cat([inputs.input_ids, ids_BT], dim=1),
        attention_mask=torch.cat([inputs.attention_mask, torch.ones_like(ids_BT, dtype=torch.bool)], dim=1),
        images=inputs.images,
        images_seq_mask=torch.cat([inputs.images_seq_mask, torch.zeros_like(ids_BT, dtype=torch.bool)], dim=1),
        images_spatial_crop=inputs.images_spatial_crop,
        global_views=inputs.global_views,
        logits_to_keep=ids_BT.shape[1] + 1,
    )
    assert out.logits is not None
    probabilities_BT = out.logits[:, :-1].softmax(dim=-1).gather(2, ids_BT[..., None])[..., 0]
    tokenizer, answers = processor.tokenizer, []
    for ids_T, probabilities_T in zip(ids_BT, probabilities_BT, strict=True):
        ends = (ids_T == tokenizer.eos_id).nonzero()
        length = int(ends[0]) + 1 if len(ends) else len(ids_T)
        text = processor.decode(ids_T[:length]).removesuffix(tokenizer.names["eos_token"]).strip()
        tags_T, places_T = grounding_parts(ids_T[:length], tokenizer)
        probability = _mean(probabilities_T[:length][~tags_T & ~places_T])
        place_probability = _mean(probabilities_T[:length][places_T])
        answers.append(Answer(text, probability or 0.0, bool(len(ends)), place_probability))
    return answers


def _mean(values_N: Tensor) -> float | None:
    return float(values_N.mean()) if len(values_N) else None


def grounding_parts(ids_T: Tensor, tokenizer: Tokenizer) -> tuple[Tensor, Tensor]:
    """Where the tags of the grounding format stand in an answer, and where the coordinates between them, bool[T] each.

    Args:
        ids_T: int64[T], an answer.
        tokenizer: that it was written with.
    """
    name_T, name_end_T, boxes_T, boxes_end_T = (ids_T == tokenizer.id_of(tag) for tag in GROUNDING_TAGS)
    tags_T = name_T | name_end_T | boxes_T | boxes_end_T
    return tags_T, ~tags_T & (boxes_T.cumsum(0) > boxes_end_T.cumsum(0))
