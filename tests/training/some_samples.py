"""Small samples with and without pictures, and a processor for them."""

from typing import Any

from PIL import Image

import vlkit
from vlkit.models.deepseek_vl2.processor import DeepseekVLV2Processor
from vlkit.training import FromIterable, Sample, SampleError


def processor() -> Any:
    """Processor of the smallest preset, whose labels leave out the questions."""
    made = DeepseekVLV2Processor.for_model(vlkit.presets["mini"])
    return type(made)(made.tokenizer, made.config.replace(mask_prompt=True), geometry=made.geometry)


def conversation(question: str, answer: str) -> tuple[dict[str, str], ...]:
    return ({"role": "<|User|>", "content": question}, {"role": "<|Assistant|>", "content": answer})


def sample(number: int, *, pictures: int | None = None) -> Sample:
    """Sample whose number can be read from its answer; the longer, the larger `number % 7`."""
    count = number % 3 if pictures is None else pictures
    question = "<image>\n" * count + "what " * (number % 7 + 1)
    images = tuple(Image.new("RGB", (20 + number, 30), (number % 256, place, 9)) for place in range(count))
    return Sample(conversation(question, f"it is {number}."), images, origin=f"sample {number}")


def source(count: int) -> FromIterable:
    return FromIterable(sample(number) for number in range(count))


class Endless:
    """A source without end, some of whose samples are bad."""

    count = None

    def __init__(self, bad: frozenset[int] = frozenset()) -> None:
        self.bad = bad

    def sample(self, index: int) -> Sample:
        if index in self.bad:
            raise SampleError(f"made {index}", "it is bad")
        return sample(index)


class Broken:
    """A source with a mistake in its code."""

    count = 4

    def sample(self, index: int) -> Sample:
        if index == 2:
            raise KeyError("lost")
        return sample(index)
