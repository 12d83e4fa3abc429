"""Named configs: the released model, and a small one for tests, docs and demonstrations."""

from __future__ import annotations

from types import MappingProxyType

from vlkit.decoders import DecoderConfig, DeepseekV2Config, MHAConfig, MoEConfig
from vlkit.encoders import ClipConfig, DeepEncoderConfig, SamConfig
from vlkit.layouts import TilesFirstConfig
from vlkit.models.deepseek_ocr.config import DeepseekOCRConfig
from vlkit.models.deepseek_ocr.modes import DEFAULT, MODES
from vlkit.models.deepseek_vl2.presets import TINY
from vlkit.projectors import LinearConfig


def _of(encoder: DeepEncoderConfig, decoder: DecoderConfig) -> DeepseekOCRConfig:
    return DeepseekOCRConfig(
        encoder=encoder,
        projector=LinearConfig(),
        layout=TilesFirstConfig(),
        decoder=decoder,
        **MODES[DEFAULT].fields,
    )


RELEASED = _of(DeepEncoderConfig(), TINY.decoder.replace(max_position_embeddings=8192))

MINI = _of(
    DeepEncoderConfig(
        sam=SamConfig(
            patch_size=64,
            width=24,
            layers=2,
            heads=2,
            window_size=5,
            global_layers=(1,),
            neck_width=16,
            downsample_channels=(24, 40),
        ),
        clip=ClipConfig(image_size=56, width=40, layers=1, heads=2),
    ),
    DeepseekV2Config(
        vocab_size=640,
        hidden_size=64,
        num_hidden_layers=3,
        intermediate_size=128,
        max_position_embeddings=8192,
        attention=MHAConfig(num_attention_heads=4),
        moe=MoEConfig(
            n_routed_experts=8,
            num_experts_per_tok=2,
            moe_intermediate_size=32,
            n_shared_experts=1,
            first_k_dense_replace=1,
        ),
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    ),
)

presets = MappingProxyType({"deepseek-ocr": RELEASED, "mini-ocr": MINI})
"""Configs by name, in the mode "gundam". `mini-ocr` has every part at toy size; its patches are four times as wide, so
that views of the official sizes become a sixteenth of the tokens."""
