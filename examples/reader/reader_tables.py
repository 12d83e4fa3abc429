"""How the results of the reader are shown: tables in Markdown, and a picture."""

from collections.abc import Sequence
from typing import Any

from PIL import Image

from vlkit.drawing.dots import Dot, Dots, draw_dots

Results = dict[str, Any]


def results_text(results: Results) -> str:
    """Tables of what is read and found."""
    words = results["words"]
    grids = [
        [fonts, row["name"], row["samples"], _percent(row["exact"]), _percent(row["errors"])]
        for fonts, tables in words.items()
        for row in tables["grids"]
    ]
    lengths = sorted({int(row["name"]) for tables in words.values() for row in tables["lengths"]})
    by_length = [[length, *(_of_length(tables, str(length)) for tables in words.values())] for length in lengths]
    pages = [[row["name"], row["samples"], _percent(row["exact"]), _percent(row["errors"])] for row in results["pages"]]
    absent = results["absent"]
    boxes, among = (_located(results[name]) for name in ("boxes", "boxes_by_words"))
    located = ["pictures", "IoU of 0.5 or more, %", "mean IoU"]
    read = ["pictures", "read without a mistake, %", "characters wrong, %"]
    return "\n".join(
        [
            "One word per picture:\n",
            _table(["fonts", "tiles", *read], grids),
            "The same by the number of characters: read without a mistake, %, and how many pictures that is of.\n",
            _table(["characters", *words], by_length),
            "Whole pages, all that is on them:\n",
            _table(["tiles", *read], pages),
            "Where a word is, one of each page:\n",
            _table(["tiles", *located], boxes),
            "The same by the number of words on the page:\n",
            _table(["words", *located], among),
            f"A word that stands on another page was found on {_percent(absent['found'])} % of {absent['samples']}"
            " pages without it.\n",
        ]
    )


def sureness_text(results: Results) -> str:
    """Tables of what the sureness of answers is worth."""
    sureness = results["sureness"]
    answers = [[row["task"], row["name"], row["samples"], _percent(row["right"])] for row in sureness["answers"]]
    others = [
        [row["name"], row["samples"], _percent(row["read"]), _percent(row["located"])] for row in sureness["others"]
    ]
    kinds = [row["name"] for row in sureness["others"]]
    thresholds = [
        [
            f"**{row['threshold']:g}**" if row["threshold"] == sureness["threshold"] else f"{row['threshold']:g}",
            *(_percent(row[name], interval=False) for name in ("believed", "right", "lost")),
            *(f"{100 * row['others'][kind]:.1f}" for kind in kinds),
        ]
        for row in results["thresholds"]
    ]
    return "\n".join(
        [
            "An answer is believed if it ended and the mean probability of its characters is"
            f" {sureness['threshold']:g} or more, and that of its coordinates, if it has some,"
            f" {sureness['threshold_of_places']:g}. On held-out pages:\n",
            _table(["asked for", "answers that are", "how many", "right, %"], answers),
            "On pictures without text of the task, where every answer that is believed is a mistake:\n",
            _table(["pictures", "how many", "text believed, %", "places believed, %"], others),
            "What other thresholds would do, in %; the last columns are pictures without text of the task that are"
            " believed:\n",
            _table(["threshold", "pages believed", "right among these", "right ones not believed", *kinds], thresholds),
        ]
    )


def accuracy_picture(results: Results) -> Image.Image:
    """What is read and found in pictures of each tile grid, with 95 % intervals."""
    series = {
        **{f"one word, {fonts}": (tables["grids"], "exact") for fonts, tables in results["words"].items()},
        "whole pages": (results["pages"], "exact"),
        "place of a word": (results["boxes"], "right"),
    }
    measures = []
    for grid in [row["name"] for row in results["pages"]]:
        dots = [_dot(next((row[name] for row in rows if row["name"] == grid), None)) for rows, name in series.values()]
        measures.append(Dots(f"Right, % ({'all pictures' if grid == 'all' else f'{grid} tiles'})", dots))
    title = f"The reader on words that it never saw, {results['samples']:,} pictures each"
    whole = draw_dots(list(series), measures, title=title, same_axis=True)
    return whole.resize((whole.width // 2, whole.height // 2), Image.Resampling.LANCZOS).quantize(128)


def _dot(score: Any) -> Dot:
    if score is None:
        return Dot(None)
    return Dot(*(None if score[name] is None else 100 * score[name] for name in ("value", "low", "high")))


def _located(rows: Sequence[Any]) -> list[list[Any]]:
    return [[row["name"], row["samples"], _percent(row["right"]), _number(row["overlap"])] for row in rows]


def _of_length(tables: Results, length: str) -> str:
    return next(
        (f"{_percent(row['exact'])} of {row['samples']}" for row in tables["lengths"] if row["name"] == length), ""
    )


def _percent(score: Any, *, interval: bool = True) -> str:
    if score["value"] is None:
        return ""
    text = f"{100 * score['value']:.1f}"
    if not interval or score["low"] is None:
        return text
    return f"{text} ({100 * score['low']:.1f} to {100 * score['high']:.1f})"


def _number(score: Any) -> str:
    if score["low"] is None:
        return "" if score["value"] is None else f"{score['value']:.3f}"
    return f"{score['value']:.3f} ({score['low']:.3f} to {score['high']:.3f})"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Table in Markdown; what is no text stands at the right."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines) + "\n"
