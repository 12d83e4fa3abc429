"""LayerScale: a factor per channel, close to zero at the start."""

import torch

from tests.strategies import normal
from vlkit.nn.layer_scale import START, LayerScale


def test_each_channel_has_its_factor() -> None:
    scale, x = LayerScale(3).double(), normal(1, 2, 4, 3)
    assert torch.equal(scale(x), x * torch.full((3,), START).double())
    scale.load_state_dict({"gamma": torch.tensor([0.0, 2.0, -1.0])})
    assert torch.equal(scale(x), torch.stack([0 * x[..., 0], 2 * x[..., 1], -x[..., 2]], dim=-1))
