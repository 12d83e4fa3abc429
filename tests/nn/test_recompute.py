"""A stack of blocks gives the same numbers and gradients whether its inside is kept or computed again."""

import pytest
import torch
from torch import nn

from tests.strategies import normal
from vlkit.nn.recompute import run_blocks


def stack() -> tuple[nn.Sequential, list[int]]:
    """Three layers, and a list that grows with every run of one."""
    blocks, runs = nn.Sequential(nn.Linear(3, 3), nn.GELU(), nn.Linear(3, 3)).double(), list[int]()
    for number, block in enumerate(blocks):
        block.register_forward_pre_hook(lambda module, inputs, number=number: runs.append(number))
    return blocks, runs


def test_blocks_run_in_their_order() -> None:
    blocks, runs = stack()
    x = normal(0, 2, 3)
    expected = blocks(x)
    assert torch.equal(run_blocks(blocks, x, recompute=False), expected) and runs == [0, 1, 2] * 2
    assert run_blocks([], x, recompute=True) is x


def test_recomputing_runs_blocks_twice_and_changes_no_gradient() -> None:
    blocks, runs = stack()
    gradients = []
    for recompute, expected in ((False, [0, 1, 2]), (True, [0, 1, 2, 2, 1, 0])):
        x = normal(0, 2, 3).requires_grad_()
        runs.clear()
        run_blocks(blocks, x, recompute=recompute).square().sum().backward()
        assert runs == expected
        gradients.append(x.grad)
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("recompute", [False, True])
def test_without_gradients_nothing_is_prepared_for_them(recompute: bool) -> None:
    blocks, runs = stack()
    with torch.no_grad():
        out = run_blocks(blocks, normal(0, 2, 3), recompute=recompute)
    assert out.grad_fn is None and runs == [0, 1, 2]
