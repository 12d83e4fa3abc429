"""Options that several commands have, and how their texts become values."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vlkit.errors import InputError

if TYPE_CHECKING:
    import torch

    from vlkit.notation import Size

SIZE = re.compile(r"([0-9]{1,6})x([0-9]{1,6})")


class Dtype(StrEnum):
    """Types of weights that a command line can name."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


Model = Annotated[str, typer.Option("--model", "-m", help="Folder, hub id (owner/name), or vlkit-reader.")]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.")]
Images = Annotated[list[Path] | None, typer.Option("--image", "-i", help="A picture; repeat it for more.")]
MaxNewTokens = Annotated[int, typer.Option(min=1, help="Most tokens of an answer.")]
Temperature = Annotated[float, typer.Option(min=0, help="0: always the most likely token.")]
TopK = Annotated[int | None, typer.Option(min=1, help="Sample among the k most likely tokens.")]
TopP = Annotated[float | None, typer.Option(help="Sample among the fewest tokens that reach this probability.")]
RepetitionPenalty = Annotated[float, typer.Option(help="Above 1: make tokens that occurred less likely.")]
NoRepeatNgramSize = Annotated[int | None, typer.Option(min=1, help="Never say the same n tokens in a row twice.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Makes sampling repeatable.")]
ModelDtype = Annotated[
    Dtype | None, typer.Option("--dtype", help="Type of the weights.", show_default="as in the file")
]
Device = Annotated[
    str | None, typer.Option(help="Where the model runs.", show_default="cuda if there is one, else cpu")
]
Cache = Annotated[str, typer.Option(help="Where the KV cache lives; see `vlkit components cache_policies`.")]
ChunkSize = Annotated[int, typer.Option(min=1, help="Positions per pass of the prefill; less needs less memory.")]
System = Annotated[str | None, typer.Option(help="System message.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def torch_dtype(name: Dtype | None) -> torch.dtype | None:
    """The type of that name."""
    import torch

    found: torch.dtype | None = None if name is None else getattr(torch, name.value)
    return found


def torch_device(name: str | None) -> torch.device:
    """A device that works, by default the GPU if there is one.

    Raises:
        InputError: if there is no such device, or it cannot be used.
    """
    import torch

    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.zeros(1, device=device).item()
    except Exception as error:  # each backend raises its own
        raise InputError(
            f"device {name!r} cannot be used: {str(error).splitlines()[0]:.200}",
            rule='a device is "cpu", "cuda", "cuda:1", "mps", ...',
            remedy="name one that this machine has, or leave the option out",
        ) from None
    return device


def image_size(text: str) -> Size:
    """Width and height written as 1024x768.

    Raises:
        InputError: if it is written in another way.
    """
    from vlkit.notation import Size

    found = SIZE.fullmatch(text)
    if not found:
        raise InputError(
            f"the image size {text!r:.80} is not known", rule="width x height in pixels", remedy="for instance 1024x768"
        )
    return Size(int(found[1]), int(found[2]))
