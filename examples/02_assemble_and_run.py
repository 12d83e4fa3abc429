"""Assemble a small model, swap two of its parts, and run it on a picture. Its weights are random."""

from importlib.resources import files

import torch

import vlkit

PICTURE = files("vlkit") / "assets" / "demo.jpg"

torch.manual_seed(0)
model = (
    vlkit.DeepseekVLV2Builder("mini")
    .projector("mlp_gelu", depth=3, token_pooling=True)
    .layout("2D", global_view="tail")
    .decoder("deepseek_v2", num_hidden_layers=4)
    .build()
    .eval()
)
print(model.projector)

processor = vlkit.DeepseekVLV2Processor.for_model(model.config)
inputs = processor(prompt="<image>\nWhat is this?", images=[str(PICTURE)], apply_sft_format=True)
print(inputs.sft_format[0])
print({name: list(tensor.shape) for name, tensor in inputs.items()})

ids = model.generate(**inputs, max_new_tokens=12)
print("ids: ", ids[0].tolist())
print("text:", repr(processor.decode(ids[0])))
