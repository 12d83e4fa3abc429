"""Named configs: the three released models, and small ones for tests, docs and demonstrations."""

from __future__ import annotations

from types import MappingProxyType

from vlkit.decoders import DeepseekV2Config, MHAConfig, MLAConfig, MoEConfig
from vlkit.encoders import SigLIPConfig
from vlkit.layouts import Layout1DConfig, Layout2DConfig
from vlkit.models.deepseek_vl2.config import DeepseekVLV2Config
from vlkit.projectors import DownsampleMlpGeluConfig
from vlkit.tiling import official_resolutions


def _released(decoder: DeepseekV2Config) -> DeepseekVLV2Config:
    return DeepseekVLV2Config(
        encoder=SigLIPConfig(),
        projector=DownsampleMlpGeluConfig(),
        layout=Layout2DConfig(),
        decoder=decoder,
        candidate_resolutions=official_resolutions(384),
    )


TINY = _released(
    DeepseekV2Config(
        vocab_size=129280,
        hidden_size=1280,
        num_hidden_layers=12,
        intermediate_size=6848,
        attention=MHAConfig(num_attention_heads=10),
        moe=MoEConfig(
            n_routed_experts=64,
            num_experts_per_tok=6,
            moe_intermediate_size=896,
            n_shared_experts=2,
            first_k_dense_replace=1,
        ),
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
)

SMALL = _released(
    DeepseekV2Config(
        vocab_size=102400,
        hidden_size=2048,
        num_hidden_layers=27,
        intermediate_size=10944,
        attention=MLAConfig(num_attention_heads=16),
        moe=MoEConfig(
            n_routed_experts=64,
            num_experts_per_tok=6,
            moe_intermediate_size=1408,
            n_shared_experts=2,
            first_k_dense_replace=1,
        ),
        bos_token_id=100000,
        eos_token_id=100001,
        pad_token_id=100002,
    )
)

BASE = _released(
    DeepseekV2Config(
        vocab_size=129280,
        hidden_size=2560,
        num_hidden_layers=30,
        intermediate_size=12288,
        attention=MLAConfig(num_attention_heads=32),
        moe=MoEConfig(
            n_routed_experts=72,
            num_experts_per_tok=6,
            moe_intermediate_size=1536,
            n_shared_experts=2,
            first_k_dense_replace=1,
            scoring_func="sigmoid",
            topk_method="noaux_tc",
            norm_topk_prob=True,
            routed_scaling_factor=2.0,
        ),
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
)

MINI = DeepseekVLV2Config(
    encoder=SigLIPConfig(image_size=56, patch_size=7, width=64, layers=2, heads=4, mlp_ratio=3),
    projector=DownsampleMlpGeluConfig(),
    layout=Layout2DConfig(),
    decoder=DeepseekV2Config(
        vocab_size=640,
        hidden_size=96,
        num_hidden_layers=3,
        intermediate_size=192,
        attention=MLAConfig(
            num_attention_heads=4, kv_lora_rank=32, qk_nope_head_dim=16, qk_rope_head_dim=8, v_head_dim=16
        ),
        moe=MoEConfig(
            n_routed_experts=8,
            num_experts_per_tok=2,
            moe_intermediate_size=48,
            n_shared_experts=1,
            first_k_dense_replace=1,
            scoring_func="sigmoid",
            topk_method="noaux_tc",
            norm_topk_prob=True,
        ),
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    ),
    candidate_resolutions=official_resolutions(56),
)

MINI_DENSE = MINI.replace(
    layout=Layout1DConfig(),
    decoder=MINI.decoder.replace(attention=MHAConfig(num_attention_heads=4, num_key_value_heads=2), moe=None),
)

presets = MappingProxyType(
    {
        "deepseek-vl2-tiny": TINY,
        "deepseek-vl2-small": SMALL,
        "deepseek-vl2": BASE,
        "mini": MINI,
        "mini-dense": MINI_DENSE,
    }
)
"""Configs by name. `mini` has every kind of part at toy size (latent attention, experts without auxiliary loss, 2D
layout), `mini-dense` grouped-query attention, dense layers and the 1D layout."""
