"""An encoder of timm, a projector of one's own, a decoder of transformers: a toy that learns three words.

Needs `pip install "vlkit[timm,transformers]"`. All weights begin at random.
"""

from typing import Literal

import torch
from einops import rearrange
from PIL import Image
from torch import Tensor, nn

import vlkit
from vlkit.notation import Grid
from vlkit.projectors import Projector, ProjectorConfig, projectors

COLOURS = {"red": (200, 40, 40), "green": (40, 160, 60), "blue": (50, 70, 200)}


class GatedMergeConfig(ProjectorConfig):
    """Merges 2 x 2 features, then a linear layer with a gate."""

    type: Literal["gated_merge"] = "gated_merge"

    @property
    def merge(self) -> int:
        return 2

    def grid_out(self, grid: Grid) -> Grid:
        return Grid(grid.rows // 2, grid.cols // 2)


@projectors.register(GatedMergeConfig)
class GatedMerge(Projector):
    """Opens or closes every number of its output."""

    def __init__(self, config: GatedMergeConfig, *, in_dim: int, out_dim: int) -> None:
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        self.norm = nn.LayerNorm(4 * in_dim)
        self.up = nn.Linear(4 * in_dim, 2 * out_dim)

    def forward(self, x_NYXW: Tensor) -> Tensor:
        self.require_width(x_NYXW)
        blocks = rearrange(x_NYXW, "n (y a) (x b) w -> n y x (a b w)", a=2, b=2)
        value, gate = self.up(self.norm(blocks)).chunk(2, dim=-1)
        return value * gate.sigmoid()


config = vlkit.VLMConfig(
    encoder={"type": "timm", "model": "test_vit", "image_size": 96},
    projector=GatedMergeConfig(),
    layout="2D",
    decoder={
        "type": "hf_causal_lm",
        "config": {
            "model_type": "qwen3",
            "vocab_size": 640,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "eos_token_id": 1,
            "pad_token_id": 2,
        },
    },
    candidate_resolutions=((96, 96),),
)
torch.manual_seed(0)
model = vlkit.build(config)
parts = (model.encoder.model, model.projector, model.layout, model.decoder.lm)
print(" -> ".join(type(part).__name__ for part in parts))

processor = vlkit.DeepseekVLV2Processor.for_model(config)


def conversation(answer: str = "") -> list[dict[str, str]]:
    """The question, with its answer or with room for one."""
    return [
        {"role": "<|User|>", "content": "<image>\nWhich colour?"},
        {"role": "<|Assistant|>", "content": answer},
    ]


lessons = processor(
    conversations=[conversation(name) for name in COLOURS],
    images=[[Image.new("RGB", (96, 96), colour)] for colour in COLOURS.values()],
    inference_mode=False,
)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for step in range(41):
    loss = model.train()(**lessons).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    if step % 10 == 0:
        print(f"step {step:2}: loss {loss.item():.3f}")

model.eval()
for colour in [(220, 60, 50), (60, 180, 80), (70, 80, 220)]:
    picture = Image.new("RGB", (96, 96), colour)
    question = processor(conversations=conversation(), images=[picture])
    ids = model.generate(**question, max_new_tokens=8)
    print(colour, "is", processor.decode(ids[0], skip_special_tokens=True))
