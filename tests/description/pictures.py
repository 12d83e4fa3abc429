"""What a processor gives for a prompt with a picture."""

import torch
from torch import Tensor

from vlkit.vlm_config import VLMConfig


def picture_inputs(config: VLMConfig, size: tuple[int, int], *, prompt_tokens: int) -> dict[str, Tensor]:
    """Inputs of one picture behind `prompt_tokens` of text."""
    tiling, tokens = config.tiling(size), config.image_tokens(size)
    across_down = tiling.grid[::-1]
    return {
        "input_ids": torch.ones(1, prompt_tokens + tokens, dtype=torch.long),
        "images": torch.rand(1, 1 + tiling.grid.area, 3, config.tile_size.height, config.tile_size.width),
        "images_seq_mask": torch.arange(prompt_tokens + tokens)[None] >= prompt_tokens,
        "images_spatial_crop": torch.tensor([[across_down]]),
    }
