"""Gradient checkpointing of any model: blocks run again in the backward pass. Paper: arXiv:1604.06174."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from vlkit.vlm import VLM


@contextmanager
def recomputed_blocks(model: VLM, *, wanted: bool) -> Iterator[None]:
    """Context in which training keeps the input of each block of encoder and decoder, and nothing inside.

    Args:
        model: parameters and their names stay as they are.
        wanted: False changes nothing.
    """
    blocks = repeated_blocks(model) if wanted else []
    for block in blocks:
        block.forward = _recomputing(block, block.forward)
    try:
        yield
    finally:
        for block in blocks:
            del block.forward


def repeated_blocks(model: VLM) -> list[nn.Module]:
    """Members of the outermost lists in encoder and decoder; not those of encoders that recompute by themselves."""
    parts: list[nn.Module] = [model.decoder]
    if not getattr(model.config.encoder, "gradient_checkpointing", False):
        parts.append(model.encoder)
    return [block for part in parts for block in _outermost(part)]


def _outermost(module: nn.Module) -> Iterator[nn.Module]:
    for child in module.children():
        if isinstance(child, nn.ModuleList) or (isinstance(child, nn.Sequential) and _repeats(child)):
            yield from child.children()
        else:
            yield from _outermost(child)


def _repeats(blocks: nn.Sequential) -> bool:
    """Whether they are many of one class, and no row of different layers."""
    return len(blocks) > 1 and len({type(block) for block in blocks}) == 1


def _recomputing(block: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        if block.training and torch.is_grad_enabled():
            return checkpoint(forward, *args, use_reentrant=False, **kwargs)
        return forward(*args, **kwargs)

    return run
