"""Plans: exact where they count, and told without weights."""

from pathlib import Path

import pytest
from torch import nn

import vlkit
from tests.refusal import refuse_to_run
from tests.training.runs import MODEL, recipe, samples
from vlkit.training import make_plan
from vlkit.training.ingredients import gather


def test_a_plan_counts_what_trains_and_what_is_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn.Module, "__call__", refuse_to_run)
    chosen = recipe(evaluation=None, parts={"encoder": {"train": False}}, accumulation=2)
    plan = make_plan(chosen, gather(chosen, source=samples()))
    model = vlkit.build(MODEL, device="meta")
    count = sum(parameter.numel() for parameter in model.parameters())
    assert plan.memory.weights == 4 * count
    assert plan.memory.moments == 2 * plan.memory.gradients < 2 * plan.memory.weights
    text = str(plan)
    assert "96, 10.67 times all 9" in text
    assert "12 of 2 batches of 4 samples" in text
    assert "frozen" in text


def test_less_is_kept_with_blocks_run_twice() -> None:
    kept = []
    for twice in (False, True):
        chosen = recipe(evaluation=None, gradient_checkpointing=twice)
        kept.append(make_plan(chosen, gather(chosen, source=samples())).memory.activations)
    assert kept[0] is not None and kept[1] is not None
    assert 0 < kept[1] < kept[0]


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(vlkit.VlkitError, match="data is missing"):
        gather(recipe(evaluation=None))
