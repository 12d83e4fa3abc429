"""Results are the same numbers, or the message says how far apart they are, and where."""

import pytest
import torch

from vlkit.testing.comparing import difference, normal, require_near
from vlkit.testing.law import Broken


def test_numbers_follow_from_the_seed_on_the_cpu() -> None:
    with torch.device("meta"):
        assert torch.equal(normal(1, 2, 3), normal(1, 2, 3)) and normal(1, 2).device.type == "cpu"
    assert not torch.equal(normal(1, 5), normal(2, 5))


def test_a_difference_is_relative_to_the_largest_number_or_to_one() -> None:
    assert difference(torch.tensor([101.0, 0]), torch.tensor([100.0, 0])) == pytest.approx(0.01)
    assert difference(torch.tensor([0.2]), torch.tensor([0.1])) == pytest.approx(0.1)
    assert difference(torch.empty(0, 3), torch.empty(0, 3)) == 0
    for strange in (torch.nan, torch.inf):
        for pair in (([strange], [0.0]), ([0.0], [strange])):
            assert difference(*map(torch.tensor, pair)) == float("inf")


def test_what_is_too_far_apart_is_told_with_its_place() -> None:
    expected = torch.zeros(2, 3, dtype=torch.float64)
    found = expected.clone()
    found[1, 2] = 0.5
    with pytest.raises(Broken, match=r"^they differ, by 0\.5 of the largest number, most at \[1, 2\] of \[2, 3\]$"):
        require_near(found, expected, "they differ", likely="a slip")
    require_near(found, expected, "they differ", likely="a slip", near=0.6)
    with pytest.raises(Broken, match="by numbers that are not finite"):
        require_near(found / 0, expected, "they differ", likely="a slip")
    with pytest.raises(Broken, match=r"they differ: shape \[3\], not \[2, 3\]"):
        require_near(found[0], expected, "they differ", likely="a slip")


def test_only_zero_asks_for_the_same_bits() -> None:
    near, expected = torch.tensor([1 + 1e-9], dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    require_near(near, expected, "they differ", likely="a slip")
    with pytest.raises(Broken):
        require_near(near, expected, "they differ", likely="a slip", near=0)
