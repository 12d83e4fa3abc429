"""A tiny model whose answers are forced, and sources for it."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

import vlkit
from vlkit.models.deepseek_vl2.model import DeepseekVLV2
from vlkit.training.sample import Sample, SampleError

MINI = vlkit.presets["mini"]
CONFIG = MINI.replace(decoder=MINI.decoder.replace(vocab_size=267))
PROCESSOR = vlkit.DeepseekVLV2Processor.for_model(CONFIG)


class Scripted(DeepseekVLV2):
    """Answers a question by its last word, through the same call as any model.

    Args:
        answers: last word of a question to the answer.
    """

    def __init__(self, answers: Mapping[str, str]) -> None:
        super().__init__(CONFIG)
        self.answers, self.batches, self.modes = answers, list[int](), list[bool]()

    def generate(self, **inputs: Any) -> Tensor:
        ids_BT, mask_BT = inputs["input_ids"], inputs["attention_mask"]
        self.batches.append(len(ids_BT))
        self.modes.append(self.training)
        rows = []
        for ids, mask in zip(ids_BT, mask_BT, strict=True):
            text = PROCESSOR.tokenizer.decode(ids[mask].tolist(), skip_special_tokens=True)
            said = PROCESSOR.tokenizer.encode(self.answers[text.split()[-2]])
            rows.append([*said, PROCESSOR.tokenizer.eos_id][: inputs["max_new_tokens"]])
        longest = max(map(len, rows))
        return torch.tensor([row + [PROCESSOR.tokenizer.pad_id] * (longest - len(row)) for row in rows])


def sample(question: str, answer: str, *sizes: tuple[int, int], origin: str = "made up") -> Sample:
    """A question about grey pictures, and its answer; the question ends with a word for `Scripted` and a blank."""
    turns = (
        {"role": "<|User|>", "content": "<image>\n" * len(sizes) + question},
        {"role": "<|Assistant|>", "content": answer},
    )
    return Sample(turns, tuple(Image.new("RGB", size, "grey") for size in sizes), origin)


class Listed:
    """Samples of a list; an error in it is raised."""

    def __init__(self, samples: Sequence[Sample | SampleError], *, endless: bool = False) -> None:
        self.samples, self.endless = samples, endless

    @property
    def count(self) -> int | None:
        return None if self.endless else len(self.samples)

    def sample(self, index: int) -> Sample:
        found = self.samples[index % len(self.samples)]
        if isinstance(found, SampleError):
            raise found
        return found
