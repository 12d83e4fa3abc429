"""Projectors against DeepSeek-VL2's implementation (golden a5)."""

from typing import Any

import pytest
import torch

from tests.parity import cases, numbers, settings, weights
from tests.tolerances import PROJECTOR
from vlkit.projectors import Projector, projectors

CASES = cases("a5_projectors")


def official(config: dict[str, Any]) -> Projector:
    """Projector of an official `projector_config`."""
    tag, fields = config["projector_type"], {"token_pooling": config["token_pooling"]}
    if tag == "downsample_mlp_gelu":
        fields = {name: config[name] for name in ("depth", "mlp_ratio", "downsample_ratio")}
    elif tag == "mlp_gelu":
        fields["depth"] = config["depth"]
    return projectors.build(projectors.resolve(tag, **fields), in_dim=config["input_dim"], out_dim=config["n_embed"])


@pytest.mark.parametrize("case", CASES)
def test_outputs_are_the_official_ones(case: str) -> None:
    projector = official(settings("a5_projectors", case))
    projector.load_state_dict(weights("a5_projectors", case))
    tensors = numbers("a5_projectors", case)
    inputs = [name for name in tensors if name.startswith("input.")]
    assert inputs
    for name in inputs:
        side = int(name.split("x")[-1])
        x_NYXD = projector(tensors[name].unflatten(1, (side, side)))
        torch.testing.assert_close(
            x_NYXD.flatten(1, 2), tensors[name.replace("input", "output")], rtol=0, atol=PROJECTOR
        )


def test_every_official_kind_of_projector_is_compared() -> None:
    kinds = {settings("a5_projectors", case)["projector_type"] for case in CASES}
    assert kinds == {"identity", "linear", "mlp_gelu", "downsample_mlp_gelu"}
