"""`vlkit demo`: a picture through every part of a model that reads it, from pixels to tokens to text to a box."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vlkit.cli.layout import draw, require_png, save_png
from vlkit.cli.steps import READER, Steps, follow, locate, open_reader
from vlkit.cli.terminal import printable
from vlkit.errors import InputError
from vlkit.printed_text.questions import READ, where

if TYPE_CHECKING:
    from PIL.Image import Image

    from vlkit.drawing import GivenAnswer
    from vlkit.printed_text.answer import Answer
    from vlkit.vlm_config import VLMConfig

TRAINED_FOR = "short printed digits and capitals"
UNSURE = f"The model is not sure: this is probably not what it was trained for, which is {TRAINED_FOR}."


def demo(
    picture: Annotated[
        Path | None, typer.Argument(help="Any picture.", show_default="one that comes with vlkit")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="PNG file to write.")] = Path("vlkit-demo.png"),
    find: Annotated[
        str | None, typer.Option(help="Word to look for.", show_default="the longest one that was read")
    ] = None,
    prompt: Annotated[str | None, typer.Option("--prompt", "-p", help="A question.", show_default=READ)] = None,
) -> None:
    """Let a small trained model read a picture, and follow it step by step; needs no download."""
    from vlkit.processing import load

    require_png(output)
    if find is not None and prompt is not None:
        raise InputError(
            f"--find {find!r:.80} with --prompt",
            rule="a word is looked for in the text that was read",
            remedy=f"leave out --prompt, or ask {where(find)[:80]!r} with it",
        )
    with as_file(files("vlkit") / "assets" / "demo-text.png") as bundled:
        name, image = (picture or bundled).name, load(picture or bundled)
    typer.echo(f"{READER}, a small DeepSeek-VL2 that reads {TRAINED_FOR}, looks at {printable(name)}:\n")
    with _one_thread():
        steps = Steps()
        model, processor = open_reader(steps)
        question = prompt or READ
        answers = [_given(question, follow(model, processor, image, question, steps), image)]
        word = _word(answers[0], find) if prompt is None else None
        if word is not None:
            answers.append(_given(where(word), locate(model, processor, image, word, steps), image))
    for given in answers:
        typer.echo(f"\n{printable(given.question)}\n{_told(given)}")
    sure = all(given.believed for given in answers)
    if not sure:
        typer.echo(f"\n{UNSURE}")
    elif find is not None and word is None:
        typer.echo(f"\n{printable(find)!r:.80} is not in the text that was read, so it was not looked for.")
    save_png(_drawn(image, model.config, answers, name=name, note="" if sure else UNSURE), output)
    typer.echo(f"\nPicture, tiles, tokens and answers are drawn in {output}. Try next:\n")
    for command in _further(picture, image, answers):
        typer.echo(f"  {command}")


@contextmanager
def _one_thread() -> Iterator[None]:
    """Context with one thread, which is fastest for tensors as small as these."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _given(question: str, answer: Answer, image: Image) -> GivenAnswer:
    """An answer as it is told and drawn: boxes in pixels of the picture, any other text as it is."""
    from vlkit.drawing import GivenAnswer
    from vlkit.processing import parse, to_pixels

    found = [(item.name, to_pixels(box, image.size)) for item in parse(answer.text).objects for box in item.boxes]
    lines = [f"{name} at ({box.left}, {box.upper}) to ({box.right}, {box.lower})" for name, box in found]
    text = "\n".join(lines) or answer.text
    boxes = tuple(box for _, box in found)
    return GivenAnswer(question, text, answer.probability, answer.believable, boxes, answer.least)


def _word(read: GivenAnswer, wanted: str | None) -> str | None:
    """Word to look for: the wanted one, else the longest, if one that stands there once; None if it was not read."""
    words = read.answer.split() if read.believed else []
    if wanted is not None:
        return next((word for word in words if word == wanted.strip().upper()), None)
    return max([word for word in words if words.count(word) == 1] or words, key=len, default=None)


def _told(given: GivenAnswer) -> str:
    """An answer line by line, or on one line what is not believed; and how likely it is."""
    least = given.least or 0.0
    measured = f"mean probability of its tokens {given.probability:.3f}, believed from {least:g}"
    if not given.believed:
        endless = ", and no end" if given.answer and given.probability >= least else ""
        return f"  unsure: {printable(given.answer)!r} ({measured}{endless})"
    lines = printable(given.answer).splitlines()
    return "\n".join(f"  {line}" for line in [*lines, f"({measured})"])


def _drawn(image: Image, config: VLMConfig, answers: Sequence[GivenAnswer], *, name: str, note: str) -> Image:
    """The way from pixels to tokens, and below it what the model says."""
    from vlkit.drawing import draw_answers, stacked
    from vlkit.printed_text.answer import LEAST_PROBABILITY

    way = draw(image, config, title=f"{name}, {config.layout.type} layout")
    said = draw_answers(image, answers, least=LEAST_PROBABILITY, note=note, width=way.width // 2)
    return stacked([way, said])


def _further(picture: Path | None, image: Image, answers: Sequence[GivenAnswer]) -> list[str]:
    """Commands to go on with."""
    given = "PICTURE" if picture is None else shlex.quote(str(picture))
    read, *found = answers
    rest = [printable(word) for word in read.answer.split() if found and where(word) != found[0].question]
    return [
        "vlkit demo PICTURE",
        *([f"vlkit demo {'' if picture is None else f'{given} '}--find {shlex.quote(rest[0])}"] if rest else []),
        f"vlkit describe {READER} --image-size {image.width}x{image.height}",
        f"vlkit generate --model {READER} --image {given} --prompt {shlex.quote(READ)}",
        f"vlkit generate --model deepseek-ai/deepseek-vl2-tiny --image {given} --prompt 'What is this?'",
    ]
