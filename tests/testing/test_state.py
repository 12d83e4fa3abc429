"""The state of the process is seen, compared, and put back."""

import os
import random
import sys

import numpy as np
import pytest
import torch

from vlkit.testing.state import RANDOM, changes, isolated, read


def test_everything_is_put_back_even_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIT_KEPT", "old")
    before = read()
    with pytest.raises(ZeroDivisionError), isolated():
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        torch.set_grad_enabled(False)
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.set_num_threads(torch.get_num_threads() + 1)
        torch.set_float32_matmul_precision("medium")
        torch.set_autocast_enabled("cpu", True)
        torch.autograd.set_detect_anomaly(True)
        torch.backends.cudnn.deterministic = not torch.backends.cudnn.deterministic
        torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
        torch.default_generator.manual_seed(3)
        random.seed(3)
        np.random.seed(3)
        os.environ["KIT_KEPT"] = "new"
        os.environ["KIT_ADDED"] = "1"
        assert len(changes(before, read())) == 14
        raise ZeroDivisionError
    assert changes(before, read()) == []


def test_inside_there_are_gradients_and_a_seed_whatever_is_outside() -> None:
    drawn = []
    with torch.inference_mode():
        for seed in (1, 1, 2):
            with isolated(seed):
                assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
                drawn.append(torch.rand(1).item())
    assert drawn[0] == drawn[1] != drawn[2]


def test_inside_tensors_are_made_on_the_cpu_in_float32() -> None:
    torch.set_default_device("meta")
    torch.set_default_dtype(torch.float64)
    try:
        with torch.autocast("cpu"), isolated():
            made = torch.ones(2, 2)
            assert (made.device.type, made.dtype, (made @ made).dtype) == ("cpu", torch.float32, torch.float32)
        assert (torch.empty(1).device.type, torch.empty(1).dtype) == ("meta", torch.float64)
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)


def test_changes_are_named_with_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    before = read()
    with isolated():
        torch.rand(1)
        torch.set_num_threads(before["the number of threads"] + 1)
        monkeypatch.setenv("KIT_ADDED", "1")
        found = changes(before, read())
    threads = before["the number of threads"]
    assert RANDOM in found and "the environment (KIT_ADDED)" in found
    assert f"the number of threads ({threads} became {threads + 1})" in found


def test_numpy_is_looked_at_only_where_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "numpy's random numbers" in read()
    monkeypatch.delitem(sys.modules, "numpy")
    assert "numpy's random numbers" not in read()
    with isolated():
        assert "numpy" not in sys.modules
