"""A small model with every kind of rule, and its official tensors."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from vlkit.checkpoint import KeyMap, Rule, Squeeze, Stack, Unsqueeze

MLP = "language.layers.{layer}.mlp."
KEYMAP = KeyMap(
    [
        Rule("{rest}.inv_freq", None),
        Rule("image_newline", "layout.newline", Unsqueeze()),
        Rule("vision.pos_embed", "encoder.position", Squeeze()),
        Rule("vision.{rest}", "encoder.{rest}"),
        Rule("language.embed.weight", "embed.weight"),
        Rule(MLP + "experts.{expert}.gate.weight", "layers.{layer}.experts.gate_up", Stack("expert"), (0, 2)),
        Rule(MLP + "experts.{expert}.up.weight", "layers.{layer}.experts.gate_up", Stack("expert"), (1, 2)),
        Rule(MLP + "experts.{expert}.down.weight", "layers.{layer}.experts.down", Stack("expert")),
        Rule("language.layers.{layer}.bias", "layers.{layer}.bias"),
    ]
)

sizes = st.fixed_dictionaries(
    {name: st.integers(1, 4) for name in ("layers", "experts", "hidden", "width")}, optional={"seed": st.integers(0, 9)}
)


def official(
    *,
    layers: int = 2,
    experts: int = 3,
    hidden: int = 2,
    width: int = 4,
    seed: int = 0,
    dtype: torch.dtype | None = None,
) -> dict[str, Tensor]:
    """Official tensors of the small model, all numbers different."""
    shapes: dict[str, tuple[int, ...]] = {
        "image_newline": (width,),
        "vision.pos_embed": (1, 3, width),
        "vision.blocks.0.norm.weight": (width,),
        "vision.scale": (),
        "language.embed.weight": (5, width),
    }
    for layer in range(layers):
        shapes[f"language.layers.{layer}.bias"] = (width,)
        for expert in range(experts):
            name = f"language.layers.{layer}.mlp.experts.{expert}"
            shapes |= {f"{name}.gate.weight": (hidden, width), f"{name}.up.weight": (hidden, width)}
            shapes[f"{name}.down.weight"] = (width, hidden)
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator).to(dtype or torch.float32) for name, shape in shapes.items()}


class Holder(nn.Module):
    """Module whose parameters, and buffers named `bias`, have the dotted names and shapes that are given."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        for name, tensor in tensors.items():
            *path, last = name.split(".")
            module: nn.Module = self
            for step in path:
                if not hasattr(module, step):
                    module.add_module(step, nn.Module())
                module = module.get_submodule(step)
            if last == "bias":
                module.register_buffer(last, torch.empty_like(tensor))
            else:
                module.register_parameter(last, nn.Parameter(torch.empty_like(tensor)))


def on_meta(theirs: dict[str, Tensor], keymap: KeyMap = KEYMAP) -> Holder:
    """The small model without numbers."""
    return Holder({name: tensor.to("meta") for name, tensor in keymap.from_theirs(theirs).items()})


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    """Whether names, dtypes and all bits are the same."""
    return left.keys() == right.keys() and all(
        left[name].dtype == right[name].dtype and torch.equal(left[name], right[name]) for name in left
    )
