"""Loading a checkpoint with the real sizes of deepseek-vl2-tiny, beside plain reads of its file.

Random bfloat16 weights are written under the official names (6.7 GB), then each side runs in fresh processes: reading
the file once through a small buffer, reading it once into fresh memory, `safetensors.torch.load_file` (which gives
loose tensors and no model; one number of each page is used), and `vlkit.from_pretrained`, followed by one picture and 8
tokens. `first token` begins when the process does, imports included. The file is in the system's cache. Peak memory is
what the system counts for the process beyond what it had after the imports.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import torch

import vlkit
from benchmarks.frame import STARTED, Case, Measured, Options, main
from vlkit.bench import peak_memory
from vlkit.checkpoint.saving import save
from vlkit.generate import generate_ids
from vlkit.models.deepseek_vl2.config import DeepseekVLV2Config
from vlkit.models.deepseek_vl2.keys import KEYMAP

WEIGHTS = "model.safetensors"
CHUNK = 1 << 24
NEW_TOKENS = 8


def make_checkpoint(config: DeepseekVLV2Config, folder: Path) -> None:
    """Write config and random weights in one file, drawn while they are written."""
    shapes = {name: tuple(tensor.shape) for name, tensor in vlkit.build(config, device="meta").state_dict().items()}
    block = torch.randn(1 << 24, generator=torch.Generator().manual_seed(0)).mul_(0.02).bfloat16()

    def weights(name: str, shape: tuple[int, ...]) -> torch.Tensor:
        if "norm" in name and name.endswith("weight"):
            return torch.ones(shape, dtype=torch.bfloat16)
        count = torch.Size(shape).numel()
        numbers = block if count <= len(block) else block.repeat(-(-count // len(block)))
        return numbers[:count].view(shape)

    save(
        {name: weights(name, shape) for name, shape in KEYMAP.their_names(shapes).items()},
        folder,
        max_shard_size="100GB",
    )
    (folder / "config.json").write_text(json.dumps(config.to_hf()))


def cases(options: Options) -> list[Case]:
    """The one case, or the same at toy size."""
    file = file_of(options)
    if not file.exists():
        make_checkpoint(vlkit.presets["mini" if options.dry else "deepseek-vl2-tiny"], file.parent)
    sides = {"vlkit": vlkit_side, "read": read, "read to memory": read_to_memory, "safetensors": safetensors_side}
    return [
        Case(
            "checkpoint",
            "a checkpoint of deepseek-vl2-tiny in one file",
            sides,
            facts={"file_bytes": file.stat().st_size},
        )
    ]


def file_of(options: Options) -> Path:
    """The checkpoint's weights."""
    assert options.folder is not None
    return options.folder / WEIGHTS


def read(options: Options) -> Measured:
    """The file once, through a buffer of 16 MB."""
    before, start = _peak(), time.perf_counter()
    with file_of(options).open("rb", buffering=0) as file:
        chunk = bytearray(CHUNK)
        while file.readinto(chunk):
            pass
    return _load(start, before)


def read_to_memory(options: Options) -> Measured:
    """The file once, into memory of its size."""
    before, start = _peak(), time.perf_counter()
    memory = bytearray(file_of(options).stat().st_size)
    with file_of(options).open("rb", buffering=0) as file:
        left = memoryview(memory)
        while left:
            left = left[file.readinto(left) :]
    return _load(start, before)


def safetensors_side(options: Options) -> Measured:
    """Loose tensors, one number of each page used."""
    from safetensors.torch import load_file

    before, start = _peak(), time.perf_counter()
    tensors = load_file(file_of(options))
    sum(float(tensor.flatten()[::2048].float().sum()) for tensor in tensors.values())
    return _load(start, before)


def vlkit_side(options: Options) -> Measured:
    """A model, then one picture of 1024x768 and a few tokens."""
    before, start = _peak(), time.perf_counter()
    model = vlkit.from_pretrained(file_of(options).parent)
    measured = _load(start, before)
    config, size = model.config, model.config.tile_size
    tiling, tokens = config.tiling((1024, 768)), config.image_tokens((1024, 768))
    ids_BT = torch.randint(3, config.decoder.vocabulary, (1, tokens + 16), generator=torch.Generator().manual_seed(0))
    places_BT = torch.zeros_like(ids_BT, dtype=torch.bool)
    places_BT[:, 1 : tokens + 1] = True
    steps = [time.time()]
    for _ in generate_ids(
        model,
        max_new_tokens=NEW_TOKENS,
        eos_token_id=(),
        input_ids=ids_BT,
        images=torch.rand(1, 1 + tiling.grid.area, 3, size.height, size.width),
        images_seq_mask=places_BT,
        images_spatial_crop=torch.tensor([[tiling.grid[::-1]]]),
    ):
        steps.append(time.time())
    measured.seconds["first token"] = [steps[1] - float(os.environ.get(STARTED, steps[0]))]
    measured.seconds["further token"] = [later - earlier for earlier, later in pairwise(steps[1:])]
    return Measured(measured.seconds, measured.numbers | {"peak_of_all": _peak() - before, "prompt": len(ids_BT[0])})


def _load(start: float, before: int) -> Measured:
    return Measured({"load": [time.perf_counter() - start]}, {"peak_of_load": _peak() - before})


def _peak() -> int:
    return peak_memory()["process"] or 0


def run(arguments: list[str] | None = None) -> dict[str, object]:
    """Command line, with a folder for the checkpoint as long as it runs."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if "--measure" in arguments:
        return main("loading", cases, __doc__, arguments)
    given = arguments.index("--folder") + 1 if "--folder" in arguments else None
    with tempfile.TemporaryDirectory(dir=arguments[given] if given else None) as folder:
        return main("loading", cases, __doc__, [*arguments, "--folder", folder])


if __name__ == "__main__":
    run()
