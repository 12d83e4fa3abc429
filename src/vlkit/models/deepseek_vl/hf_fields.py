"""Fields of the official config classes with their defaults, and the vision towers that they know by name, as data."""

from __future__ import annotations

from typing import Any

TOP_DEFAULTS: dict[str, Any] = {
    "model_type": "multi_modality",
    "vision_config": {},
    "aligner_config": {},
    "language_config": {},
}
"""Whole model."""

SECTION_DEFAULTS: dict[str, Any] = {"cls": "", "params": {}}
"""Vision tower and aligner: the class, and what it is made with."""

TOWER_DEFAULTS: dict[str, Any] = {
    "model_name": "siglip_large_patch16_384",
    "image_size": 336,
    "select_layer": -2,
    "output_dim": 1024,
    "pixel_mean": None,
    "pixel_std": None,
    "ignore_head": True,
}
"""One tower."""

HYBRID_DEFAULTS: dict[str, Any] = {"high_res_cfg": ..., "low_res_cfg": ..., "concat_type": "tuple"}
"""Two towers; the ellipsis stands for what has no default."""

ALIGNER_DEFAULTS: dict[str, Any] = {"projector_type": ..., "input_dim": ..., "n_embed": ..., "depth": 1}
"""Projector."""

LANGUAGE_DEFAULTS: dict[str, Any] = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": None,
    "hidden_act": "silu",
    "max_position_embeddings": 2048,
    "initializer_range": 0.02,
    "rms_norm_eps": 1e-6,
    "pad_token_id": None,
    "bos_token_id": ...,
    "eos_token_id": ...,
    "tie_word_embeddings": False,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "attention_bias": False,
    "attention_dropout": 0.0,
}
"""Decoder, as in transformers 4.38; the ellipsis stands for special tokens, whose default is another vocabulary's."""

UNUSED = frozenset(
    {
        "_attn_implementation",
        "_name_or_path",
        "architectures",
        "auto_map",
        "model_type",
        "pretraining_tp",
        "tie_word_embeddings",
        "torch_dtype",
        "transformers_version",
        "use_cache",
    }
)
"""Keys that official files hold and that have no effect on what the model computes."""

TOWER_UNUSED = frozenset({"ckpt_path", "freeze_high", "freeze_low", "select_feature", "select_layers", "weight_init"})
"""The same for towers: where weights came from, what was trained, and choices that SigLIP and SAM do not have."""

SIGLIP_TOWERS: dict[str, dict[str, Any]] = {
    "siglip_large_patch16_384": {"patch_size": 16, "width": 1024, "layers": 24, "heads": 16, "mlp_ratio": 4.0},
    "siglip_so400m_patch14_384": {"patch_size": 14, "width": 1152, "layers": 27, "heads": 16, "mlp_ratio": 3.7362},
    "siglip_so400m_patch14_224": {"patch_size": 14, "width": 1152, "layers": 27, "heads": 16, "mlp_ratio": 3.7362},
}
"""SigLIP by official name; `image_size` and `select_layer` stand beside the name."""

SAM_TOWERS: dict[str, dict[str, Any]] = {
    "sam_b_downsample": {
        "patch_size": 16,
        "width": 768,
        "layers": 12,
        "heads": 12,
        "mlp_ratio": 4.0,
        "window_size": 14,
        "global_layers": [2, 5, 8, 11],
        "neck_width": 256,
        "downsample_channels": [512, 1024],
    },
}
"""SAM by official name, as fields of `SamConfig`. The others that the official code names end without the convolutions
that bring their grid down to SigLIP's."""
