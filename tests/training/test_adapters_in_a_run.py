"""Adapters in a run: checkpoints keep them apart, a stop changes nothing, and the model at the end has none."""

from pathlib import Path
from typing import Any

import pytest
import torch

import vlkit
from tests.torchvision_operators import declare_missing_operators
from tests.training.runs import MODEL, measured, run
from vlkit.training.run import Run

pytest.importorskip("peft")
declare_missing_operators()

FIELDS: dict[str, Any] = {
    "parts": {"decoder": {"lora": {"rank": 2, "dropout": 0.1}}, "encoder": {"train": False}},
    "steps": 5,
    "save_every": 2,
    "log_every": 1,
    "evaluation": None,
}


def test_a_stop_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, advance = run(tmp_path / "whole", **FIELDS), Run._advance

    def interrupted(self: Run, trainer: Any) -> None:
        advance(self, trainer)
        if trainer.step == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Run, "_advance", interrupted)
        run(tmp_path / "stopped", **FIELDS)
    again = run(tmp_path / "stopped", **FIELDS)
    assert measured(again.history) == measured(whole.history)
    assert again.history[-1]["loss"] < again.history[0]["loss"]
    assert all(torch.equal(one, two) for one, two in zip(again.model.parameters(), whole.model.parameters()))


def test_checkpoints_hold_the_model_beside_its_adapters_and_the_end_both_in_one(tmp_path: Path) -> None:
    result = run(tmp_path, **FIELDS)
    names = vlkit.build(MODEL, device="meta").state_dict().keys()
    assert result.model.state_dict().keys() == names
    last = tmp_path / "checkpoints" / "step-000005"
    assert (last / "adapters" / "model.safetensors").is_file()
    beside, merged = vlkit.from_pretrained(last).state_dict(), vlkit.from_pretrained(tmp_path / "model").state_dict()
    assert beside.keys() == merged.keys() == names
    changed = {name for name in names if not torch.equal(beside[name], merged[name])}
    assert "decoder.layers.0.self_attn.o_proj.weight" in changed
    assert all(name.startswith("decoder.layers") for name in changed)
