"""Save a model in the official layout, look into the folder, load it again, as official checkpoints are loaded."""

from pathlib import Path

import torch

import vlkit
from vlkit.checkpoint import WeightFiles

torch.manual_seed(0)
model = vlkit.build("mini", dtype=torch.bfloat16).eval()
folder = Path("mini-checkpoint")
vlkit.save_pretrained(model, folder, max_shard_size="500KB")
vlkit.DeepseekVLV2Processor.for_model(model.config).save_pretrained(folder)
for file in sorted(folder.iterdir()):
    print(f"{file.stat().st_size:9,}  {file.name}")

for name, shape in list(WeightFiles.open(folder).shapes.items())[:3]:
    print(f"{name} {list(shape)}")

loaded = vlkit.from_pretrained(folder)
assert loaded.config == model.config
same = all(torch.equal(ours, theirs) for ours, theirs in zip(loaded.parameters(), model.parameters()))
print("same weights:", same, "of type", loaded.dtype)

processor = vlkit.DeepseekVLV2Processor.from_pretrained(folder)
inputs = processor(prompt="Hello", apply_sft_format=True)
print(loaded.generate(**inputs, max_new_tokens=4).tolist())
