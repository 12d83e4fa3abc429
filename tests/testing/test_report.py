"""What a report says, and what the check functions raise."""

import json
from pathlib import Path

import pytest

from vlkit import VlkitError
from vlkit.errors import ConfigError, InputError
from vlkit.notation import Grid
from vlkit.projectors import LinearConfig, MlpGelu, MlpGeluConfig, projectors
from vlkit.testing import LawError, Outcome, Report, check_part, check_projector, examine
from vlkit.testing.checks import SUBJECTS


def broken(law: str) -> Outcome:
    error = LawError("a part", law, "it is wrong", rule="It is right.", likely="a slip", remedy="mend it")
    return Outcome(law, "It is right.", "failed", 0.5, error=error)


REPORT = Report(
    "a part",
    (
        Outcome("one", "The first.", "passed", 0.25),
        broken("two"),
        Outcome("three", "The third.", "skipped", reason="too large"),
        Outcome("four", "The fourth.", "noted", reason="no float64"),
        broken("five"),
    ),
)


def test_an_error_says_part_law_problem_rule_likely_mistake_and_remedy() -> None:
    error = REPORT.outcomes[1].error
    assert isinstance(error, VlkitError) and isinstance(error, AssertionError)
    assert str(error).split("\n") == [
        "a part breaks the law 'two': it is wrong",
        "  likely: a slip",
        "  rule:   It is right.",
        "  remedy: mend it",
    ]
    assert (error.part, error.law, error.problem, error.rule) == ("a part", "two", "it is wrong", "It is right.")


def test_a_report_raises_the_first_broken_law_and_names_the_others() -> None:
    assert not REPORT.ok
    with pytest.raises(LawError, match="breaks the law 'two'") as caught:
        REPORT.raise_if_broken()
    assert caught.value.__notes__ == ["also broken: five"]
    Report("a part", REPORT.outcomes[2:4]).raise_if_broken()


def test_a_report_is_a_table_and_plain_data() -> None:
    assert str(REPORT).split("\n") == [
        "a part",
        "  one    passed     0.25 s",
        "  two    failed     0.50 s  it is wrong",
        "  three  skipped    0.00 s  too large",
        "  four   noted      0.00 s  no float64",
        "  five   failed     0.50 s  it is wrong",
        "  1 passed, 2 broken, 1 skipped, 1 noted",
    ]
    data = json.loads(json.dumps(REPORT.to_dict()))
    assert (data["part"], data["ok"]) == ("a part", False)
    assert data["laws"][1] == {
        "law": "two",
        "status": "failed",
        "seconds": 0.5,
        "rule": "It is right.",
        "problem": "it is wrong",
        "likely": "a slip",
        "remedy": "mend it",
    }


def test_every_law_has_a_name_of_its_own_and_a_sentence() -> None:
    for subject in SUBJECTS.values():
        names = [law.name for law in subject.laws]
        assert len(set(names)) == len(names)
        assert all(law.rule.endswith(".") for law in subject.laws)


def test_every_law_is_broken_by_a_part_in_these_tests() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*_laws.py"))
    for subject in SUBJECTS.values():
        assert [law.name for law in subject.laws if f'"{law.name}"' not in text] == []


def test_laws_are_left_out_by_name_only() -> None:
    report = check_projector(LinearConfig(), skip=["compile", "export"])
    assert {found.law for found in report.of("skipped")} == {"compile", "export"}
    assert {found.reason for found in report.of("skipped")} == {"left out by the caller"}
    with pytest.raises(InputError, match="'grids' is no law of a projector; did you mean 'grid'"):
        check_projector(LinearConfig(), skip=["grids"])


@pytest.mark.parametrize("part", ["projectors:linear", LinearConfig, LinearConfig()])
def test_the_kind_is_found_from_the_base_class(part: object) -> None:
    assert check_part(part, compiles=False, exports=False, in_dim=3, out_dim=5).part.startswith("projector 'linear'")


@pytest.mark.parametrize("name", ["linear", "projector:linear", "projectors:"])
def test_a_tag_needs_its_kind(name: str) -> None:
    with pytest.raises(InputError, match=r"names no part; (did you mean|known)"):
        examine(name)


@pytest.mark.parametrize("part", [3, dict, object()])
def test_what_is_no_part_is_refused(part: object) -> None:
    with pytest.raises(InputError, match="is no part"):
        examine(part)


def test_a_class_of_parts_is_refused_for_its_config() -> None:
    with pytest.raises(InputError, match="pass the config class that belongs to MlpGelu"):
        check_projector(MlpGelu)  # type: ignore[arg-type]


def test_widths_and_grids_that_a_config_does_not_allow_are_asked_for() -> None:
    class OddConfig(MlpGeluConfig):
        def check(self, *, in_dim: int, out_dim: int) -> None:
            if in_dim != 7:
                raise ConfigError(f"width {in_dim}")

        def check_grid(self, grid: Grid) -> None:
            if grid.rows != 31:
                raise ConfigError(f"{grid}")

    with pytest.raises(InputError, match=r"none of the widths 8 to 12, .*width 2048\n.*\n.*pass in_dim and out_dim"):
        check_projector(OddConfig())
    with pytest.raises(InputError, match=r"none of the grids 1x1, .*24x24\n.*\n.*pass grids=\[\(rows, columns\)"):
        check_projector(OddConfig(), in_dim=7)
    skip = ["tag", "compile", "export", "wrong_shape"]
    with projectors.scratch():
        projectors.register(OddConfig, replace=True)(MlpGelu)
        assert check_projector(OddConfig(), in_dim=7, grids=[(31, 2)], skip=skip).ok
