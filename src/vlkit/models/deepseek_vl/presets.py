"""Named configs: the two released models, and a small one for tests, docs and demonstrations."""

from __future__ import annotations

from types import MappingProxyType

from vlkit.decoders import DeepseekV2Config
from vlkit.encoders import HybridConfig, SamConfig, SigLIPConfig
from vlkit.models.deepseek_vl.config import DeepseekVLConfig
from vlkit.projectors import LowHighHybridSplitMlpGeluConfig, MlpGeluConfig

SMALL = DeepseekVLConfig(
    encoder=HybridConfig().low,
    projector=MlpGeluConfig(),
    decoder=DeepseekV2Config.dense(
        vocab_size=102400,
        hidden_size=2048,
        num_hidden_layers=24,
        intermediate_size=5632,
        num_attention_heads=16,
        max_position_embeddings=16384,
        bos_token_id=100000,
        eos_token_id=100001,
    ),
    candidate_resolutions=((384, 384),),
)

LARGE = DeepseekVLConfig(
    encoder=HybridConfig(),
    projector=LowHighHybridSplitMlpGeluConfig(),
    decoder=DeepseekV2Config.dense(
        vocab_size=102400,
        num_hidden_layers=30,
        max_position_embeddings=16384,
        bos_token_id=100000,
        eos_token_id=100001,
    ),
    candidate_resolutions=((1024, 1024),),
)

MINI = DeepseekVLConfig(
    encoder=HybridConfig(
        high=SamConfig(
            image_size=64,
            patch_size=8,
            width=32,
            layers=3,
            heads=4,
            mlp_ratio=2,
            window_size=3,
            global_layers=(1, 2),
            neck_width=16,
            downsample_channels=(24, 32),
        ),
        low=SigLIPConfig(
            image_size=32, patch_size=8, width=32, layers=2, heads=4, mlp_ratio=2, pool="none", activation="gelu"
        ),
        neck_grid=16,
    ),
    projector=LowHighHybridSplitMlpGeluConfig(),
    decoder=DeepseekV2Config.dense(
        vocab_size=640,
        hidden_size=96,
        num_hidden_layers=3,
        intermediate_size=192,
        num_attention_heads=4,
        num_key_value_heads=2,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    ),
    candidate_resolutions=((64, 64),),
)

presets = MappingProxyType({"deepseek-vl-1.3b": SMALL, "deepseek-vl-7b": LARGE, "mini-vl": MINI})
"""Configs by name. `mini-vl` has the two towers of the larger model at toy size, and grouped-query attention."""
