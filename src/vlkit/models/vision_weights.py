"""Published weights of vision encoders: their names and what they are here.

    keymap = VISION_KEYMAPS["clip-transformers"]
    load_into(encoder, WeightFiles.open(folder), keymap)

What belongs to other parts of the published model, such as a text tower, is left out by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from vlkit.checkpoint.keymap import KeyMap
from vlkit.checkpoint.rules import Rule, Unsqueeze


def fused_qkv(theirs: str, ours: str) -> list[Rule]:
    """Rules for three linear layers `{theirs}.q_proj`, `k_proj` and `v_proj` that are one here."""
    return [
        Rule(f"{theirs}.{name}_proj.{tensor}", f"{ours}.{tensor}", part=(number, 3))
        for tensor in ("weight", "bias")
        for number, name in enumerate("qkv")
    ]


LAYER = "vision_model.encoder.layers.{layer}"
DINOV2_LAYER = "encoder.layer.{layer}"
BESIDE_VISION = [
    Rule("vision_model.embeddings.position_ids", None),
    Rule("text_model.{rest}", None),
    Rule("logit_scale", None),
]

CLIP_TRANSFORMERS = KeyMap(
    [
        *BESIDE_VISION,
        *(Rule(f"{name}_projection.weight", None) for name in ("text", "visual")),
        Rule("vision_model.post_layernorm.{rest}", None),
        *fused_qkv(f"{LAYER}.self_attn", "transformer.layers.{layer}.self_attn.qkv_proj"),
        Rule(f"{LAYER}.{{rest}}", "transformer.layers.{layer}.{rest}"),
        Rule("vision_model.{rest}", "{rest}"),
    ]
)
"""`openai/clip-vit-large-patch14` and its like, for `Clip`, which has no use for the norm of the pooled output."""

SIGLIP_TRANSFORMERS = KeyMap(
    [
        *BESIDE_VISION,
        Rule("logit_bias", None),
        Rule("vision_model.head.{rest}", None),
        Rule("vision_model.embeddings.patch_embedding.{rest}", "patch_embed.proj.{rest}"),
        Rule("vision_model.embeddings.position_embedding.weight", "pos_embed", Unsqueeze()),
        *fused_qkv(f"{LAYER}.self_attn", "blocks.{layer}.attn.qkv"),
        Rule(f"{LAYER}.self_attn.out_proj.{{rest}}", "blocks.{layer}.attn.proj.{rest}"),
        Rule(f"{LAYER}.layer_norm1.{{rest}}", "blocks.{layer}.norm1.{rest}"),
        Rule(f"{LAYER}.layer_norm2.{{rest}}", "blocks.{layer}.norm2.{rest}"),
        Rule(f"{LAYER}.mlp.{{rest}}", "blocks.{layer}.mlp.{rest}"),
        Rule("vision_model.post_layernorm.{rest}", "norm.{rest}"),
    ]
)
"""`google/siglip-so400m-patch14-384` and its like, for `SigLIP` with `pool="none"`: its head is cut otherwise."""

SAM_TRANSFORMERS = KeyMap(
    [
        *(Rule(f"{part}.{{rest}}", None) for part in ("prompt_encoder", "mask_decoder", "shared_image_embedding")),
        Rule("vision_encoder.pos_embed", "pos_embed"),
        Rule("vision_encoder.patch_embed.projection.{rest}", "patch_embed.proj.{rest}"),
        Rule("vision_encoder.layers.{layer}.layer_norm1.{rest}", "blocks.{layer}.norm1.{rest}"),
        Rule("vision_encoder.layers.{layer}.layer_norm2.{rest}", "blocks.{layer}.norm2.{rest}"),
        Rule("vision_encoder.layers.{layer}.{rest}", "blocks.{layer}.{rest}"),
        Rule("vision_encoder.neck.conv1.{rest}", "neck.0.{rest}"),
        Rule("vision_encoder.neck.layer_norm1.{rest}", "neck.1.{rest}"),
        Rule("vision_encoder.neck.conv2.{rest}", "neck.2.{rest}"),
        Rule("vision_encoder.neck.layer_norm2.{rest}", "neck.3.{rest}"),
    ]
)
"""`facebook/sam-vit-base` and its like, for `Sam` with `downsample_channels=()`."""

SAM_ORIGINAL = KeyMap(
    [
        *(Rule(f"{part}.{{rest}}", None) for part in ("prompt_encoder", "mask_decoder")),
        Rule("image_encoder.{rest}", "{rest}"),
    ]
)
"""The names of the `segment_anything` repository, for `Sam` with `downsample_channels=()`."""

DINOV2_META = KeyMap([Rule("mask_token", None), Rule("{rest}", "{rest}")])
"""The files of the `facebookresearch/dinov2` repository, for `Dinov2`; the mask token is for training only."""

DINOV2_TRANSFORMERS = KeyMap(
    [
        Rule("embeddings.mask_token", None),
        Rule("embeddings.position_embeddings", "pos_embed"),
        Rule("embeddings.patch_embeddings.projection.{rest}", "patch_embed.proj.{rest}"),
        Rule("embeddings.cls_token", "cls_token"),
        Rule("embeddings.register_tokens", "register_tokens"),
        *(
            Rule(
                f"{DINOV2_LAYER}.attention.attention.{name}.{tensor}",
                f"blocks.{{layer}}.attn.qkv.{tensor}",
                part=(n, 3),
            )
            for tensor in ("weight", "bias")
            for n, name in enumerate(("query", "key", "value"))
        ),
        Rule(f"{DINOV2_LAYER}.attention.output.dense.{{rest}}", "blocks.{layer}.attn.proj.{rest}"),
        Rule(f"{DINOV2_LAYER}.layer_scale1.lambda1", "blocks.{layer}.ls1.gamma"),
        Rule(f"{DINOV2_LAYER}.layer_scale2.lambda1", "blocks.{layer}.ls2.gamma"),
        Rule(f"{DINOV2_LAYER}.mlp.weights_in.{{rest}}", "blocks.{layer}.mlp.w12.{rest}"),
        Rule(f"{DINOV2_LAYER}.mlp.weights_out.{{rest}}", "blocks.{layer}.mlp.w3.{rest}"),
        Rule(f"{DINOV2_LAYER}.{{rest}}", "blocks.{layer}.{rest}"),
        Rule("layernorm.{rest}", "norm.{rest}"),
    ]
)
"""`facebook/dinov2-large`, `facebook/dinov2-with-registers-large` and their like, for `Dinov2`."""

VISION_KEYMAPS: Mapping[str, KeyMap] = MappingProxyType(
    {
        "clip-transformers": CLIP_TRANSFORMERS,
        "dinov2-meta": DINOV2_META,
        "dinov2-transformers": DINOV2_TRANSFORMERS,
        "sam-original": SAM_ORIGINAL,
        "sam-transformers": SAM_TRANSFORMERS,
        "siglip-timm": KeyMap([Rule("{rest}", "{rest}")]),
        "siglip-transformers": SIGLIP_TRANSFORMERS,
    }
)
"""Key maps by encoder and library that publishes the weights."""
