"""Weights that several processes share (FSDP2): whole tensors from their pieces, and pieces of whole tensors."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

from vlkit.checkpoint.loading import named_tensors
from vlkit.models.auto import build
from vlkit.vlm import VLM


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor; if it is in pieces, every process has to ask for it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def pieces_like(tensor: Tensor, like: Tensor) -> Tensor:
    """A whole tensor in pieces as another one is; as it is if the other is whole."""
    return distribute_tensor(tensor, like.device_mesh, like.placements) if isinstance(like, DTensor) else tensor


def is_sharded(model: torch.nn.Module) -> bool:
    """Whether parameters are in pieces."""
    return any(isinstance(parameter, DTensor) for parameter in model.parameters())


def whole_model(model: VLM) -> VLM:
    """The model itself, or on every process a copy on the CPU of one that is in pieces."""
    if not is_sharded(model):
        return model
    state = {name: whole(tensor.detach()).cpu() for name, tensor in named_tensors(model).items()}
    copy = build(model.config, device="meta")
    names = {id(tensor): name for name, tensor in named_tensors(copy).items()}
    tied = {name: names.get(id(tensor), name) for name, tensor in copy.state_dict(keep_vars=True).items()}
    copy.load_state_dict({name: state[first] for name, first in tied.items()}, assign=True)
    return copy
