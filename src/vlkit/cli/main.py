"""The application: its commands, and what becomes of errors."""

from __future__ import annotations

import importlib.metadata
import io
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from vlkit.cli.bench import bench
from vlkit.cli.chat import chat
from vlkit.cli.check import check
from vlkit.cli.compare import compare
from vlkit.cli.components import components
from vlkit.cli.demo import demo
from vlkit.cli.describe import describe
from vlkit.cli.eval import evaluate
from vlkit.cli.generate import generate
from vlkit.cli.layout import layout
from vlkit.cli.terminal import show_error
from vlkit.cli.train import train
from vlkit.errors import VlkitError


class _Commands(TyperGroup):
    """Shows the library's own errors without a traceback, unless `--debug` asks for it."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except VlkitError as error:
            if ctx.params["debug"]:
                raise
            show_error(error)
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vlkit {importlib.metadata.version('vlkit')}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Building blocks for vision-language models; loads and runs DeepSeek-VL2, DeepSeek-OCR and DeepSeek-VL."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


for command in (demo, layout, generate, chat, describe, components, check, bench, train, compare):
    app.command()(command)
app.command("eval")(evaluate)
