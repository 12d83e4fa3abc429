"""The reader that comes with vlkit, followed step by step: what each step gives, and how long it takes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import typer

from vlkit.cli.terminal import printable

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from vlkit.printed_text.answer import Answer
    from vlkit.processing.processor import Processor
    from vlkit.vlm import VLM

READER = "vlkit-reader"
"""Name of the model."""


class Steps:
    """Prints what happened in each step and how long it took; the first one begins now."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    def done(self, name: str, result: str) -> None:
        """Report a step that is over; the next one begins."""
        seconds = time.perf_counter() - self._began
        typer.echo(f"  {name:<10}{seconds * 1000:8.1f} ms   {printable(result)}")
        self._began = time.perf_counter()


def open_reader(steps: Steps) -> tuple[VLM, Processor[Any]]:
    """The model, computing in 32 bits, and its processor."""
    import torch

    from vlkit.models.auto import from_pretrained, load_processor

    model, processor = from_pretrained(READER, dtype=torch.float32), load_processor(READER)
    config, count = model.config, sum(parameter.numel() for parameter in model.parameters())
    parts = (config.encoder.type, config.projector.type, config.layout.type, config.decoder.type)
    steps.done("load", f"{' -> '.join(parts)}, {count:,} parameters")
    return model, processor


def follow(model: VLM, processor: Processor[Any], image: Image, question: str, steps: Steps) -> Answer:
    """Answer to a question about a picture, as `vlkit.printed_text.answering` gives it, with every step reported.

    Args:
        model: that answers.
        processor: that of the model.
        image: what is asked about.
        question: without the tag of the picture.
        steps: prints them.
    """
    import torch

    from vlkit.printed_text.answering import MOST_TOKENS, judged, question_inputs

    config = model.config
    tiling = config.tiling(image.size)
    plan = config.layout.plan(tiling.grid, config.grid)
    fitted = f"{image.width}x{image.height} fitted to {tiling.resolution}"
    steps.done("tiling", f"{fitted}: {tiling.grid} tile{'s' * (tiling.grid.area > 1)}, global view")
    inputs = question_inputs(processor, [(question, image)])
    pixels = inputs.images[0]
    steps.done("pixels", f"pixels{_shape(pixels)}, the global view first")
    with torch.no_grad():
        x_NYXW = model.encoder(pixels)
        steps.done("vision", f"x_NYXW{_shape(x_NYXW)}, a grid of features per view")
        x_NYXD = model.projector(x_NYXW)
        merge = config.projector.merge
        steps.done("projector", f"x_NYXD{_shape(x_NYXD)}, {merge}x{merge} merged to one")
        x_LD = model.layout(x_NYXD, [tiling.grid])
        features = x_NYXD.shape[:3].numel()
        steps.done("layout", f"x_LD{_shape(x_LD)}: {features} features, {len(plan) - features} separators")
        x_BTD = model.decoder.embed(inputs.input_ids).masked_scatter(inputs.images_seq_mask[..., None], x_LD)
        text = int((~inputs.images_seq_mask).sum())
        steps.done("prompt", f"x_BTD{_shape(x_BTD)}: {text} tokens of text around {len(x_LD)} of the picture")
        out = model.incremental_prefilling(inputs_embeds=x_BTD, cache="resident")
    assert out.cache is not None
    kib = out.cache.nbytes / 1024
    steps.done("prefill", f"{x_BTD.shape[1]} positions in one pass; {kib:.0f} KiB of cached latents")
    ids_BT = model.generate(
        input_ids=inputs.input_ids,
        images_seq_mask=inputs.images_seq_mask,
        cache=out.cache,
        max_new_tokens=MOST_TOKENS,
    )
    steps.done("decode", f"ids_BT{_shape(ids_BT)}, one after the other")
    (answer,) = judged(model, processor, inputs, ids_BT)
    steps.done("judge", f"mean probability of its characters {answer.probability:.3f}")
    return answer


def follow_places(model: VLM, processor: Processor[Any], image: Image, steps: Steps) -> Answer:
    """Answer to the question for places, reported as one step.

    Args:
        model: that answers.
        processor: that of the model.
        image: where to look.
        steps: prints it.
    """
    from vlkit.printed_text.reading import locate
    from vlkit.processing import parse

    answer = locate(model, processor, image)
    count = sum(len(item.boxes) for item in parse(answer.text).objects)
    steps.done("locate", f"{count} box{'es' * (count != 1)}, mean probability {answer.probability:.3f}")
    return answer


def _shape(tensor: Tensor) -> str:
    return str(list(tensor.shape))
