"""A long prompt in chunks: bounded memory, the same answer whatever the chunks and wherever the cache lives."""

from importlib.resources import files

import torch

import vlkit

PICTURE = str(files("vlkit") / "assets" / "demo.jpg")

torch.manual_seed(0)
model = vlkit.build("mini").eval()
processor = vlkit.DeepseekVLV2Processor.for_model(model.config)
prompt = "Compare <image> with <image>."
inputs = processor(prompt=prompt, images=[PICTURE, PICTURE], apply_sft_format=True)
print("prompt:", inputs["input_ids"].shape[1], "tokens")

whole = model.generate(**inputs, max_new_tokens=8)
for chunk_size, policy in [(64, "resident"), (64, "offload"), (7, "offload")]:
    prefilled = model.incremental_prefilling(**inputs, chunk_size=chunk_size, cache=policy)
    ids = model.generate(**inputs, max_new_tokens=8, cache=prefilled.cache)
    print(f"chunks of {chunk_size:2}, {policy:8}:", ids[0].tolist(), f"{prefilled.cache.nbytes:,} bytes")
    assert torch.equal(ids, whole)
