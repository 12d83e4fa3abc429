"""Law of what a config tells without weights: the operations that it declares are those that are counted."""

from __future__ import annotations

from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from vlkit.testing.law import Broken, Skipped, law
from vlkit.testing.module_subject import ModuleSubject

NEAR = 0.01
"""Largest relative difference: small operations need not be declared."""


@law()
def flops(subject: ModuleSubject) -> None:
    """The operations of one sample that the config declares, if it does, are those that torch counts."""
    declared, x = subject.declared_flops(), subject.x(samples=1)
    part = subject.part().requires_grad_(False)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        subject.output(part, x)
    counted = counter.get_total_flops()
    if not declared and counted:
        raise Skipped("the config does not declare its operations")
    if abs(counted - declared) > NEAR * counted:
        raise Broken(
            f"forward_flops says {declared:,} for an input of shape {list(x.shape)}, torch counts {counted:,}",
            likely="a multiply-add is counted once instead of twice, or layers that forward does not run are counted",
            remedy="sum twice the products of the matrix sizes, or leave forward_flops at 0",
        )
