"""The laws that all others rest on: a part can be built, and runs."""

from __future__ import annotations

import torch

from vlkit.testing.law import Broken, law
from vlkit.testing.module_subject import ModuleSubject


@law(first=True, crash="the constructor takes other arguments than its kind's, or its layers do not fit each other")
def builds(subject: ModuleSubject) -> None:
    """A part is built from its config and what its neighbours know, and keeps its config."""
    part = subject.build()
    if getattr(part, "config", None) != subject.config:
        raise Broken(
            f"its `config` is {getattr(part, 'config', None)!r:.100}",
            likely="the constructor does not call super().__init__(config, ...)",
        )


@law(first=True, crash="the layers do not fit the declared widths, or each other")
def runs(subject: ModuleSubject) -> None:
    """A part runs on an input of its kind, and gives finite numbers."""
    for result in subject.everything(subject.part(torch.float32), subject.x(dtype=torch.float32)):
        if not bool(result.isfinite().all()):
            raise Broken(
                f"{int((~result.isfinite()).sum())} of {result.numel()} numbers are not finite",
                likely="a parameter is made with torch.empty and never filled",
                remedy="draw it in the constructor, with nn.init",
            )


START_LAWS = (builds, runs)
