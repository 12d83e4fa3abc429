"""The golden data: numbers that the official implementation computed."""

import json
import os
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

GOLDEN = Path(os.environ.get("VLKIT_GOLDEN", Path(__file__).parent / "golden"))


def cases(part: str) -> list[str]:
    """Names of the cases of one part that are present."""
    return sorted(folder.name for folder in (GOLDEN / part).iterdir() if folder.is_dir())


def settings(part: str, case: str) -> dict[str, Any]:
    """Official config of a case."""
    return json.loads((GOLDEN / part / case / "config.json").read_text())


def weights(part: str, case: str) -> dict[str, Tensor]:
    """Parameters of a case; none for the parts that have none."""
    path = GOLDEN / part / case / "model.safetensors"
    return load_file(path) if path.exists() else {}


def numbers(part: str, case: str) -> dict[str, Tensor]:
    """Inputs and outputs of a case."""
    return recorded(GOLDEN / part / case)


def recorded(folder: Path) -> dict[str, Tensor]:
    """Inputs and outputs in a folder; pixels that are stored as bytes, to stay small, are what they were."""
    tensors = load_file(folder / "io.safetensors")
    if "images_u8" in tensors:
        pixels = tensors.pop("images_u8").float().div(255).sub(0.5).div(0.5)
        tensors["images"] = pixels * tensors.pop("images_used")[..., None, None, None]
    return tensors
