"""A study before it begins: validated, described, refused."""

from typing import Any

import pytest

from tests.training.runs import recipe, samples
from vlkit.comparison import Study, plan_study
from vlkit.errors import ConfigError
from vlkit.models.auto import describe


def plan(vary: dict[str, list[Any]], **given: Any) -> Study:
    return plan_study(given.pop("recipe", recipe()), vary, source=samples(), held_out=samples(), **given)


def test_every_variant_is_described() -> None:
    study = plan({"layout": ["2D", "1D"]}, seeds=2)
    two, one = (planned.costs for planned in study.planned)
    assert two is not None and one is not None
    model = recipe().model
    assert model is not None
    about = describe(model, image_sizes=[(8, 8)])
    assert two.trained is not None and two.parameters == about.parameters.total
    assert two.parameters is not None and two.parameters >= two.trained > 0
    assert two.tokens == about.context.image_tokens
    assert one.tokens != two.tokens
    text = str(study)
    assert "layout=1D" in text and f"{two.parameters:,}" in text and "2 variants x 2 seeds = 4 runs of 12 steps" in text


def test_all_variants_of_a_repeat_come_before_the_next_repeat() -> None:
    study = plan({"layout": ["2D", "1D"]}, seeds=2)
    assert [(variant.name, number, each.seed) for variant, number, each in study.runs] == [
        ("layout=2D", 0, 3),
        ("layout=1D", 0, 3),
        ("layout=2D", 1, 4),
        ("layout=1D", 1, 4),
    ]


def test_short_runs_have_rows_and_checkpoints_enough() -> None:
    short = plan({"layout": ["1D"]}, recipe=recipe(log_every=50, save_every=500), steps=80).recipe
    assert (short.steps, short.log_every, short.save_every, short.keep) == (80, 2, 20, 1)


def test_all_that_is_wrong_is_told_before_anything_runs() -> None:
    vary: dict[str, list[Any]] = {"projector": ["downsample_mlp_gelu", "linear"], "projector.downsample_ratio": [2, 3]}
    with pytest.raises(ConfigError) as caught:
        plan(vary)
    told = str(caught.value)
    assert "2 of 4 variants cannot be trained" in told
    assert told.count("projector=linear") >= 2 and "downsample_ratio" in told and "--skip-invalid" in told


def test_what_is_not_valid_can_be_left_out_but_not_the_baseline() -> None:
    vary: dict[str, list[Any]] = {"layout": ["2D", "3D"]}
    study = plan(vary, skip_invalid=True, seeds=1)
    assert [each.variant.name for each in study.variants] == ["layout=2D"]
    assert "left out: layout=3D" in str(study)
    with pytest.raises(ConfigError, match="1 of 2 variants"):
        plan({"layout": ["3D", "2D"]}, skip_invalid=True)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"vary": {"layout": ["2D", {"type": "2D"}]}}, "takes a value twice|are the same recipe"),
        ({"vary": {"layout": ["2D", {"type": "2D", "global_view": "head"}]}}, "are the same recipe"),
        ({"vary": {"layout": ["2D"]}, "seeds": 0}, "seeds 0"),
        ({"vary": {"lr": [n / 100 for n in range(64)], "layers": list(range(1, 65))}, "seeds": 2}, "at most 4096 runs"),
        ({"vary": {"layout": ["2D"]}, "steps": 1}, "schedule.warmup 2 in 1 steps"),
    ],
)
def test_studies_that_make_no_sense_are_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        plan(**given)
