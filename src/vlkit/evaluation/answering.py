"""Answers of a model to many questions, in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vlkit.processing.batching import Sample as Encoded

if TYPE_CHECKING:
    from vlkit.processing.processor import Processor
    from vlkit.vlm import VLM


def answer(
    model: VLM,
    processor: Processor[Any],
    questions: Sequence[Encoded],
    *,
    max_new_tokens: int,
    batch_size: int,
    progress: Callable[[int], None] | None = None,
) -> list[str]:
    """Text of the most likely tokens after each question, special tokens kept, in the order of the questions.

    Questions of like length share a batch, so that little is padded; what is answered does not depend on it, up to
    the rounding of the model's type.

    Args:
        model: in evaluation mode.
        processor: that of the model.
        questions: encoded up to where the answers begin.
        max_new_tokens: most tokens of an answer.
        batch_size: most questions at a time.
        progress: is told the number of answers after every batch.
    """
    ends = end_ids(model, processor)
    answers: dict[int, str] = {}
    order = sorted(range(len(questions)), key=lambda index: len(questions[index].input_ids))
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batch = processor.batchify([questions[index] for index in chosen], padding_side="left")
        ids_BT = model.generate(**batch.to(model.device), max_new_tokens=max_new_tokens, eos_token_id=ends)
        for index, ids in zip(chosen, ids_BT.tolist(), strict=True):
            stop = next((place for place, token in enumerate(ids) if token in ends), len(ids))
            answers[index] = processor.decode(ids[:stop]).strip()
        if progress:
            progress(len(answers))
    return [answers[index] for index in range(len(questions))]


def end_ids(model: VLM, processor: Processor[Any]) -> tuple[int, ...]:
    """Tokens that end an answer: those that the model's config names, and the one that ends answers in training."""
    decoder = model.config.decoder
    known = {*decoder.stop_ids, processor.tokenizer.eos_id}
    return tuple(sorted(token for token in known if token < decoder.vocabulary))


@contextmanager
def evaluating(model: VLM) -> Iterator[None]:
    """Context with the model in evaluation mode; each module's own mode comes back at the end."""
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in before:
            module.training = training
