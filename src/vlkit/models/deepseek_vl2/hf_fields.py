"""Fields of the official config classes with their defaults, as data."""

from __future__ import annotations

from typing import Any

TOP_DEFAULTS: dict[str, Any] = {
    "model_type": "deepseek_vl_v2",
    "tile_tag": "tile_tag",
    "global_view_pos": "head",
    "candidate_resolutions": [[384, 384]],
    "vision_config": {},
    "projector_config": {},
    "language_config": {},
}
"""Whole model."""

VISION_DEFAULTS: dict[str, Any] = {
    "image_size": 384,
    "patch_size": 16,
    "width": 1024,
    "layers": 24,
    "heads": 16,
    "mlp_ratio": 4,
    "global_pool": "map",
    "ignore_head": True,
    "class_token": False,
    "use_checkpoint": False,
    "deterministic": False,
}
"""Vision tower."""

PROJECTOR_DEFAULTS: dict[str, Any] = {
    "projector_type": "downsample_mlp_gelu",
    "input_dim": 1152,
    "n_embed": 2048,
    "depth": 2,
    "mlp_ratio": 1,
    "downsample_ratio": 2,
    "token_pooling": False,
}
"""Projector."""

LANGUAGE_DEFAULTS: dict[str, Any] = {
    "vocab_size": 102400,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "moe_intermediate_size": 1407,
    "num_hidden_layers": 30,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "n_shared_experts": None,
    "n_routed_experts": None,
    "routed_scaling_factor": 1.0,
    "kv_lora_rank": 512,
    "q_lora_rank": 1536,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "qk_nope_head_dim": 128,
    "topk_method": "gready",
    "n_group": None,
    "topk_group": None,
    "num_experts_per_tok": None,
    "moe_layer_freq": 1,
    "first_k_dense_replace": 0,
    "norm_topk_prob": False,
    "scoring_func": "softmax",
    "aux_loss_alpha": 0.001,
    "seq_aux": True,
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
    "use_mla": True,
    "lm_head": True,
    "rm_head": False,
}
"""Decoder; the ellipsis stands for the special tokens, whose default depends on the vocabulary."""

UNUSED = frozenset(
    {
        "_name_or_path",
        "architectures",
        "auto_map",
        "deterministic",
        "dtype",
        "ep_size",
        "model_name",
        "model_type",
        "num_classes",
        "num_recomputing_layers",
        "pretraining_tp",
        "tie_word_embeddings",
        "torch_dtype",
        "transformers_version",
        "use_cache",
        "weight_init",
    }
)
"""Keys that official files hold and that have no effect on what the model computes."""
