"""Loading a checkpoint with the real dimensions of deepseek-vl2-tiny, beside a plain read of its file.

Makes 6.7 GB of random bfloat16 weights under the official names, then times in fresh processes: reading the file once
through a small buffer, reading it once into fresh memory, `safetensors.torch.load_file` (which gives loose tensors, no
model), and `vlkit.from_pretrained`, followed by one image and 8 tokens. Peak memory is the process's own, as the
operating system counts it, over what it had after the imports.

    python benchmarks/loading.py [--preset deepseek-vl2-tiny] [--folder DIR] [--runs 3] [--json OUT]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

import vlkit
import vlkit.generate
from vlkit.checkpoint.keymap import KeyMap
from vlkit.checkpoint.saving import save
from vlkit.models.deepseek_vl2.keys import KEYMAP

SIDES = ("read", "read_to_memory", "safetensors", "vlkit")


def make_checkpoint(preset: str, folder: Path, keymap: KeyMap = KEYMAP) -> int:
    """Write random weights in shards of 2 GB, drawn while they are written; returns their bytes."""
    config = vlkit.presets[preset]
    shapes = {name: tuple(tensor.shape) for name, tensor in vlkit.build(config, device="meta").state_dict().items()}
    block = torch.randn(1 << 24, generator=torch.Generator().manual_seed(0)).mul_(0.02).bfloat16()
    names = keymap.their_names(shapes)

    def weights(shape: tuple[int, ...]) -> torch.Tensor:
        count = torch.Size(shape).numel()
        return (
            block.repeat(-(-count // len(block)))[:count].view(shape)
            if count > len(block)
            else block[:count].view(shape)
        )

    ones = {name for name in names if "norm" in name and name.endswith("weight")}
    tensors = {n: torch.ones(s, dtype=torch.bfloat16) if n in ones else weights(s) for n, s in names.items()}
    save(tensors, folder, max_shard_size="100GB")
    (folder / "config.json").write_text(json.dumps(config.to_hf()))
    return sum(tensor.nbytes for tensor in tensors.values())


def measure(side: str, folder: Path) -> dict[str, Any]:
    """One side in this process: seconds and peak resident bytes over the imports'."""
    torch.set_num_threads(2)
    before, start = peak_bytes(), time.perf_counter()
    if side == "read":
        with (folder / "model.safetensors").open("rb", buffering=0) as file:
            chunk = bytearray(1 << 24)
            while file.readinto(chunk):
                pass
        return {"load_s": time.perf_counter() - start, "peak_bytes": peak_bytes() - before}
    if side == "read_to_memory":
        memory = bytearray((folder / "model.safetensors").stat().st_size)
        with (folder / "model.safetensors").open("rb", buffering=0) as file:
            left = memoryview(memory)
            while left:
                left = left[file.readinto(left) :]
        return {"load_s": time.perf_counter() - start, "peak_bytes": peak_bytes() - before}
    if side == "safetensors":
        from safetensors.torch import load_file

        tensors = load_file(folder / "model.safetensors")
        sum(float(tensor.flatten()[::2048].float().sum()) for tensor in tensors.values())  # one number of each page
        return {"load_s": time.perf_counter() - start, "peak_bytes": peak_bytes() - before}
    model = vlkit.from_pretrained(folder)
    result: dict[str, Any] = {"load_s": time.perf_counter() - start, "peak_after_load_bytes": peak_bytes() - before}
    config = model.config
    size = config.tile_size
    tiling = config.tiling((1024, 768))
    tokens = config.image_tokens((1024, 768))
    ids = torch.randint(3, 1000, (1, tokens + 16), generator=torch.Generator().manual_seed(0))
    places = torch.zeros_like(ids, dtype=torch.bool)
    places[:, 1 : tokens + 1] = True
    inputs = {
        "input_ids": ids,
        "images": torch.rand(1, 1 + tiling.grid.area, 3, size.height, size.width),
        "images_seq_mask": places,
        "images_spatial_crop": torch.tensor([[tiling.grid[::-1]]]),
    }
    steps: list[float] = []
    start = time.perf_counter()
    for _ in vlkit.generate.generate_ids(model, max_new_tokens=8, eos_token_id=(), **inputs):
        steps.append(time.perf_counter() - start)
    result |= {
        "prompt_tokens": ids.shape[1],
        "first_token_s": steps[0],
        "token_s": statistics.median(later - earlier for earlier, later in pairwise(steps)),
    }
    return result | {"peak_bytes": peak_bytes() - before}


def peak_bytes() -> int:
    """Largest resident memory of this process so far; Linux only (`ru_maxrss` would inherit the parent's)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def compare(folder: Path, runs: int) -> dict[str, Any]:
    """All sides in turn, each run in a process of its own."""
    results: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for run in range(runs):
        for side in SIDES:
            command = [sys.executable, __file__, "--measure", side, "--folder", str(folder)]
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            results[side].append(json.loads(out.splitlines()[-1]))
            print(f"run {run + 1} of {runs}, {side}: {results[side][-1]}", file=sys.stderr)
    return {
        side: {key: statistics.median(run[key] for run in runs_of) for key in runs_of[0]}
        for side, runs_of in results.items()
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="deepseek-vl2-tiny")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--measure", choices=SIDES)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.folder)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as made:
        nbytes = make_checkpoint(options.preset, Path(made))
        report = {
            "preset": options.preset,
            "file_bytes": nbytes,
            "machine": {
                "processor": platform.processor() or platform.machine(),
                "threads": 2,
                "torch": torch.__version__,
            },
            "medians": compare(Path(made), options.runs),
        }
    if options.json:
        options.json.write_text(json.dumps(report, indent=2))
    print(json.dumps(report, indent=2))
    for side, medians in report["medians"].items():
        print(f"{side:12} {medians['load_s']:6.2f} s   peak {medians['peak_bytes'] / nbytes:5.2f} x file")


if __name__ == "__main__":
    main()
