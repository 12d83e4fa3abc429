"""A cache on disk: files without names that grow in place, little memory, clear errors, and nothing left behind."""

import errno
import json
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.cache.kinds import DIM, LAYERS, decoder, logits_of
from vlkit.cache import DiskConfig, KVCache
from vlkit.cache.growing_file import GrowingFile
from vlkit.errors import ContextLengthError, InputError, VlkitError

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at the process in /proc")


def disk_cache(folder: Path, layers: int = LAYERS) -> KVCache:
    return KVCache(layers, {"type": "disk", "folder": str(folder)})


def open_files(folder: Path) -> list[int]:
    """Descriptors of this process whose files lie, or lay, in the folder."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [int(link.name) for link in links if str(link.readlink()).startswith(str(folder))]


@linux
@torch.no_grad()
def test_files_have_no_names_belong_to_their_owner_and_go_with_the_cache(tmp_path: Path) -> None:
    cache = disk_cache(tmp_path)
    logits_of(decoder("grouped"), torch.randn(1, 5, DIM), [4, 1], cache)
    assert list(tmp_path.iterdir()) == []
    files = [os.fstat(number) for number in open_files(tmp_path)]
    assert len({status.st_ino for status in files}) == 2 * LAYERS  # keys and values
    assert {(stat.S_IMODE(status.st_mode), status.st_nlink) for status in files} == {(0o600, 0)}
    cache.reorder(torch.tensor([0, 0]))
    fork = cache.fork()
    del cache
    assert torch.isfinite(fork.layers[0].tensors[0]).all()
    del fork
    assert open_files(tmp_path) == []


@linux
@torch.no_grad()
def test_an_error_in_a_pass_keeps_no_file(tmp_path: Path) -> None:
    model, cache = decoder("grouped"), disk_cache(tmp_path)
    handle = model.layers[1].register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        logits_of(model, torch.randn(1, 5, DIM), [5], cache)
    handle.remove()
    assert len(open_files(tmp_path)) > 0
    del cache
    assert open_files(tmp_path) == []


CHILD = """
import sys, time, torch
from vlkit.cache import KVCache
cache = KVCache(3, {"type": "disk", "folder": sys.argv[1]})
with torch.no_grad():
    for layer in cache.layers:
        layer.append(torch.ones(2, 3, 500, 16))
print(cache.nbytes, flush=True)
time.sleep(60)
"""


@linux
def test_a_killed_process_leaves_no_file(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert int(child.stdout.readline()) == 3 * 2 * 3 * 512 * 16 * 4
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert child.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []


MEASURE = """
import json, sys, torch
from vlkit.cache import KVCache

def memory(field):
    status = open("/proc/self/status").read()
    return int(status.split(field + ":")[1].split()[0]) * 1024

def peak(policy):
    open("/proc/self/clear_refs", "w").write("5")  # begin to count the peak anew
    before = memory("VmRSS")
    cache = KVCache(12, policy)
    total = 0.0
    with torch.no_grad():
        for _ in range(12):
            cache.arriving = 1024
            for index, layer in enumerate(cache.layers):
                cache.policy.before_layer(cache, index)
                total += layer.append(torch.ones(1, 1024, 256))[0].sum().item()
                cache.policy.after_layer(cache, index)
    assert total == 12 * 256 * 1024 * sum(range(1, 13))
    return {"peak": memory("VmHWM") - before, "cache": cache.nbytes}

