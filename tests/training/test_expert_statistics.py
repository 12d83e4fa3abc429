"""How evenly experts are used, from what a model says of its routing."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import vlkit
from tests.training.some_samples import processor, source
from vlkit.training import Batches, BatchingConfig, ExpertStatistics
from vlkit.training.expert_statistics import entropy, max_to_mean

loads = st.lists(st.integers(0, 50), min_size=2, max_size=8).filter(any)


@given(loads)
def test_entropy_and_max_to_mean_are_in_their_bounds(load: list[int]) -> None:
    load_E = torch.tensor(load, dtype=torch.float64)
    assert -1e-9 <= entropy(load_E) <= 1 + 1e-9 and 1 - 1e-9 <= max_to_mean(load_E) <= len(load) + 1e-9
    assert (max_to_mean(load_E) == pytest.approx(1)) == (len(set(load)) == 1)


def test_known_values() -> None:
    assert entropy(torch.tensor([4.0, 4.0, 0.0, 0.0])) == pytest.approx(math.log(2) / math.log(4))
    assert max_to_mean(torch.tensor([4.0, 4.0, 0.0, 0.0])) == 2
    assert entropy(torch.tensor([3.0])) == 1


def test_a_model_tells_what_it_used_and_padding_does_not_count() -> None:
    model, statistics = vlkit.build(vlkit.presets["mini"]), ExpertStatistics()
    batches = Batches(source(12), processor(), BatchingConfig(batch_size=4), seed=0, epochs=1)
    tokens = 0
    for batch in batches:
        out = model(**batch, output_routing=True, logits_to_keep=0)
        statistics.add(out.routings, batch["attention_mask"])
        tokens += batch.tokens
    active = model.config.decoder.moe.num_experts_per_tok
    assert {int(load_E.sum()) for load_E in statistics.loads.values()} == {active * tokens}
    assert statistics.loads.keys() == {1, 2}
    assert statistics.summary().keys() == {"expert_entropy", "expert_max_to_mean", "idle_experts"}
    assert str(statistics).splitlines()[0].split() == ["layer", "entropy", "max", "/", "mean", "idle"]
    statistics.clear()
    assert statistics.summary() == {}


def test_summaries_are_means_over_layers() -> None:
    statistics = ExpertStatistics()
    statistics.add_loads({0: torch.tensor([1.0, 1.0]), 3: torch.tensor([2.0, 0.0])})
    assert statistics.summary() == {"expert_entropy": 0.5, "expert_max_to_mean": 1.5, "idle_experts": 0.25}
