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
    return load_file(GOLDEN / part / case / "io.safetensors")
