"""What all commands share: error panels, text that is safe for a terminal, and progress."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from vlkit.errors import VlkitError


def console(*, stderr: bool = False) -> Console:
    """Console for text that is taken as it is, without markup."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def printable(text: str) -> str:
    """Text without characters that steer a terminal; a model or a file may contain any."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\N{MIDDLE DOT}" for char in text)


def show_error(error: VlkitError) -> None:
    """Problem, rule and remedy in a red panel on standard error."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    details = Table.grid(padding=(0, 2))
    for name, sentence in (("rule", error.rule), ("remedy", error.remedy)):
        if sentence:
            details.add_row(Text(name, style="bold"), Text(printable(sentence)))
    parts: list[Text | Padding] = [Text(printable(error.problem))]
    if details.rows:
        parts.append(Padding(details, (1, 0, 0, 0)))
    title = type(error).__name__
    console(stderr=True).print(Panel(Group(*parts), title=title, title_align="left", border_style="red"))


def write(text: str) -> None:
    """Part of an answer on standard output, at once; made safe if a terminal shows it, else as it is."""
    typer.echo(printable(text) if sys.stdout.isatty() else text, nl=False)
    sys.stdout.flush()


@contextmanager
def loading(what: str) -> Iterator[Callable[[int, int], None]]:
    """Context with a function that is told bytes done and bytes in all, and shows them on standard error."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    with Progress(*columns, console=console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(f"loading {printable(what)}", total=None)

        def report(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield report
