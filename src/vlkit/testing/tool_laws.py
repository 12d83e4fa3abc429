"""Laws of torch's own tools: autocast must work, `torch.compile` and `torch.export` where that is promised."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from vlkit.testing.comparing import AUTOCAST, require_near
from vlkit.testing.law import Broken, Skipped, law, told
from vlkit.testing.module_subject import ModuleSubject


class _Output(nn.Module):
    """The part as a module of one tensor in and one tensor out."""

    def __init__(self, subject: ModuleSubject, part: nn.Module) -> None:
        super().__init__()
        self.part = part
        self.output = subject.output

    def forward(self, x: Tensor) -> Tensor:
        """Result for an input."""
        return self.output(self.part, x)


@law(
    crash="a tensor of the weights' dtype meets one of autocast's: x.to(self.weight.dtype), torch.zeros(...), index_add"
)
def autocast(subject: ModuleSubject) -> None:
    """Under CPU autocast to bfloat16 a float32 part runs, and stays near its float32 result."""
    part, x = subject.part(torch.float32), subject.x(dtype=torch.float32)
    with torch.no_grad():
        expected = subject.output(part, x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = subject.output(part, x)
    apart = (found.double() - expected.double()).square().mean().sqrt()
    scale = expected.double().square().mean().sqrt()
    if expected.numel() and not bool(apart <= AUTOCAST * scale):
        raise Broken(
            f"autocast moves the result by {(apart / scale).item():.2g} of its size",
            likely="a sum, norm or softmax that needs float32 runs in bfloat16",
            remedy="compute it with .float(), or under torch.autocast(..., enabled=False)",
        )


@law()
def compile(subject: ModuleSubject) -> str | None:
    """`torch.compile(fullgraph=True)` takes the part, if that is promised, and changes no number."""

    def attempt(module: nn.Module, x: Tensor) -> Tensor:
        torch.compiler.reset()
        out: Tensor = torch.compile(module, backend="eager", fullgraph=True)(x)
        return out

    return _promised(subject, "torch.compile", subject.compiles, attempt)


@law()
def export(subject: ModuleSubject) -> str | None:
    """`torch.export` takes the part, if that is promised, and changes no number."""

    def attempt(module: nn.Module, x: Tensor) -> Tensor:
        out: Tensor = torch.export.export(module, (x,), strict=False).module()(x)
        return out

    return _promised(subject, "torch.export", subject.exports, attempt)


def _promised(
    subject: ModuleSubject, tool: str, promised: bool | None, attempt: Callable[[nn.Module, Tensor], Tensor]
) -> str | None:
    if promised is False:
        raise Skipped(f"{tool} is not promised")
    part, x = subject.part(), subject.x()
    expected = subject.output(part, x)
    try:
        with _silence():
            found = attempt(_Output(subject, part), x)
        require_near(found, expected, f"{tool} changes the result", likely="forward depends on more than its arguments")
    except Exception as error:
        if promised:
            raise Broken(
                f"{tool} fails: {told(error)}",
                likely="forward turns tensors into Python numbers (.item(), .tolist()) or branches on values",
                remedy="compute with tensors and shapes only, or do not promise it",
            ) from error
        return f"{tool} does not work: {told(error)}"
    return None


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Context in which torch's tools log and warn to nobody; what matters is in the exception."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


TOOL_LAWS = (autocast, compile, export)
