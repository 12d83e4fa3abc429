"""Helpers for comparing with other libraries' modules."""

from types import SimpleNamespace
from typing import Any

import torch
from torch import nn


def drawn(module: nn.Module) -> Any:
    """The module in float64, ready to run, with every parameter drawn at random."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
    return module.double().eval()


def settings_of(**fields: Any) -> SimpleNamespace:
    """Attributes as a foreign config has them; mappings become nested ones."""
    return SimpleNamespace(
        **{name: settings_of(**value) if isinstance(value, dict) else value for name, value in fields.items()}
    )
