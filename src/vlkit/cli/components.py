"""`vlkit components`: every part that a model can be assembled from, plug-ins included."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vlkit.cli.options import AsJson
from vlkit.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from rich.console import Console

    from vlkit.registry import Registry

PRESETS = "presets"
KINDS = ("encoders", "projectors", "layouts", "decoders", "cache_policies", PRESETS)


def components(
    kind: Annotated[str | None, typer.Argument(help=f"One of {', '.join(KINDS)}.", show_default="all")] = None,
    as_json: AsJson = False,
) -> None:
    """List the parts that models are assembled from, with their fields; and the presets."""
    if kind is not None and kind not in KINDS:
        raise InputError(
            f"{kind!r:.80} is no kind of part; {did_you_mean(kind, KINDS)}", rule=f"kinds are {', '.join(KINDS)}"
        )
    found = {name: _entries(name) for name in KINDS if kind in (None, name)}
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    from vlkit.cli.terminal import console

    screen = console()
    for name, entries in found.items():
        screen.rule(name.replace("_", " "), align="left")
        for tag, entry in entries.items():
            _show(screen, entry, heading=repr(tag))
        screen.print()


def _entries(kind: str) -> Mapping[str, Any]:
    if kind == PRESETS:
        from vlkit.models.families import presets

        return {name: _preset(config) for name, config in presets.items()}
    from vlkit.cli.fields import describe_config

    registry = _registries()[kind]
    return {tag: describe_config(registry[tag]) for tag in registry}


def _registries() -> Mapping[str, Registry[Any, Any]]:
    from vlkit.cache import cache_policies
    from vlkit.decoders import decoders
    from vlkit.encoders import encoders
    from vlkit.layouts import layouts
    from vlkit.projectors import projectors

    parts: tuple[Registry[Any, Any], ...] = (encoders, projectors, layouts, decoders, cache_policies)
    return {registry.kind: registry for registry in parts}


def _preset(config: Any) -> dict[str, Any]:
    decoder = config.decoder
    chain = " -> ".join(part.type for part in (config.encoder, config.projector, config.layout, decoder))
    sizes = (
        f"tiles of {config.tile_size} become {config.grid} tokens of width {decoder.dim}, {decoder.num_layers} layers"
    )
    return {"about": f"{chain}\n{sizes}", "settings": config.model_dump(mode="json")}


def _show(screen: Console, entry: Mapping[str, Any], *, heading: str) -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    screen.print()
    screen.print(Text.assemble((heading, "bold"), f"  {entry.get('config', '')}"))
    screen.print(Padding(Text(entry["about"]), (0, 0, 0, 2)))
    if entry.get("fields"):
        table = Table(box=None, padding=(0, 2, 0, 0))
        for title in ("field", "type", "default", "meaning"):
            table.add_column(title, style="dim" if title == "type" else None, header_style="italic")
        for field in entry["fields"]:
            default = "(required)" if field["required"] else _shown(field["default"])
            kind = " ".join([field["type"], *field["limits"]])
            table.add_row(*map(Text, (field["name"], kind, default, " ".join(field["about"].split()))))
        screen.print(Padding(table, (0, 0, 0, 2)))
    for inner in entry.get("nested", ()):
        _show(screen, inner, heading=f"{heading} / {inner['config'].rpartition('.')[2]}")


def _shown(default: Any) -> str:
    """A default in a word; that of a field which holds a config is its tag."""
    return repr(default["type"]) if isinstance(default, dict) and "type" in default else repr(default)
