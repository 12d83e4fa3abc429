"""`vlkit check`: the laws of a part, a plug-in's or one's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vlkit.cli.options import AsJson

if TYPE_CHECKING:
    from rich.text import Text

    from vlkit.testing.report import Outcome, Report

SIGNS = {"passed": ("\N{CHECK MARK}", "green"), "failed": ("\N{BALLOT X}", "bold red"),
         "skipped": ("-", "yellow"), "noted": ("\N{CHECK MARK}", "yellow")}  # fmt: skip


def check(
    part: Annotated[
        str, typer.Argument(help="my_package.module:MyConfig, or kind:tag such as projectors:linear.", metavar="PART")
    ],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Value of a field; repeat it for more.")
    ] = None,
    compiles: Annotated[bool, typer.Option("--compiles", help="torch.compile must work.")] = False,
    exports: Annotated[bool, typer.Option("--exports", help="torch.export must work.")] = False,
    skip: Annotated[list[str] | None, typer.Option(help="A law to leave out; repeat it for more.")] = None,
    max_parameters: Annotated[
        int | None, typer.Option(min=1, help="Largest part that is given numbers.", show_default="10000000")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put a part to the test of the laws of its kind."""
    from vlkit.testing.checks import examine
    from vlkit.testing.finding import find

    options: dict[str, Any] = {"compiles": compiles or None, "exports": exports or None, "skip": tuple(skip or ())}
    if max_parameters is not None:
        options["max_parameters"] = max_parameters
    report = examine(find(part, settings or ()), **options)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=2))
    else:
        _show(report)
    if not report.ok:
        raise typer.Exit(1)


def _show(report: Report) -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from vlkit.cli.terminal import console, printable

    screen = console()
    screen.print(Text(printable(report.part), "bold"))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="italic")
    for title in ("", "law", "time", "says"):
        table.add_column(title, justify="right" if title == "time" else "left")
    for outcome in report.outcomes:
        sign, style = SIGNS[outcome.status]
        table.add_row(Text(sign, style), Text(outcome.law), Text(f"{outcome.seconds:.2f} s", "dim"), _said(outcome))
    screen.print(table)
    for outcome in report.of("failed"):
        assert outcome.error is not None
        screen.print()
        screen.print(Text.assemble(("broken: ", "bold red"), (outcome.law, "bold")))
        details = Table.grid(padding=(0, 2))
        for name in ("problem", "likely", "rule", "remedy"):
            sentence = getattr(outcome.error, name)
            if sentence:
                details.add_row(Text(name, "bold"), Text(printable(sentence)))
        screen.print(Padding(details, (0, 0, 0, 2)))
    screen.print()
    screen.print(Text(report.summary, "bold green" if report.ok else "bold red"))
    if any(outcome.reason and outcome.reason.startswith("too large") for outcome in report.of("skipped")):
        screen.print(
            Text("Not everything was tested: set smaller fields with --set, or raise --max-parameters.", "yellow")
        )


def _said(outcome: Outcome) -> Text:
    from rich.text import Text

    from vlkit.cli.terminal import printable

    if outcome.reason is not None:
        return Text(printable(f"{outcome.status}: {outcome.reason}"), "yellow")
    return Text(printable(outcome.rule), "" if outcome.error is None else "red")
