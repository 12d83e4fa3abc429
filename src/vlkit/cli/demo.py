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
from vlkit.cli.steps import READER, Steps, follow, follow_places, open_reader
from vlkit.cli.terminal import printable
from vlkit.errors import InputError
from vlkit.printed_text.questions import READ, WHERE

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
    find: Annotated[str | None, typer.Option(help="Word to look for.", show_default="all that were read")] = None,
    prompt: Annotated[str | None, typer.Option("--prompt", "-p", help="A question.", show_default=READ)] = None,
) -> None:
    """Let a small trained model read a picture, and follow it step by step; needs no download."""
    from vlkit.processing import load

    require_png(output)
    if find is not None and prompt is not None:
        raise InputError(
            f"--find {find!r:.80} with --prompt",
            rule="a word is looked for in the text that was read",
            remedy=f"leave out --prompt, or ask {WHERE!r} with it",
        )
    with as_file(files("vlkit") / "assets" / "demo-text.png") as bundled:
        name, image = (picture or bundled).name, load(picture or bundled)
    typer.echo(f"{READER}, a small DeepSeek-VL2 that reads {TRAINED_FOR}, looks at {printable(name)}:\n")
    with _one_thread():
        steps = Steps()
        model, processor = open_reader(steps)
        question = prompt or READ
        said = [(question, follow(model, processor, image, question, steps))]
        if prompt is None and said[0][1].believable:
            said.append((WHERE, follow_places(model, processor, image, steps)))
    answers = [_given(question, answer, image, find) for question, answer in said]
    absent = find if len(answers) > 1 and not answers[-1].boxes else None
    if absent is not None:
        answers, said = answers[:1], said[:1]
    for given, (_, answer) in zip(answers, said, strict=True):
        typer.echo(f"\n{printable(given.question)}\n{_told(given, answer)}")
    sure = all(given.believed for given in answers)
    if not sure:
        typer.echo(f"\n{UNSURE}")
    elif absent is not None:
        typer.echo(f"\n{printable(absent)!r:.80} is not among the words that were found.")
    save_png(_drawn(image, model.config, answers, name=name, note="" if sure else UNSURE), output)
    typer.echo(f"\nPicture, tiles, tokens and answers are drawn in {output}. Try next:\n")
    for command in _further(picture, image, answers, find):
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


def _given(question: str, answer: Answer, image: Image, word: str | None = None) -> GivenAnswer:
    """An answer as it is told and drawn: boxes in pixels of the picture, any other text as it is.

    Args:
        question: that was asked.
        answer: to it.
        image: that it is about.
        word: the only one whose box is wanted; None: all.
    """
    from vlkit.drawing import GivenAnswer
    from vlkit.printed_text.reading import found_word
    from vlkit.processing import parse, to_pixels

    objects = parse(answer.text).objects if word is None else filter(None, [found_word(answer, word.strip())])
    found = [(item.name, to_pixels(box, image.size)) for item in objects for box in item.boxes]
    lines = [f"{name} at ({box.left}, {box.upper}) to ({box.right}, {box.lower})" for name, box in found]
    text = "\n".join(lines) or answer.text
    boxes = tuple(box for _, box in found)
    return GivenAnswer(question, text, answer.probability, answer.believable, boxes)


def _told(given: GivenAnswer, answer: Answer) -> str:
    """An answer line by line, or on one line what is not believed; and how likely it is."""
    from vlkit.printed_text.answer import LEAST_PLACE_PROBABILITY, LEAST_PROBABILITY

    measured = f"mean probability of its characters {answer.probability:.3f}, believed from {LEAST_PROBABILITY:g}"
    if answer.place_probability is not None:
        measured += f"; of coordinates {answer.place_probability:.3f}, from {LEAST_PLACE_PROBABILITY:g}"
    if not given.believed:
        endless = "" if answer.ended else "; no end"
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


def _further(picture: Path | None, image: Image, answers: Sequence[GivenAnswer], find: str | None) -> list[str]:
    """Commands to go on with."""
    given = "PICTURE" if picture is None else shlex.quote(str(picture))
    read, *located = answers
    words = [printable(word) for word in read.answer.split()] if located else []
    others = [word for word in words if word != (find.strip().upper() if find else words[0])]
    return [
        "vlkit demo PICTURE",
        *([f"vlkit demo {'' if picture is None else f'{given} '}--find {shlex.quote(others[0])}"] if others else []),
        f"vlkit describe {READER} --image-size {image.width}x{image.height}",
        f"vlkit generate --model {READER} --image {given} --prompt {shlex.quote(READ)}",
        f"vlkit generate --model deepseek-ai/deepseek-vl2-tiny --image {given} --prompt 'What is this?'",
    ]