torch.set_num_threads(1)
peak({"type": "disk", "folder": sys.argv[1]})
print(json.dumps([peak({"type": "disk", "folder": sys.argv[1]}), peak("resident")]))
"""


@linux
def test_memory_holds_the_layer_that_computes_and_not_the_context(tmp_path: Path) -> None:
    """Resident memory of a process, as the system counts it, mapped pages included."""
    out = subprocess.run([sys.executable, "-c", MEASURE, str(tmp_path)], check=True, capture_output=True, text=True)
    disk, resident = json.loads(out.stdout)
    layer = disk["cache"] / 12
    assert disk["cache"] == resident["cache"] == 12 * 12 * 1024 * 256 * 4
    assert disk["peak"] < 3 * layer
    assert resident["peak"] > 11 * layer


@torch.no_grad()
def test_a_file_grows_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    class Noting(GrowingFile):
        """Notes that a file is made."""

        def __init__(self, folder: Path, *args: Any) -> None:
            made.append(str(folder))
            super().__init__(folder, *args)

    monkeypatch.setattr("vlkit.cache.file_store.GrowingFile", Noting)
    layer = disk_cache(tmp_path, layers=1).layers[0]
    for count in (1, 256, 1000, 1):
        heads, latents = layer.append(
            torch.full((2, 3, count, 4), count), torch.full((1, count, 5), count).repeat(2, 1, 1)
        )
    assert made == [str(tmp_path)] * 2
    assert heads.shape[-2] == latents.shape[-2] == 1258
    expected = torch.tensor([1] + [256] * 256 + [1000] * 1000 + [1])
    assert torch.equal(heads[1, 2, :, 3], expected)
    assert torch.equal(latents[1, :, 4], expected)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=8), st.integers(1, 2), st.integers(1, 3), st.integers(1, 600))
@torch.no_grad()
def test_a_file_without_room_is_moved_to_one_with_more(counts: list[int], samples: int, heads: int, room: int) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("vlkit.cache.file_store.ROOM", room)
        layer = KVCache(1, "disk").layers[0]
        parts = [torch.randn(samples, heads, count, 3) for count in counts]
        for part in parts:
            found = layer.append(part)[0]
    assert torch.equal(found, torch.cat(parts, dim=-2))


@pytest.fixture
def _without_reserving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "posix_fallocate")


@torch.no_grad()
@pytest.mark.usefixtures("_without_reserving")
def test_where_the_system_cannot_reserve_space_zeros_are_written(tmp_path: Path) -> None:
    layer = disk_cache(tmp_path, layers=1).layers[0]
    parts = [torch.randn(2, 3, count, 700) for count in (300, 1, 400)]
    for part in parts:
        found = layer.append(part)[0]
    assert torch.equal(found, torch.cat(parts, dim=-2))


@pytest.mark.parametrize("name", ["missing", "a file", "missing/below"])
def test_a_folder_that_cannot_be_used_is_refused_before_anything_runs(tmp_path: Path, name: str) -> None:
    (tmp_path / "a file").touch()
    with pytest.raises(InputError, match=r"the cache cannot use .*\n.*a folder that exists.*\n.*choose another folder"):
        disk_cache(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["a file"]


@pytest.fixture
def _small_disk() -> Iterator[None]:
    """Files may not be longer than 1 MiB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@linux
@torch.no_grad()
@pytest.mark.usefixtures("_small_disk")
def test_a_full_disk_is_an_error_and_what_was_there_can_be_used(tmp_path: Path) -> None:
    cache = disk_cache(tmp_path, layers=1)
    (layer,) = cache.layers
    layer.append(torch.ones(1, 900, 256))
    with pytest.raises(ContextLengthError, match=r"cannot grow in .*\n.*as long as there is space.*\n.*free space"):
        layer.append(torch.ones(1, 200, 256))
    assert cache.length == 900
    assert torch.equal(layer.append(torch.ones(1, 100, 256))[0], torch.ones(1, 1000, 256))
    with pytest.raises(ContextLengthError):
        cache.reorder(torch.tensor([0, 0]))
    assert torch.equal(layer.append(torch.ones(1, 20, 256))[0], torch.ones(1, 1020, 256))
    del layer, cache
    assert open_files(tmp_path) == []


@torch.no_grad()
def test_space_is_reserved_before_it_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk would else end the process at a write into the mapping."""
    (layer,) = disk_cache(tmp_path, layers=1).layers
    layer.append(torch.ones(2, 3, 4))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    layer.append(torch.ones(2, 253, 4))
    with pytest.raises(ContextLengthError, match="No space left on device"):
        layer.append(torch.ones(2, 1, 4))
    assert layer.length == 256


@torch.no_grad()
def test_a_move_that_is_interrupted_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (layer,) = disk_cache(tmp_path, layers=1).layers
    layer.append(torch.arange(10.0).view(1, 10, 1))
    with monkeypatch.context() as patched:
        patched.setattr(torch.Tensor, "index_select", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            layer.reorder(torch.tensor([0, 0]))
    found = layer.append(torch.arange(10.0, 600.0).view(1, 590, 1))[0]
    assert torch.equal(found, torch.arange(600.0).view(1, 600, 1))


def test_the_folder_stays_the_same_when_the_process_goes_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").mkdir()
    monkeypatch.chdir(tmp_path)
    cache = disk_cache(Path("cache"), layers=1)
    monkeypatch.chdir("/")
    with torch.no_grad():
        cache.layers[0].append(torch.ones(1, 2, 3))
    assert cache.length == 2


def test_the_config_says_how_much_is_in_memory() -> None:
    config = DiskConfig(on_device=3)
    assert config.device_bytes({5: 12}, 2, positions=256, layers=12) == config.cache_bytes({5: 3}, 2, positions=256)
    with pytest.raises(VlkitError, match="on_device"):
        DiskConfig(on_device=0)
