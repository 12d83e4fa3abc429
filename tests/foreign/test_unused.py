"""What an output does not depend on is found, however deep it lies."""

import torch
from torch import Tensor, nn

from vlkit.foreign.building import survey
from vlkit.foreign.unused import unused_modules


class Tower(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.ModuleDict({"used": nn.Linear(2, 2), "spare": nn.Linear(2, 2), "plain": nn.ReLU()})
        self.head = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features, and what the head makes of them."""
        features = self.body["used"](x)
        return features, self.head(features)


def test_the_outermost_modules_without_influence_are_named() -> None:
    x = torch.empty(1, 2, device="meta")
    assert unused_modules(survey(Tower), lambda tower: tower(x)[0]) == ("body.spare", "head")
    assert unused_modules(survey(Tower), lambda tower: tower(x)[1]) == ("body.spare",)
    with torch.no_grad():
        assert unused_modules(survey(Tower), lambda tower: tower(x)[1]) == ("body.spare",)
