"""What a model reads on a picture, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from vlkit.printed_text.questions import READ, where
from vlkit.processing.grounding import parse, to_pixels

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from vlkit.processing.batching import ProcessorOutput
    from vlkit.processing.processor import Processor
    from vlkit.tiling import Box
    from vlkit.vlm import VLM

BOX = "<|det|>"
"""What stands before the coordinates of an answer."""
LEAST_PROBABILITY = 0.95
"""Mean probability of an answer's tokens below which it is not believed. Of vlkit-reader's answers to pages of its task
nine in ten are likelier, and these are right 19 times in 20; of those to pictures without text hardly any is."""
LEAST_WITH_BOX = 0.68
"""The same for an answer with a box: the digits of its coordinates are never as certain as characters."""
MOST_TOKENS = 96
"""Most tokens of an answer."""


@dataclass(frozen=True)
class Answer:
    """An answer of a model.

    Args:
        text: what it says.
        probability: mean probability of its tokens, the end of the answer among them.
        ended: whether it came to an end by itself.
    """

    text: str
    probability: float
    ended: bool

    @property
    def least(self) -> float:
        """Probability from which it is believed."""
        return LEAST_WITH_BOX if BOX in self.text else LEAST_PROBABILITY

    @property
    def believable(self) -> bool:
        """Whether there is a text, and the model is about as sure of it as on pictures like those it was trained on."""
        return bool(self.text) and self.ended and self.probability >= self.least


def read(model: VLM, processor: Processor[Any], picture: Image) -> Answer:
    """All of the text on a picture.

    Args:
        model: trained on this task.
        processor: that of the model.
        picture: what to read.
    """
    return _ask(model, processor, picture, READ)


def find(model: VLM, processor: Processor[Any], picture: Image, word: str) -> tuple[Answer, Box | None]:
    """Where a word is, in pixels of the picture; no box if the answer holds none.

    Args:
        model: trained on this task.
        processor: that of the model.
        picture: where to look.
        word: what to look for.
    """
    answer = _ask(model, processor, picture, where(word))
    objects = parse(answer.text).objects
    return answer, to_pixels(objects[0].boxes[0], picture.size) if objects else None


def question_inputs(processor: Processor[Any], picture: Image, question: str) -> ProcessorOutput:
    """Inputs of a question about a picture, up to where the answer begins."""
    turns = [
        {"role": "<|User|>", "content": f"{processor.config.image_token}\n{question}"},
        {"role": "<|Assistant|>", "content": ""},
    ]
    return processor(conversations=turns, images=[picture])


@torch.no_grad()
def judged(model: VLM, processor: Processor[Any], inputs: Mapping[str, Tensor], ids_BT: Tensor) -> Answer:
    """An answer in words, and how sure the model is of it, from one more pass over question and answer.

    Args:
        model: that gave the answer.
        processor: that of the model.
        inputs: of one question, as `question_inputs` gives them.
        ids_BT: int64[1, T], the answer with the token that ends it.
    """
    picture_BT = torch.cat([inputs["images_seq_mask"], torch.zeros_like(ids_BT, dtype=torch.bool)], dim=1)
    out = model(
        input_ids=torch.cat([inputs["input_ids"], ids_BT], dim=1),
        images=inputs["images"],
        images_seq_mask=picture_BT,
        images_spatial_crop=inputs["images_spatial_crop"],
        logits_to_keep=ids_BT.shape[1] + 1,
    )
    assert out.logits is not None
    probabilities_BT = out.logits[:, :-1].softmax(dim=-1).gather(2, ids_BT[..., None])[..., 0]
    tokenizer = processor.tokenizer
    text = processor.decode(ids_BT[0]).removesuffix(tokenizer.names["eos_token"]).strip()
    return Answer(text, float(probabilities_BT.mean()), bool(ids_BT[0, -1] == tokenizer.eos_id))


def _ask(model: VLM, processor: Processor[Any], picture: Image, question: str) -> Answer:
    inputs = question_inputs(processor, picture, question).to(model.device)
    return judged(model, processor, inputs, model.generate(**inputs, max_new_tokens=MOST_TOKENS))
