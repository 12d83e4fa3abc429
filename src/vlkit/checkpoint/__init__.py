"""Checkpoints: official names and shapes to ours and back, safetensors folders in and out, the hub, bundled models.

No pickle and no code from a checkpoint is ever loaded.
"""

from vlkit.checkpoint.bundled import BUNDLED, bundled_folder, holds_weights
from vlkit.checkpoint.files import WeightFiles
from vlkit.checkpoint.hub import resolve_folder
from vlkit.checkpoint.keymap import KeyMap, Slot
from vlkit.checkpoint.loading import load_into, named_tensors
from vlkit.checkpoint.rules import Rule, Squeeze, Stack, Unsqueeze
from vlkit.checkpoint.saving import save

__all__ = [
    "BUNDLED",
    "KeyMap",
    "Rule",
    "Slot",
    "Squeeze",
    "Stack",
    "Unsqueeze",
    "WeightFiles",
    "bundled_folder",
    "holds_weights",
    "load_into",
    "named_tensors",
    "resolve_folder",
    "save",
]
