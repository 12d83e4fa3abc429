"""Copies between the host and the device that computes: one after the other, or beside the computation on CUDA."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vlkit.cache.store import empty


@dataclass
class Fetched:
    """Copies on the device.

    Args:
        tensors: the copies.
        ready: recorded behind the copying; None: they are there already.
    """

    tensors: tuple[Tensor, ...]
    ready: torch.cuda.Event | None = None


@dataclass
class Leaving:
    """A tensor on its way from the device to a place in host memory.

    Args:
        staged: its copy on the host.
        place: where it belongs.
        arrived: recorded behind the copying; None: it is there already.
    """

    staged: Tensor
    place: Tensor
    arrived: torch.cuda.Event | None = None

    def settle(self) -> None:
        """Wait for the tensor and put it in its place."""
        if self.arrived is not None:
            self.arrived.synchronize()
        self.place.copy_(self.staged)


class Transfer:
    """Copies that are finished when the call returns.

    Args:
        device: the device that computes.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def fetch(self, tensors: Sequence[Tensor]) -> Fetched:
        """Begin to copy host tensors to the device."""
        return Fetched(tuple(self._copied(tensor) for tensor in tensors))

    def wait(self, fetched: Fetched) -> None:
        """Let the computation that follows wait for the copies."""

    def send(self, tensor: Tensor, place: Tensor) -> Leaving:
        """Begin to copy a tensor on the device to a place in host memory."""
        return Leaving(tensor.to("cpu", copy=True), place)

    def _copied(self, tensor: Tensor) -> Tensor:
        return empty(tensor.shape, tensor, device=self.device).copy_(tensor, non_blocking=True)


class CudaTransfer(Transfer):
    """Copies on a stream of their own, which run beside the computation; fast from and to pinned memory."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self.stream = torch.cuda.Stream(device)

    def fetch(self, tensors: Sequence[Tensor]) -> Fetched:
        with torch.cuda.stream(self.stream):
            fetched = super().fetch(tensors)
            fetched.ready = self.stream.record_event()
        return fetched

    def wait(self, fetched: Fetched) -> None:
        computing = torch.cuda.current_stream(self.device)
        if fetched.ready is not None:
            computing.wait_event(fetched.ready)
        for tensor in fetched.tensors:
            tensor.record_stream(computing)  # else its memory might be given away while it is read

    def send(self, tensor: Tensor, place: Tensor) -> Leaving:
        staged = empty(tensor.shape, tensor, device=place.device, pinned=True)
        self.stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self.stream):
            staged.copy_(tensor.contiguous(), non_blocking=True)
            arrived = self.stream.record_event()
        tensor.record_stream(self.stream)
        return Leaving(staged, place, arrived)


def transfer_to(device: torch.device) -> Transfer | None:
    """How host tensors come to `device`; None if it is the host, where they are used as they are."""
    match device.type:
        case "cpu":
            return None
        case "cuda":
            return CudaTransfer(device)
        case _:
            return Transfer(device)
