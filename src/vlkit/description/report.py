"""A description as a table of plain text, 80 columns wide and about one screen high."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from vlkit.description.costs import Picture
from vlkit.description.parameters import Parameters
from vlkit.description.unknown import multiply

if TYPE_CHECKING:
    from vlkit.description.description import Description

WIDTH = 80
ROWS_OF_PICTURES = 3
"""Most kinds of pictures that are listed one by one."""


def report(about: Description) -> str:
    """The whole table."""
    encoder, projector, layout, decoder = about.parts
    chain = f"{encoder} {about.tile_size} -> {projector} {about.grid} -> {layout} -> {decoder}"
    sections = (
        textwrap.wrap(chain, WIDTH),
        _parameters(about.parameters),
        _pictures(about),
        _flops(about),
        _memory(about),
        _warnings(about.warnings),
    )
    return "\n\n".join("\n".join(map(str.rstrip, lines)) for lines in map(list, sections) if lines)


def _parameters(model: Parameters) -> Iterator[str]:
    yield f"{'Parameters':<36}{'total':>22}{'active':>22}"
    for part in model.parts:
        yield _parameter_row(part, indent=2)
        if part.unused:
            yield f"{'    of these, never run':<36}{part.unused:>22,}"
        for kind in part.parts:
            yield _parameter_row(kind, indent=4)
    yield _parameter_row(model, indent=2)


def _parameter_row(part: Parameters, *, indent: int) -> str:
    name = " " * indent + ("sum" if part.name == "model" else part.name)
    return f"{name:<36}{as_number(part.total):>22}{as_number(part.active):>22}"


def _pictures(about: Description) -> Iterator[str]:
    if about.pictures:
        yield f"{'Pictures':<26}{'fitted to':>12}{'scale':>8}{'tiles':>7}{'tokens':>9}{'encoder FLOPs':>18}"
    counted = list(Counter(about.pictures).items())
    for picture, times in counted[:ROWS_OF_PICTURES]:
        yield _picture_row(picture, times)
    if left := sum(times for _, times in counted[ROWS_OF_PICTURES:]):
        yield f"  and {left:,} of other sizes"
    context = about.context
    limit = "no limit" if context.limit is None else f"of {context.limit:,} ({context.positions / context.limit:.0%})"
    yield (
        f"Context: {context.image_tokens:,} image + {context.prompt_tokens:,} text + {context.new_tokens:,} new "
        f"= {context.total:,} tokens, {limit}"
    )


def _picture_row(picture: Picture, times: int) -> str:
    name = f"  {picture.size}" + (f" ({times:,} times)" if times > 1 else "")
    resolution, tiles, flops = str(picture.resolution), str(picture.tiles), as_flops(picture.flops)
    return f"{name:<26}{resolution:>12}{picture.scale:>8.2f}{tiles:>7}{picture.tokens:>9,}{flops:>18}"


def _flops(about: Description) -> Iterator[str]:
    flops, views = about.flops, sum(picture.views for picture in about.pictures)
    one = "view" if multiply(views, flops.encoder_view) == flops.encoder else "tile"
    rows = (
        ("encoder", f"{as_flops(flops.encoder_view)} per {one}", views, "views", flops.encoder),
        ("projector", f"{as_flops(flops.projector_view)} per {one}", views, "views", flops.projector),
        ("prefill", "", about.context.prefill, "tokens", flops.prefill),
        ("decode", "", 1, "token", flops.decode),
    )
    yield "FLOPs (a multiply-add is two)"
    for name, each, count, unit, value in rows:
        yield f"  {name:<20}{each:>22}{f'{count:,} {unit}':>18}{as_flops(value):>18}"


def _memory(about: Description) -> Iterator[str]:
    memory = about.memory
    per_token = "unknown" if memory.cache_per_token is None else f"{memory.cache_per_token:,} B per token"
    elsewhere = [("", "of it on the device", memory.cache_on_device)] if memory.cache != memory.cache_on_device else []
    yield f"Memory in {about.dtype}"
    for name, note, value in (
        ("weights", "", memory.weights),
        (f"cache, {memory.policy}", per_token, memory.cache),
        *elsewhere,
        ("activations", "vision, estimate", memory.vision),
        ("", "prefill, estimate", memory.prefill),
        ("", "decode, estimate", memory.decode),
        ("peak", "estimate", memory.peak),
        ("read per new token", "at least", memory.read_per_token),
    ):
        yield f"  {name:<38}{note:>22}{as_bytes(value):>18}"


def _warnings(warnings: tuple[str, ...]) -> Iterator[str]:
    for warning in warnings:
        yield from textwrap.wrap(f"! {warning}", WIDTH, subsequent_indent="  ")


def as_number(value: int | None) -> str:
    """Whole number with thousands separated."""
    return "unknown" if value is None else f"{value:,}"


def as_flops(value: int | None) -> str:
    """Number of operations with a decimal prefix."""
    return _scaled(value, 1000, ("", " k", " M", " G", " T", " P", " E"))


def as_bytes(value: int | None) -> str:
    """Number of bytes with a binary prefix."""
    return _scaled(value, 1024, (" B", " KiB", " MiB", " GiB", " TiB", " PiB"))


def _scaled(value: int | None, step: int, units: tuple[str, ...]) -> str:
    if value is None:
        return "unknown"
    scaled, unit = float(value), 0
    while scaled >= step and unit < len(units) - 1:
        scaled, unit = scaled / step, unit + 1
    return f"{scaled:.0f}{units[0]}" if unit == 0 else f"{scaled:.2f}{units[unit]}"
