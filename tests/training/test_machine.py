"""The machine of a run: what is missing is said, and one process sums nothing."""

import sys

import pytest
import torch

from vlkit.errors import ConfigError
from vlkit.training.machine import start, total, total_tensor


def test_a_missing_accelerate_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ConfigError, match="accelerate") as error:
        start(precision="fp32", device="cpu")
    assert 'pip install "vlkit[train]"' in str(error.value)
    assert "training needs accelerate" in str(error.value)


def test_one_process_has_its_own_sums_and_any_precision_after_another() -> None:
    for precision, expected in (("bf16", "bf16"), ("fp32", "no")):
        accelerator = start(precision=precision, device="cpu")
        assert (accelerator.mixed_precision, accelerator.device.type) == (expected, "cpu")
        assert total(accelerator, {"a": 0.1, "b": 2}) == {"a": 0.1, "b": 2}
        load_E = torch.ones(3)
        assert total_tensor(accelerator, load_E) is load_E
