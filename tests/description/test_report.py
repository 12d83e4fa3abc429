"""The printed description fits on a screen and says what matters."""

from typing import Any

import pytest
import torch

import vlkit
from vlkit.description import Description, describe

MINI = vlkit.presets["mini"]


def row(told: Description, begin: str) -> str:
    """First line of the text that begins so, whatever its indentation."""
    return next(line for line in str(told).splitlines() if line.strip().startswith(begin))


PROMPTS: list[dict[str, Any]] = [
    {},
    {"prompt_tokens": 64},
    {"image_sizes": [(1024, 768)], "prompt_tokens": 64},
    {"image_sizes": [(100 * side, 800) for side in range(1, 30)], "prompt_tokens": 5000, "cache": "offload"},
    {"image_sizes": [(2 + side, 9000 + side) for side in range(1, 9)], "crop": True, "dtype": torch.float32},
    {"image_sizes": [(12000, 12000)] * 12, "crop": True},
]


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("name", vlkit.presets)
def test_text_fits_on_a_screen(name: str, prompt: dict[str, Any]) -> None:
    lines = str(vlkit.describe(name, **prompt)).splitlines()
    assert len(lines) <= 45
    assert max(map(len, lines)) <= 80
    assert all(line == line.rstrip() and line.isascii() for line in lines)


def test_text_says_what_matters() -> None:
    told = vlkit.describe("deepseek-vl2-small", image_sizes=[(1024, 768)], prompt_tokens=64)
    assert row(told, "sum").split() == ["sum", "16,148,349,504", "2,893,300,288"]
    assert row(told, "of these").split()[-1] == "15,238,352"
    assert row(told, "1024x768").split() == ["1024x768", "1152x768", "1.00", "2x3", "1,415", "4.67", "T"]
    assert "1,415 image + 64 text + 64 new = 1,543 tokens, of 4,096 (38%)" in row(told, "Context")
    assert row(told, "prefill").split()[1:] == ["1,479", "tokens", "7.24", "T"]
    assert row(told, "weights").split() == ["weights", "30.08", "GiB"]
    assert "31,104 B per token" in row(told, "cache, resident")
    assert "!" not in str(told)


def test_pictures_of_one_size_share_a_row() -> None:
    told = describe(MINI, image_sizes=[(20, 20), (30, 20), (20, 20)], crop=True)
    assert row(told, "20x20").startswith("  20x20 (2 times) ")
    assert row(told, "30x20").startswith("  30x20  ")


def test_what_is_unknown_is_not_printed_as_zero() -> None:
    supplied = {"type": "supplied", "width": 5, "image_size": (56, 56), "grid": (8, 8)}
    told = describe(MINI.replace(encoder=supplied), image_sizes=[(100, 100)], prompt_tokens=5)
    assert row(told, "encoder").split() == ["encoder", "unknown", "unknown"]
    assert row(told, "sum").split() == ["sum", "unknown", "unknown"]
    for begin in ("100x100", "weights", "activations", "peak"):
        assert row(told, begin).split()[-1] == "unknown"
    assert "unknown" not in row(told, "prefill") + row(told, "read per new token")


def test_tiles_are_told_alone_where_global_views_are_of_another_size() -> None:
    ocr = vlkit.presets["deepseek-ocr"]
    for config, unit, other in ((MINI, "view", "tile"), (ocr, "tile", "view"), (ocr.at("tiny"), "view", "tile")):
        told = str(describe(config, image_sizes=[(1024, 768)]))
        assert told.count(f"per {unit}") == 2
        assert f"per {other}" not in told
