"""32,768 positions under every cache policy that saves memory, at the dimensions of deepseek-vl2-small.

Each policy runs in fresh processes, one after the other, and each process does one of two things:

- `model`: prefills 32,768 positions in chunks of 512 through the first three layers (one dense, two with experts), with
  random weights in bfloat16, then decodes four tokens;
- `cache`: fills the cache of all 27 layers alone, reading every layer back as attention does.

Peak memory is what the operating system counts for the process (`VmHWM`, mapped pages of files included) above what it
had when the model was built or before the cache was. The budget of the cache is what the library tells beforehand: what
the policy keeps in memory, and the layer that a quantized cache reads back. The budget of the model is 1.5 GiB beside
its weights, for the cache, the activations and what kernels take for themselves. glibc gives back what is freed at
once (`MALLOC_MMAP_THRESHOLD_`), so that the peak is what was needed and not what the allocator kept. Linux only.

    python -m benchmarks.long_context [--folder DIR] [--positions 32768] [--json OUT] [--png OUT]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import vlkit
from vlkit.cache import CachePolicyConfig, KVCache, cache_policies
from vlkit.decoders import Decoder, DeepseekV2Config, decoders
from vlkit.description.report import as_bytes
from vlkit.drawing.bars import Bars, draw_bars

LAYERS, CHUNK, READ_CHUNK, TOKENS = 3, 512, 4096, 4
MIB = 1 << 20
SLACK = 64 * MIB
"""What an allocator may take beside what is told, if that is more than a tenth of it."""
MODEL_BUDGET = 1536 * MIB
"""Memory for everything but the weights."""
ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": str(MIB)}
POLICIES: dict[str, Any] = {
    "resident": {"type": "resident"},
    "disk": {"type": "disk"},
    "int8": {"type": "quantized", "dtype": "int8", "exact_channels": 64},
    "int4": {"type": "quantized", "dtype": "int4", "exact_channels": 64},
    "int8 on disk": {"type": "quantized", "dtype": "int8", "exact_channels": 64, "store": {"type": "disk"}},
}
ROOT = Path(__file__).parents[1]


def decoder_config(positions: int, layers: int) -> DeepseekV2Config:
    """The decoder of deepseek-vl2-small with fewer layers, a small vocabulary and room for the positions."""
    config = vlkit.presets["deepseek-vl2-small"].decoder
    assert isinstance(config, DeepseekV2Config)
    return config.replace(
        num_hidden_layers=layers, vocab_size=1024, max_position_embeddings=positions, bos_token_id=0, eos_token_id=1
    )


def random_decoder(config: DeepseekV2Config) -> Decoder:
    """Decoder in bfloat16 whose matrices repeat one block of random numbers, since drawing all of them takes long."""
    with torch.device("meta"):
        decoder = decoders.build(config).bfloat16()
    decoder = decoder.to_empty(device="cpu").eval()
    block = torch.randn(1 << 22, generator=torch.Generator().manual_seed(0)).mul_(0.02).bfloat16()
    with torch.no_grad():
        for parameter in decoder.parameters():
            for piece in parameter.view(-1).split(len(block)):
                piece.copy_(block[: len(piece)] if parameter.ndim > 1 else torch.ones_like(piece))
    return decoder


def policy_of(name: str, folder: Path) -> CachePolicyConfig:
    """The policy, with its files in the folder."""
    policy = json.loads(json.dumps(POLICIES[name]))
    for place in (policy, policy.get("store", {})):
        if place.get("type") == "disk":
            place["folder"] = str(folder)
    return cache_policies.resolve(policy)


@torch.no_grad()
def measure_model(policy: CachePolicyConfig, positions: int, logits_file: Path) -> dict[str, Any]:
    """Prefill and a few tokens of the decoder."""
    config = decoder_config(positions + TOKENS, LAYERS)
    decoder = random_decoder(config)
    x_BTD = torch.randn(1, positions + TOKENS, config.dim, generator=torch.Generator().manual_seed(1)).bfloat16()
    decoder(x_BTD[:, :CHUNK], cache=decoder.new_cache())  # threads and kernels are set up
    before = begin()
    cache, start = decoder.new_cache(policy), time.perf_counter()
    for chunk_BTD in x_BTD[:, :positions].split(CHUNK, dim=1):
        out = decoder(chunk_BTD, cache=cache)
    prefill = time.perf_counter() - start
    logits = [decoder.logits(out.x_BTD[:, -1])]
    start = time.perf_counter()
    for at in range(positions, positions + TOKENS):
        logits.append(decoder.logits(decoder(x_BTD[:, at : at + 1], cache=cache).x_BTD[:, -1]))
    decode = (time.perf_counter() - start) / TOKENS
    peak = peak_bytes() - before
    torch.save(torch.cat(logits), logits_file)
    return told(policy, config, positions + TOKENS, cache) | {
        "budget_bytes": MODEL_BUDGET,
        "prefill_s": round(prefill, 2),
        "token_s": round(decode, 4),
        "peak_bytes": peak,
    }


@torch.no_grad()
def measure_cache(policy: CachePolicyConfig, positions: int) -> dict[str, Any]:
    """The cache of all layers, filled and read chunk by chunk."""
    config = decoder_config(positions, vlkit.presets["deepseek-vl2-small"].decoder.num_layers)
    width = next(iter(config.cached_vectors()))
    latents = torch.randn(1, READ_CHUNK, width, generator=torch.Generator().manual_seed(0)).bfloat16()
    before = begin()
    cache, start, total = KVCache(config.num_layers, policy), time.perf_counter(), 0.0
    for _ in range(0, positions, READ_CHUNK):
        cache.extend_mask(READ_CHUNK, None, batch=1)
        for index, layer in enumerate(cache.layers):
            cache.policy.before_layer(cache, index)
            total += layer.append(latents)[0].sum().item()
            cache.policy.after_layer(cache, index)
    seconds = time.perf_counter() - start
    return told(policy, config, positions, cache) | {
        "seconds": round(seconds, 2),
        "peak_bytes": peak_bytes() - before,
    }


def told(policy: CachePolicyConfig, config: DeepseekV2Config, positions: int, cache: KVCache) -> dict[str, Any]:
    """What the library says beforehand, and what the cache says of itself."""
    vectors, layers = config.cached_vectors(), config.num_layers
    sizes = {"positions": positions, "layers": layers}
    budget = policy.device_bytes(vectors, 2, **sizes) + policy.scratch_bytes(vectors, 2, **sizes)
    assert cache.nbytes == policy.cache_bytes(vectors, 2, positions=positions)
    return {"layers": layers, "cache_bytes": cache.nbytes, "budget_bytes": budget}


def begin() -> int:
    """Resident memory of this process; its peak is counted from here on."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def peak_bytes() -> int:
    """Largest resident memory since `begin`."""
    return _status("VmHWM")


