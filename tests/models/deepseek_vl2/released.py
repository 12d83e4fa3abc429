"""The released config.json files, with what they say and without what they leave out."""

from typing import Any

RESOLUTIONS = [
    *([384, 384], [384, 768], [768, 384], [384, 1152], [1152, 384], [384, 1536], [1536, 384], [768, 768]),
    *([384, 1920], [1920, 384], [384, 2304], [2304, 384], [768, 1152], [1152, 768], [384, 2688], [2688, 384]),
    *([384, 3072], [3072, 384], [768, 1536], [1536, 768], [384, 3456], [3456, 384], [1152, 1152]),
]


def released(language: dict[str, Any], **projector: Any) -> dict[str, Any]:
    """A released file; what the published ones leave out is left out here."""
    return {
        "candidate_resolutions": RESOLUTIONS,
        "global_view_pos": "head",
        "language_config": {
            "architectures": ["DeepseekV2ForCausalLM"],
            "auto_map": {"AutoConfig": "configuration_deepseek.DeepseekV2Config"},
            "model_type": "deepseek_v2",
            "torch_dtype": "bfloat16",
            "lm_head": True,
            "rm_head": False,
            "max_position_embeddings": 4096,
            "n_shared_experts": 2,
            "num_experts_per_tok": 6,
            "first_k_dense_replace": 1,
            "n_group": 1,
            "topk_group": 1,
            "q_lora_rank": None,
            **language,
        },
        "model_type": "deepseek_vl_v2",
        "projector_config": {"model_type": "mlp_projector", **projector},
        "tile_tag": "2D",
        "torch_dtype": "bfloat16",
        "transformers_version": "4.38.2",
        "vision_config": {
            "layers": 27,
            "mlp_ratio": 3.7362,
            "model_name": "siglip_so400m_patch14_384",
            "model_type": "vision",
            "patch_size": 14,
            "width": 1152,
        },
    }


TINY = released(
    {
        "bos_token_id": 0,
        "eos_token_id": 1,
        "hidden_size": 1280,
        "intermediate_size": 6848,
        "kv_lora_rank": None,
        "moe_intermediate_size": 896,
        "n_routed_experts": 64,
        "num_attention_heads": 10,
        "num_hidden_layers": 12,
        "num_key_value_heads": 10,
        "qk_nope_head_dim": 0,
        "qk_rope_head_dim": 0,
        "topk_method": "greedy",
        "use_mla": False,
        "v_head_dim": 0,
        "vocab_size": 129280,
    },
    n_embed=1280,
)
SMALL = released(
    {
        "hidden_size": 2048,
        "intermediate_size": 10944,
        "kv_lora_rank": 512,
        "moe_intermediate_size": 1408,
        "n_routed_experts": 64,
        "num_attention_heads": 16,
        "num_hidden_layers": 27,
        "num_key_value_heads": 16,
        "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64,
        "topk_method": "greedy",
        "v_head_dim": 128,
    }
)
BASE = released(
    {
        "hidden_size": 2560,
        "intermediate_size": 12288,
        "kv_lora_rank": 512,
        "moe_intermediate_size": 1536,
        "n_routed_experts": 72,
        "norm_topk_prob": True,
        "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64,
        "routed_scaling_factor": 2.0,
        "scoring_func": "sigmoid",
        "topk_method": "noaux_tc",
        "v_head_dim": 128,
        "vocab_size": 129280,
    },
    n_embed=2560,
)
