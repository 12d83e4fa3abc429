"""What is read from the numbers: rows, verdicts, the table, the file, the picture."""

from pathlib import Path

import pytest
from PIL import Image

from vlkit.comparison import Comparison, Measure, VariantRun
from vlkit.comparison.planning import Costs
from vlkit.comparison.results import ComparedVariant
from vlkit.errors import CheckpointError, InputError
from vlkit.files import write_json

LOSS, OWN = Measure("loss", "of training", False), Measure("x", "your own", None)


def comparison(values: dict[str, list[float | None]], measure: Measure = LOSS, **fields: object) -> Comparison:
    """Variants with a number per repeat; None where the run failed."""
    runs = [
        VariantRun(
            name,
            number,
            number,
            {} if value is None else {measure.name: value},
            [(1, 2.0), (2, value or 1.0)],
            [],
            1.5,
            64,
            None if value is not None else "loss nan",
        )
        for name, numbers in values.items()
        for number, value in enumerate(numbers)
    ]
    variants = [ComparedVariant(name, name, {"layout": name}, Costs(1200, 900, 52, None)) for name in values]
    usual = {
        "recipe": {"steps": 7},
        "factors": {"layout": ("model.layout", tuple(values))},
        "grid": True,
        "seeds": max(map(len, values.values())),
        "judge": {"metrics": [], "own": None},
        "measures": [measure],
        "variants": variants,
        "runs": runs,
    }
    return Comparison(**{**usual, **fields})  # type: ignore[arg-type]


def test_differences_are_paired_by_repeat() -> None:
    found = comparison({"a": [1.0, 5.0, 9.0], "b": [1.1, 5.2, 9.1]})
    row = found.row("b", "loss")
    assert row.estimate is not None and row.difference is not None
    assert row.estimate.spread == pytest.approx(4.0, abs=0.01)
    assert row.difference.mean == pytest.approx(0.4 / 3)
    assert row.difference.spread == pytest.approx(0.0577, abs=1e-3)
    assert found.row("a", "loss").difference is None


@pytest.mark.parametrize(
    ("measure", "values", "verdict"),
    [
        (LOSS, [1.1, 5.11, 9.1], "worse"),
        (LOSS, [0.9, 4.9, 8.91], "better"),
        (LOSS, [0.0, 6.0, 9.1], "not told apart"),
        (OWN, [1.1, 5.11, 9.1], "higher"),
        (OWN, [0.9, 4.9, 8.91], "lower"),
        (Measure("m", "", True), [1.1, 5.11, 9.1], "better"),
        (LOSS, [1.1, None, None], ""),
        (LOSS, [None, None, None], ""),
    ],
)
def test_a_verdict_is_given_only_if_the_interval_leaves_out_zero(
    measure: Measure, values: list[float | None], verdict: str
) -> None:
    assert comparison({"a": [1.0, 5.0, 9.0], "b": values}, measure).row("b", measure.name).verdict == verdict


def test_a_pair_needs_both_runs() -> None:
    row = comparison({"a": [1.0, None, 9.0], "b": [2.0, 3.0, 11.0]}).row("b", "loss")
    assert row.difference is not None and (row.difference.count, row.difference.mean) == (2, 1.5)
    assert row.values == {0: 2.0, 1: 3.0, 2: 11.0}


def test_the_table_tells_what_the_numbers_cannot() -> None:
    left_out = ComparedVariant("c", "c", {"layout": "c"}, None, "does not fit")
    found = comparison({"a": [1.0, 2.0], "b": [1.1, None]})
    found = comparison(
        {"a": [1.0, 2.0], "b": [1.1, None]},
        variants=[*found.variants, left_out],
        recipe={"steps": 7, "batching": {"arrangement": "bucketed"}},
    )
    table = found.table()
    for expected in (
        "baseline",
        "1,200",
        "52",
        "unknown",
        "1 runs only",
        "Left out: c: does not fit",
        "2 seeds, 7 steps",
    ):
        assert expected in table
    assert "Failed: b, repeat 1: loss nan" in table and "arranged by length" in table
    assert str(found) == table
    assert "One seed" in comparison({"a": [1.0], "b": [2.0]}).table()
    unfinished = comparison({"a": [1.0, 2.0], "b": [1.1]})
    assert unfinished.unfinished == 1 and "1 runs have not ended" in unfinished.table()
    assert (
        "about 0.1 of them look real"
        in comparison({name: [1.0 + len(name), 2.0] for name in ("a", "bb", "ccc")}).table()
    )


@pytest.mark.parametrize(("value", "shown"), [(0.12344, "0.1234"), (523.126, "523.13"), (12345678.0, "12,345,678")])
def test_numbers_have_digits_as_their_size_asks(value: float, shown: str) -> None:
    assert f" {shown} " in comparison({"a": [value, value]}).table()


def test_what_is_saved_is_read_back_and_draws_the_same(tmp_path: Path) -> None:
    found = comparison({"a": [1.0, 5.0, 9.0], "b": [1.1, None, 9.1]})
    found.save(tmp_path / "comparison.json")
    again = Comparison.from_file(tmp_path)
    assert again == found and again.table() == found.table()
    found.save_plot(tmp_path / "one.png")
    again.save_plot(tmp_path / "two.png", title=None)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with Image.open(tmp_path / "one.png") as opened:
        assert opened.width == 1800
    with pytest.raises(InputError, match="not a PNG"):
        found.save_plot(tmp_path / "plot.jpg")


def test_many_variants_are_drawn_too(tmp_path: Path) -> None:
    comparison({f"projector={number}" * 9: [1.0 + number, 2.0] for number in range(14)}).save_plot(
        tmp_path / "many.png"
    )
    with pytest.raises(InputError, match="no run has a number"):
        comparison({"a": [None], "b": [None]}).save_plot(tmp_path / "none.png")


@pytest.mark.parametrize("content", [{}, {"format": 2}, {"format": 1, "runs": []}, {"format": 1, "seeds": "many"}])
def test_other_files_are_refused(tmp_path: Path, content: dict[str, object]) -> None:
    write_json(tmp_path / "comparison.json", content)
    with pytest.raises(CheckpointError, match=r"format|no comparison"):
        Comparison.from_file(tmp_path)


def test_a_row_that_is_not_there_is_told() -> None:
    with pytest.raises(InputError, match="no variant 'c' was measured by 'loss'"):
        comparison({"a": [1.0]}).row("c", "loss")