def _status(field: str) -> int:
    return int(Path("/proc/self/status").read_text().split(f"{field}:")[1].split()[0]) * 1024


def compare(positions: int, folder: Path) -> dict[str, Any]:
    """Every policy in processes of its own."""
    results: dict[str, Any] = {}
    exact: torch.Tensor | None = None
    for name in POLICIES:
        measured = {}
        for part in ("model", "cache"):
            command = [sys.executable, "-m", "benchmarks.long_context", "--measure", part, name]
            command += ["--folder", str(folder), "--positions", str(positions)]
            run = subprocess.run(
                command, check=True, capture_output=True, text=True, cwd=ROOT, env=os.environ | ENVIRONMENT
            )
            measured[part] = json.loads(run.stdout.splitlines()[-1])
            budget = measured[part]["budget_bytes"]
            slack = max(SLACK, budget // 10) if part == "cache" else 0
            measured[part]["within_budget"] = measured[part]["peak_bytes"] <= budget + slack
            print(f"{name}, {part}: {measured[part]}", file=sys.stderr)
        logits = torch.load(folder / f"{name}.pt", weights_only=True)
        exact = logits if exact is None else exact
        share = (logits.float() - exact.float()).square().mean().sqrt() / exact.float().square().mean().sqrt()
        results[name] = measured | {
            "logits_sha256": hashlib.sha256(logits.view(torch.uint8).numpy().tobytes()).hexdigest(),
            "same_bits_as_resident": torch.equal(logits, exact),
            "logits_moved_by": float(f"{share:.2g}"),
        }
    return results


def draw(results: dict[str, Any], positions: int, path: Path) -> None:
    """The chart."""
    runs = list(results.values())

    def sizes(name: str, part: str, field: str) -> Bars:
        values = [run[part][field] for run in runs]
        return Bars(name, values, [as_bytes(value) for value in values])

    def seconds(name: str, field: str) -> Bars:
        values = [run["model"][field] for run in runs]
        return Bars(name, values, [f"{value:.3g} s" for value in values])

    layers, kept = (runs[0][part]["layers"] for part in ("model", "cache"))
    measures = [
        sizes(f"cache of {kept} layers", "cache", "cache_bytes"),
        sizes("... its peak memory", "cache", "peak_bytes"),
        sizes(f"{layers} layers: peak memory", "model", "peak_bytes"),
        seconds(f"{layers} layers: prefill", "prefill_s"),
        seconds(f"{layers} layers: one token", "token_s"),
    ]
    title = f"{positions:,} positions at the dimensions of deepseek-vl2-small"
    draw_bars(list(results), measures, title=title).save(path)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--positions", type=int, default=32768)
    parser.add_argument("--folder", type=Path, help="where caches on disk lie; default: the folder for temporary files")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "long_context.json")
    parser.add_argument("--png", type=Path, default=ROOT / "docs" / "assets" / "long-context.png")
    parser.add_argument("--measure", nargs=2, metavar=("PART", "POLICY"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        torch.set_num_threads(2)
        part, name = options.measure
        policy = policy_of(name, options.folder)
        if part == "model":
            print(json.dumps(measure_model(policy, options.positions, options.folder / f"{name}.pt")))
        else:
            print(json.dumps(measure_cache(policy, options.positions)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        results = compare(options.positions, Path(folder))
    report = {
        "preset": "deepseek-vl2-small",
        "positions": options.positions,
        "chunk": CHUNK,
        "threads": 2,
        "torch": torch.__version__,
        "policies": results,
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    draw(results, options.positions, options.png)


if __name__ == "__main__":
    main()
