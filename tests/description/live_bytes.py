"""How much memory tensors take while something runs."""

import weakref
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """Most bytes of tensors made inside that were alive at once."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self.alive: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def __torch_dispatch__(self, call: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        given = {_address(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        made = call(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if isinstance(leaf, Tensor) and not leaf.is_meta and _address(leaf) not in given | self.alive.keys():
                self._track(leaf.untyped_storage())
        return made

    def _track(self, storage: torch.UntypedStorage) -> None:
        address, size = storage._cdata, storage.nbytes()

        def freed(_: object) -> None:
            self.now -= size
            del self.alive[address]

        self.alive[address] = weakref.ref(storage, freed)
        self.now += size
        self.peak = max(self.peak, self.now)


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
