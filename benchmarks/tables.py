"""Writes what was measured into the documentation: tables between markers, and charts beside them.

A page says `<!-- measured: decoders latent -->`, and behind it comes the table of that case of
`benchmarks/results/decoders.json`, up to `<!-- end -->`; `<!-- measured: decoders -->` gives the machine. A test holds
the pages to the results.

    python -m benchmarks.tables
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL.PngImagePlugin import PngInfo

from benchmarks.frame import RESULTS, ROOT
from vlkit.bench import Floor, Machine
from vlkit.bench.timing import as_time
from vlkit.description.report import as_bytes
from vlkit.drawing import Bars, draw_bars

PAGES = (ROOT / "docs" / "performance.md",)
ASSETS = ROOT / "docs" / "assets"
MARKED = re.compile(r"(<!-- measured: (\w+)(?: ([\w -]+?))? -->\n).*?(<!-- end -->)", re.DOTALL)
NOTHING = "\n*Not measured on this machine yet.*\n\n"
SOURCE = "source"
"""Key of a chart's entry that names the numbers it was drawn from."""


def written(page: str) -> str:
    """Text of a page with the tables of the results that are there."""

    def section(found: re.Match[str]) -> str:
        result = load(found[2])
        if result is None:
            return found[1] + NOTHING + found[4]
        if found[3] is None:
            return f"{found[1]}\n{conditions(result)}\n\n{found[4]}"
        chart = f"![{result['cases'][found[3]]['about']}](assets/{chart_name(found[2], found[3])})"
        return f"{found[1]}\n{table(result['cases'][found[3]])}\n\n{chart}\n\n{found[4]}"

    return MARKED.sub(section, page)


def sections(page: str) -> list[tuple[str, str]]:
    """Benchmarks and cases that a page shows and that were measured."""
    return [(found[2], found[3]) for found in MARKED.finditer(page) if found[3] and load(found[2])]


def load(benchmark: str) -> dict[str, Any] | None:
    """Result of a benchmark; None if there is none."""
    path = RESULTS / f"{benchmark}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def conditions(result: Mapping[str, Any]) -> str:
    """Sentences about the machine and how it was measured."""
    machine = Machine(**result["machine"])
    floor = Floor(**{name: result["floor"][name] for name in ("read", "multiply", "dtype")})
    load = "" if machine.load is None else f" In the minute before, {machine.load:.2f} processes wanted to run."
    return (
        f"{machine}. The floor: it {floor}, the best of {result['rounds']} rounds.{load} Each side ran in "
        f"{result['rounds']} fresh processes, in turn with the others. A cell shows the median; below it the shortest "
        "time, and the quartiles."
    )


def table(case: Mapping[str, Any]) -> str:
    """A case as a Markdown table: measures in rows, sides in columns, then how the first side compares."""
    ours, peers = next(iter(case["sides"])), case["peers"]
    floors = {name: seconds for name, seconds in case["floor_seconds"].items() if seconds}
    headings = ["", *case["sides"]]
    headings += ["times as fast as the best peer"] * bool(peers) + ["floor", f"{ours}: share of it"] * bool(floors)
    rows = [headings, ["---"] * len(headings)]
    for measure in measures(case):
        own, theirs = median(case, ours, measure), [median(case, peer, measure) for peer in peers]
        best, floor = min((value for value in theirs if value), default=None), floors.get(measure)
        row = [measure, *(_cell(side, measure) for side in case["sides"].values())]
        row += [f"{best / own:.2f}" if own and best else ""] * bool(peers)
        row += ([as_time(floor), f"{floor / own:.0%}"] if own and floor else ["", ""]) * bool(floors)
        rows.append(row)
    empty = [""] * (len(headings) - 1 - len(case["sides"]))
    rows += [[name, *values, *empty] for name, values in _sizes(case)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def median(case: Mapping[str, Any], side: str, measure: str) -> float | None:
    """Median seconds of a side; None if it was not measured."""
    timing = case["sides"][side].get("timings", {}).get(measure)
    return timing and timing["median"]


def measures(case: Mapping[str, Any]) -> list[str]:
    """Names of all that was timed, in the order of the sides."""
    return list(dict.fromkeys(name for side in case["sides"].values() for name in side.get("timings", ())))


def _cell(side: Mapping[str, Any], measure: str) -> str:
    timing = side.get("timings", {}).get(measure)
    if timing is None:
        return side.get("unavailable", "")
    spread = f"{as_time(timing['least'])}; {as_time(timing['lower'])} - {as_time(timing['upper'])}"
    return f"{as_time(timing['median'])}<br><small>{spread}</small>"


def _sizes(case: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Rows of peak memory, and of other bytes that sides tell of."""
    sides = case["sides"].values()
    kinds = {"peak memory of the process": ("peak", "process"), "peak memory of the device": ("peak", "device")}
    numbers = dict.fromkeys(name for side in sides for name in side.get("numbers", ()) if "peak" in name)
    kinds |= {f"{name.replace('_', ' ')}, beyond the imports": ("numbers", name) for name in numbers}
    for label, (group, name) in kinds.items():
        values = [side.get(group, {}).get(name) for side in sides]
        if any(values):
            yield label, ["" if value is None else as_bytes(round(value)) for value in values]


def chart_name(benchmark: str, case: str) -> str:
    """File of a case's chart."""
    return f"bench-{benchmark}-{case}.png".replace("_", "-").replace(" ", "-")


def fingerprint(case: Mapping[str, Any]) -> str:
    """Names the numbers of a case."""
    return hashlib.sha256(json.dumps(case, sort_keys=True).encode()).hexdigest()


def draw(benchmark: str, name: str, case: Mapping[str, Any], folder: Path = ASSETS) -> Path:
    """The chart of a case, in the folder; it carries the fingerprint of its numbers."""
    sides = [side for side in case["sides"] if "timings" in case["sides"][side]]
    floors = case["floor_seconds"]
    bars = []
    for measure in measures(case):
        seconds = [median(case, side, measure) for side in sides] + [floors.get(measure)] * bool(floors)
        bars.append(Bars(measure, seconds, ["" if value is None else as_time(value) for value in seconds]))
    about, path = PngInfo(), folder / chart_name(benchmark, name)
    about.add_text(SOURCE, fingerprint(case))
    names = [*sides, *["floor"] * bool(floors)]
    draw_bars(names, bars, title=case["about"].partition(":")[0]).save(path, pnginfo=about)
    return path


def main() -> None:
    """Write pages and charts."""
    for page in PAGES:
        text = written(page.read_text(encoding="utf-8"))
        page.write_text(text, encoding="utf-8")
        for benchmark, case in sections(text):
            result = load(benchmark)
            assert result is not None
            print(draw(benchmark, case, result["cases"][case]))


if __name__ == "__main__":
    main()
