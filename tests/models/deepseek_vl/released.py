"""The released config.json files, with what they say and without what they leave out."""

from typing import Any

ALIGNER = {"cls": "MlpProjector", "model_type": "aligner"}
TOWER = {"image_size": 384, "model_name": "siglip_large_patch16_384", "select_feature": "same", "select_layer": -1}
HALF = {"pixel_mean": [0.5, 0.5, 0.5], "pixel_std": [0.5, 0.5, 0.5]}
CLIP = {
    "pixel_mean": [0.48145466, 0.4578275, 0.40821073],
    "pixel_std": [0.26862954, 0.26130258, 0.27577711],
}


def released(language: dict[str, Any], vision: dict[str, Any], aligner: dict[str, Any]) -> dict[str, Any]:
    """A released file; what the published ones leave out is left out here."""
    return {
        "_name_or_path": "checkpoint",
        "aligner_config": {**ALIGNER, "params": {"depth": 2, "input_dim": 1024, **aligner}},
        "architectures": ["MultiModalityCausalLM"],
        "language_config": {
            "max_position_embeddings": 16384,
            "model_type": "llama",
            "torch_dtype": "float16",
            "vocab_size": 102400,
            **language,
        },
        "model_type": "multi_modality",
        "torch_dtype": "float16",
        "transformers_version": "4.38.2",
        "vision_config": {"model_type": "vision", **vision},
    }


SMALL = released(
    {
        "hidden_size": 2048,
        "intermediate_size": 5632,
        "num_attention_heads": 16,
        "num_hidden_layers": 24,
        "num_key_value_heads": 16,
    },
    {"cls": "CLIPVisionTower", "params": TOWER},
    {"n_embed": 2048, "projector_type": "mlp_gelu"},
)
LARGE = released(
    {"num_hidden_layers": 30},
    {
        "cls": "HybridVisionTower",
        "params": {
            "concat_type": "tuple",
            "freeze_high": True,
            "freeze_low": True,
            "high_res_cfg": {
                "ckpt_path": "",
                "image_size": 1024,
                "model_name": "sam_b_downsample",
                "output_dim": 1024,
                "select_feature": "same",
                "select_layer": -1,
                **CLIP,
            },
            "low_res_cfg": {"ckpt_path": "", "output_dim": 1024, **TOWER, **HALF},
        },
    },
    {"n_embed": 4096, "projector_type": "low_high_hybrid_split_mlp_gelu"},
)
