"""Every law of torch's own tools catches the mistake it is for, in a part that is right without it."""

import pytest
import torch
from torch import Tensor

from tests.testing.catching import caught, holds, outcome
from tests.testing.toy_projector import Merge, built


class CrashesUnderAutocast(Merge):
    def mix(self, x_NYXW: Tensor) -> Tensor:
        rows = x_NYXW.flatten(0, 2)
        kept = (rows.sum(dim=1) > 0).nonzero()[:, 0]
        out = torch.zeros(len(rows), self.out_dim, dtype=x_NYXW.dtype).index_add(0, kept, self.up(rows[kept]))
        return out.unflatten(0, x_NYXW.shape[:3]) * self.gate(x_NYXW).sigmoid()


class RoundsUnderAutocast(Merge):
    def mix(self, x_NYXW: Tensor) -> Tensor:
        out = 1000 * super().mix(x_NYXW)
        return out - out.detach().round()


class Branches(Merge):
    def mix(self, x_NYXW: Tensor) -> Tensor:
        out = super().mix(x_NYXW)
        return out if x_NYXW.sum().item() > 0 else 2 * out


WRONG: list[tuple[type[Merge], str, tuple[str, ...]]] = [
    (CrashesUnderAutocast, "autocast", ("RuntimeError", "autocast")),
    (RoundsUnderAutocast, "autocast", ("autocast moves the result", "float32")),
]  # fmt: skip


@pytest.mark.parametrize(("part", "law", "words"), WRONG, ids=lambda value: getattr(value, "__name__", None))
def test_a_mistake_breaks_its_law(part: type[Merge], law: str, words: tuple[str, ...]) -> None:
    caught(built(part), law, *words)
    holds(built(Merge), law)


@pytest.mark.parametrize("tool", ["compile", "export"])
def test_tools_are_noted_unless_promised_or_refused(tool: str) -> None:
    promise = f"{tool}s"
    assert outcome(built(Branches), tool).status == "noted"
    assert outcome(built(Branches), tool, **{promise: False}).status == "skipped"
    caught(built(Branches), tool, f"torch.{tool} fails", ".item()", **{promise: True})
