"""Loading: the bytes of a checkpoint into a module built on `meta`, each read at most once.

Official tensors that are a whole parameter are mapped from the file, privately: nothing is read before it is used, and
what is written in place never reaches the file. All others are read straight to their place.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

from vlkit.checkpoint.files import WeightFiles
from vlkit.checkpoint.header import Entry, WeightFile
from vlkit.checkpoint.keymap import KeyMap, Slot
from vlkit.checkpoint.reading import MappedFile, read_into
from vlkit.errors import CheckpointError

READERS = 4
Progress = Callable[[int, int], None]


def load_into(
    module: nn.Module,
    files: WeightFiles,
    keymap: KeyMap,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> None:
    """Fill a module that was built on `meta`: parameters and persistent buffers, tied ones once.

    The files have to stay as they are while the module lives; `save` into their folder is safe.

    Args:
        module: its parameters are replaced, `requires_grad` stays.
        files: the checkpoint.
        keymap: official names to those in the module.
        dtype: of the floating-point tensors; None keeps that of the file.
        device: where the tensors go.
        progress: called with bytes done and bytes in all.

    Raises:
        CheckpointError: before memory is allocated, if names, shapes or dtypes do not fit; later, if a file cannot be
            read to its end or the module has tensors that no checkpoint fills.
    """
    if dtype is not None and not dtype.is_floating_point:
        raise CheckpointError(f"dtype is {dtype}", rule="weights are converted to floating-point dtypes only")
    device = torch.device(device)
    named = named_tensors(module)
    plan = keymap.plan(files.shapes, {name: tensor.shape for name, tensor in named.items()})
    dtypes = {name: _dtype_of(plan[name], files, tensor, dtype) for name, tensor in named.items()}
    _refuse_unfilled(module, named)

    slots = [(files.entries[slot.theirs], slot, name) for name in named for slot in plan[name]]
    slots.sort(key=lambda place: (place[0].file.path, place[0].start))
    mapped: dict[WeightFile, MappedFile] = {}
    jobs: list[tuple[Entry, Tensor]] = []
    filled: dict[str, Tensor] = {}
    with torch.inference_mode(False):
        for entry, slot, name in slots:
            shape, whole = named[name].shape, len(plan[name]) == 1
            if whole and entry.dtype == dtypes[name] and device.type == "cpu" and MappedFile.can_hold(entry):
                mapped[entry.file] = mapped.get(entry.file) or MappedFile(entry.file)
                filled[name] = mapped[entry.file].tensor(entry).view(shape)
            else:
                if name not in filled:
                    filled[name] = torch.empty(shape, dtype=dtypes[name], device=device)
                jobs.append((entry, filled[name][slot.index].view(-1)))
    _read_all(jobs, total=sum(entry.nbytes for entry, _, _ in slots), progress=progress)
    _assign(module, named, filled)


def named_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers by their names in `module`; of tied ones only the first."""
    first: dict[int, str] = {}
    state = {name: tensor for name, tensor in module.state_dict(keep_vars=True).items() if isinstance(tensor, Tensor)}
    return {name: tensor for name, tensor in state.items() if first.setdefault(id(tensor), name) == name}


def _read_all(jobs: list[tuple[Entry, Tensor]], *, total: int, progress: Progress | None) -> None:
    """Read with a few threads, in the order of the files: most of the time goes into fresh memory, not the disk."""
    done = total - sum(entry.nbytes for entry, _ in jobs)
    with ThreadPoolExecutor(READERS) as pool:
        for (entry, _), _ in zip(jobs, pool.map(lambda job: read_into(*job), jobs)):
            done += entry.nbytes
            if progress:
                progress(done, total)
    if progress and not jobs:
        progress(done, total)


def _dtype_of(slots: list[Slot], files: WeightFiles, tensor: Tensor, wanted: torch.dtype | None) -> torch.dtype:
    there = {files.entries[slot.theirs].dtype for slot in slots}
    names = ", ".join(sorted(str(dtype).removeprefix("torch.") for dtype in there))
    if tensor.is_floating_point():
        if not all(dtype.is_floating_point for dtype in there):
            raise CheckpointError(f"{slots[0].theirs!r} is {names}", rule="this parameter is a floating-point one")
        if wanted is None and len(there) > 1:
            raise CheckpointError(
                f"{slots[0].theirs!r} and its {len(slots) - 1} companions are {names}",
                rule="tensors that become one parameter have one dtype",
                remedy="pass dtype",
            )
        return wanted or there.pop()
    if there != {tensor.dtype}:
        raise CheckpointError(f"{slots[0].theirs!r} is {names}", rule=f"this buffer is {tensor.dtype}")
    return tensor.dtype


def _refuse_unfilled(module: nn.Module, named: dict[str, Tensor]) -> None:
    fillable = {id(tensor) for tensor in named.values()}
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.is_meta and id(tensor) not in fillable:
            raise CheckpointError(
                f"{name!r} is on meta and no checkpoint fills it",
                rule="tensors of a module are parameters or persistent buffers, or are computed when needed",
                remedy="build the buffer outside of the meta context, or lazily in forward",
            )


def _assign(module: nn.Module, named: dict[str, Tensor], filled: dict[str, Tensor]) -> None:
    fresh: dict[int, Tensor] = {}
    for name, old in named.items():
        new = filled[name]
        fresh[id(old)] = nn.Parameter(new, requires_grad=old.requires_grad) if isinstance(old, nn.Parameter) else new
    state = module.state_dict(keep_vars=True)
    tensors = {name: fresh[id(old)] if isinstance(old, Tensor) else old for name, old in state.items()}
    module.load_state_dict(tensors, assign=True)
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.is_meta:
            raise CheckpointError(f"{name!r} is still on meta", rule="a loaded module has numbers everywhere")
