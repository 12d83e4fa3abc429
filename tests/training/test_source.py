"""Sources that hold or mix others."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.some_samples import Endless, sample, source
from vlkit.errors import ConfigError
from vlkit.training import FromIterable, JsonLines, Mixture, MixtureConfig, SampleError, SampleSource, sources


def test_all_sources_are_sources() -> None:
    assert all(isinstance(each, SampleSource) for each in (source(2), Endless(), Mixture([source(1)], [1])))
    assert hasattr(JsonLines, "count") and hasattr(JsonLines, "sample")


def test_an_iterable_is_held() -> None:
    held = FromIterable(sample(number) for number in (4, 2))
    assert held.count == 2 and [held.sample(index).origin for index in range(2)] == ["sample 4", "sample 2"]


def test_no_samples_and_no_sample_are_refused() -> None:
    with pytest.raises(ConfigError, match="no sample"):
        FromIterable([])
    with pytest.raises(SampleError, match="item 1: it is a dict"):
        FromIterable([sample(0), {}]).sample(1)  # type: ignore[list-item]


def test_what_has_a_length_is_asked_when_a_sample_is_needed() -> None:
    class Lazy:
        def __len__(self) -> int:
            return 10**9

        def __getitem__(self, index: int) -> Any:
            return sample(index)

    lazy = FromIterable(Lazy())  # type: ignore[arg-type]
    assert lazy.count == 10**9 and lazy.sample(5).origin == "sample 5"


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 6))
def test_a_mixture_keeps_its_weights_in_every_round(weights: list[int], rounds: int) -> None:
    parts = [FromIterable([sample(number)] * 3) for number in range(len(weights))]
    mixed, size = Mixture(parts, weights), sum(weights)
    origins = [mixed.sample(rounds * size + place).origin for place in range(size)]
    assert Counter(origins) == {f"sample {number}": weight for number, weight in enumerate(weights)}


def test_a_mixture_gives_all_samples_of_a_source_before_any_comes_again() -> None:
    mixed = Mixture([source(5), Endless()], [1, 2], seed=3)
    own = [mixed.sample(index).origin for index in range(30) if mixed._turns[index % 3] == 0]
    assert len(own) == 10 and len(set(own[:5])) == len(set(own[5:])) == 5 and own[:5] != own[5:]
    assert [mixed.sample(index).origin for index in range(30) if mixed._turns[index % 3] == 1] == [
        f"sample {number}" for number in range(20)
    ]


@pytest.mark.parametrize("weights", [[], [1], [1, 0]])
def test_weights_that_do_not_fit_are_refused(weights: list[int]) -> None:
    with pytest.raises(ConfigError, match="whole number from 1"):
        Mixture([source(1), source(2)], weights)


def test_a_recipe_can_name_a_mixture(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}\n')
    one = {"type": "jsonl", "file": str(file)}
    mixed = sources.build(MixtureConfig.model_validate({"sources": [one, one], "weights": [1, 3]}))
    assert mixed.count is None and mixed.sample(7).conversation[1]["content"] == "b"
    with pytest.raises(ConfigError, match="every source has one weight"):
        MixtureConfig.model_validate({"sources": [one], "weights": [1, 3]})
