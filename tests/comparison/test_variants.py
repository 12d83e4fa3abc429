"""Variants: the recipe with other parts and fields, and its repeats."""

import pytest

from tests.training.runs import MODEL, recipe
from vlkit.comparison.factors import resolve_factors
from vlkit.comparison.variants import Variant, make_variant, repeat
from vlkit.projectors import DownsampleMlpGeluConfig
from vlkit.training import Recipe
from vlkit.training.ingredients import config_of
from vlkit.training.run_folder import differences


def variant(start: Recipe, chosen: list[int] | None = None, **vary: list[object]) -> Variant:
    factors = resolve_factors(start, {name.replace("__", "."): values for name, values in vary.items()})
    return make_variant(start, factors, chosen or [0] * len(factors))


def test_a_part_of_another_type_keeps_what_was_set_where_it_has_such_a_field() -> None:
    model = MODEL.replace(projector=DownsampleMlpGeluConfig(depth=3, norm=True))
    made = variant(recipe(model=model), projector=["mlp_gelu"])
    assert made.recipe is not None
    projector = config_of(made.recipe).projector
    assert (projector.type, projector.depth) == ("mlp_gelu", 3)  # type: ignore[attr-defined]
    given = variant(recipe(model=model), projector=[{"type": "mlp_gelu", "depth": 1}])
    assert given.recipe is not None and config_of(given.recipe).projector.depth == 1  # type: ignore[attr-defined]
    same = variant(recipe(model=model), projector=["downsample_mlp_gelu"])
    assert same.recipe is not None and config_of(same.recipe) == model


def test_parts_are_exchanged_before_fields_in_them_are_set() -> None:
    made = variant(recipe(), layout__global_view=["tail"], layout=["1D"])
    assert made.recipe is not None
    layout = config_of(made.recipe).layout
    assert (layout.type, layout.global_view) == ("1D", "tail")  # type: ignore[attr-defined]
    assert made.name == "layout.global_view=tail, layout=1D"


def test_a_preset_is_opened_and_the_rest_stays() -> None:
    made = variant(recipe(model="mini"), layout=["1D"], lr=[0.5])
    assert made.recipe is not None
    changed = differences(recipe(model="mini", optimizer={"lr": 0.5}), made.recipe)
    assert [text.partition(" ")[0] for text in changed] == ["model"]


def test_a_variant_that_cannot_be_keeps_the_reason() -> None:
    made = variant(recipe(), lr=["fast"])
    assert made.recipe is None and made.refusal is not None and "optimizer.lr" in made.refusal.problem


def test_folders_have_plain_names_and_differ() -> None:
    names = ["layout=1D, lr=0.1", "projector=a/../b", "projector=a_.._b", "x" * 300, "x" * 301, "..", "pârt=1"]
    folders = [Variant(name, {}, None).folder for name in names]
    assert folders[0] == "layout=1D,lr=0.1"
    assert len(set(folders)) == len(names)
    assert all("/" not in folder and folder.strip(".") and len(folder) < 100 for folder in folders)


def test_a_repeat_has_other_seeds_and_the_same_held_out_samples() -> None:
    data = {"type": "printed_text", "seed": 7}
    mixed = {"type": "mixture", "sources": [data, {**data, "seed": 8}], "weights": [1, 1]}
    start = recipe(data=mixed, evaluation={"data": {**data, "seed": 9}})
    assert repeat(start, 0) is start
    one, two = repeat(start, 1), repeat(start, 2)
    assert [each.seed for each in (start, one, two)] == [3, 4, 5]
    assert one.evaluation == two.evaluation == start.evaluation
    seeds = [source.seed for each in (start, one, two) for source in (each.data, *each.data.sources)]  # type: ignore
    assert len(set(seeds) - {0}) == 8 and 9 not in seeds
    changed = {text.partition(" ")[0].split(".")[0] for text in differences(start, one)}
    assert changed == {"seed", "data"}


@pytest.mark.parametrize("number", [1, 5])
def test_without_data_in_the_recipe_only_the_seed_differs(number: int) -> None:
    assert differences(recipe(), repeat(recipe(), number)) == [f"seed was 3, is {3 + number}"]
