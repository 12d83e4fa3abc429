"""Shared settings: hypothesis profiles and where the golden data lies."""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch

from tests.torchvision_operators import declare_missing_operators

declare_missing_operators()

from tests.markdown import fresh_registries  # noqa: E402

hypothesis.settings.register_profile(
    "default", deadline=None, max_examples=40, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=500)
hypothesis.settings.load_profile("default")


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder with the numbers of the official implementation; VLKIT_GOLDEN names a fuller copy."""
    return Path(os.environ.get("VLKIT_GOLDEN", Path(__file__).parent / "golden"))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _registries() -> Iterator[None]:
    """What a test registers is gone when it ends."""
    with fresh_registries():
        yield


@pytest.fixture
def half_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """This CPU multiplies in half precision, fast or not, as most do."""
    monkeypatch.setattr("vlkit.nn.linear.LACKS_HALF", False)


@pytest.fixture
def no_half_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """This CPU is taken for one without fast products in half precision, and widens little at a time."""
    monkeypatch.setattr("vlkit.nn.linear.LACKS_HALF", True)
    monkeypatch.setattr("vlkit.nn.linear.MANY", 7)
    for module in ("linear", "few_queries"):
        monkeypatch.setattr(f"vlkit.nn.{module}.BLOCK", 60)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No library asks the Hugging Face hub for anything."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
