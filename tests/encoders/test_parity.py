"""The vision transformer against the official implementation (golden a6)."""

from typing import Any

import pytest
import torch

from tests.parity import cases, numbers, settings, weights
from tests.tolerances import VISION
from vlkit.encoders import SigLIP, SigLIPConfig

CASES = cases("a6_vision")
BLOCKS = [(case, name) for case in CASES for name in numbers("a6_vision", case) if name.startswith("block_output.")]


def official(case: str, **fields: Any) -> SigLIP:
    """Encoder of an official `vision_config`, with its weights."""
    config = settings("a6_vision", case)
    same = ("image_size", "patch_size", "width", "layers", "heads", "mlp_ratio", "class_token")
    encoder = SigLIP(
        SigLIPConfig(**{name: config[name] for name in same}, pool=config["global_pool"] or "none", **fields)
    )
    encoder.load_state_dict(weights("a6_vision", case))
    return encoder


@pytest.mark.parametrize("case", CASES)
def test_features_are_the_official_ones(case: str) -> None:
    tensors = numbers("a6_vision", case)
    encoder, expected = official(case), tensors["features"]
    torch.testing.assert_close(encoder.forward_features(tensors["images"]), expected, rtol=0, atol=VISION)
    patches = expected[:, int(encoder.config.class_token) :]
    torch.testing.assert_close(encoder(tensors["images"]).flatten(1, 2), patches, rtol=0, atol=VISION)


@pytest.mark.parametrize(("case", "block"), BLOCKS)
def test_blocks_are_the_official_ones(case: str, block: str) -> None:
    tensors = numbers("a6_vision", case)
    encoder = official(case, select_layer=int(block.split(".")[1]))
    torch.testing.assert_close(encoder.forward_features(tensors["images"]), tensors[block], rtol=0, atol=VISION)


@pytest.mark.parametrize("case", CASES)
def test_outputs_of_the_tower_are_the_official_ones(case: str) -> None:
    tensors = numbers("a6_vision", case)
    encoder, headless = official(case), settings("a6_vision", case)["ignore_head"]
    found = (encoder.forward_features if headless else encoder.forward_pooled)(tensors["images"])
    torch.testing.assert_close(found, tensors["output"], rtol=0, atol=VISION)
