"""Whole configs put together from parts drawn at random, whether they fit each other or not."""

from typing import Any

from hypothesis import strategies as st

from tests.strategies import configs
from vlkit.config import Config
from vlkit.cropping import CropAlways, CropAtMost, CropFewImages, CropLargeImages, CropNever, Cropping
from vlkit.decoders import DecoderConfig, DeepseekV2Config, MHAConfig, MLAConfig, MoEConfig, decoders
from vlkit.encoders import encoders
from vlkit.layouts import layouts
from vlkit.projectors import ProjectorConfig, projectors

VOCABULARY = 32
LLAMA = {
    "model_type": "llama",
    "vocab_size": VOCABULARY,
    "intermediate_size": 10,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 4,
    "max_position_embeddings": 4096,
}
few = st.integers(1, 3)
widths = st.sampled_from([4, 6, 8, 12])

_sam: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "type": st.just("sam"),
        "image_size": st.sampled_from([8, 16, 24]),
        "patch_size": st.sampled_from([2, 4]),
        "width": widths,
        "layers": st.just(2),
        "heads": st.sampled_from([1, 2]),
        "mlp_ratio": st.just(2.0),
        "window_size": st.integers(1, 4),
        "global_layers": st.sampled_from([[], [0], [1], [0, 1]]),
        "neck_width": widths,
        "downsample_channels": st.lists(widths, max_size=2),
    }
)
_siglip: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "type": st.just("siglip"),
        "image_size": st.sampled_from([8, 12, 16, [12, 8]]),
        "patch_size": few,
        "stem": st.sampled_from([[], [], [], [4], [6, 4]]),
        "width": widths,
        "layers": few,
        "heads": st.sampled_from([1, 2]),
        "mlp_ratio": st.just(2.0),
        "class_token": st.booleans(),
        "select_layer": st.sampled_from([None, 0, -1, 5]),
    }
)
_clip: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "type": st.just("clip"),
        "image_size": st.sampled_from([8, 12, 16]),
        "patch_size": st.sampled_from([2, 4]),
        "width": widths,
        "layers": few,
        "heads": st.sampled_from([1, 2]),
        "mlp_ratio": st.just(2.0),
        "select_layer": st.sampled_from([-1, -2, 0]),
        "class_token": st.sampled_from(["drop", "keep"]),
    }
)
_dinov2 = st.fixed_dictionaries(
    {
        "type": st.just("dinov2"),
        "image_size": st.sampled_from([8, 12, [12, 8]]),
        "patch_size": st.sampled_from([2, 4]),
        "width": widths,
        "layers": few,
        "heads": st.sampled_from([1, 2]),
        "mlp": st.sampled_from(["gelu", "swiglu"]),
        "registers": st.integers(0, 2),
    }
)


@st.composite
def _deep_encoder(draw: st.DrawFn) -> dict[str, Any]:
    """SAM and CLIP, mostly with the width between them that both have."""
    fields: dict[str, Any] = {"type": "deep_encoder", "sam": draw(_sam), "clip": draw(_clip)}
    if draw(st.integers(0, 3)):
        fields["clip"]["width"] = [fields["sam"]["neck_width"], *fields["sam"]["downsample_channels"]][-1]
    return fields


@st.composite
def _hybrid(draw: st.DrawFn) -> dict[str, Any]:
    """SAM and SigLIP, mostly with the same grid."""
    high, grid = draw(_sam), draw(st.sampled_from([4, 8, 16]))
    low = draw(_siglip)
    if draw(st.integers(0, 3)):
        high["global_layers"] = high["global_layers"] or [0]
        low["image_size"] = -(-grid // 2 ** len(high["downsample_channels"])) * low["patch_size"]
        low["select_layer"] = None
    return {"type": "hybrid", "high": high, "low": low, "neck_grid": grid}


_timm = st.fixed_dictionaries(
    {
        "type": st.just("timm"),
        "model": st.sampled_from(["test_vit", "test_resnet", "test_convnext"]),
        "image_size": st.sampled_from([64, 96, [96, 64]]),
        "select_layer": st.sampled_from([None, -1, -2]),
    }
)
_hf_vision = st.fixed_dictionaries(
    {
        "type": st.just("hf_vision"),
        "config": st.fixed_dictionaries(
            {
                "model_type": st.sampled_from(["siglip_vision_model", "clip_vision_model"]),
                "hidden_size": widths,
                "intermediate_size": st.just(10),
                "num_hidden_layers": st.integers(1, 2),
                "num_attention_heads": st.sampled_from([1, 2]),
                "image_size": st.just(12),
                "patch_size": st.sampled_from([4, 6]),
            }
        ),
        "image_size": st.sampled_from([12, 24]),
    }
)
ENCODERS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "clip": _clip,
    "deep_encoder": _deep_encoder(),
    "dinov2": _dinov2,
    "hf_vision": _hf_vision,
    "hybrid": _hybrid(),
    "sam": _sam,
    "siglip": _siglip,
    "timm": _timm,
}
"""Fields of encoders by tag; many do not fit each other."""
SUPPLIED = {"supplied"}
"""Tag that stands for a module of one's own, which no config can build."""


def _small(config: Config) -> Config:
    """The config with few layers and narrow ones, so that it is built at once."""
    limits = {"depth": 3, "blocks": 2, "mlp_ratio": 2, "width": 8, "layers": 2}
    fields = type(config).model_fields
    return config.replace(**{name: min(getattr(config, name), most) for name, most in limits.items() if name in fields})


@st.composite
def random_projectors(draw: st.DrawFn) -> ProjectorConfig:
    """Projectors of every kind with any fields."""
    tag = draw(st.sampled_from(sorted(set(projectors) - SUPPLIED)))
    return draw(configs(projectors[tag]).map(_small))  # type: ignore[return-value]


@st.composite
def random_decoders(draw: st.DrawFn) -> DecoderConfig:
    """Decoders of few layers, dense or with experts, latent or not, or one of transformers."""
    if draw(st.integers(0, 3)) == 0:
        return decoders["hf_causal_lm"].model_validate(
            {"config": LLAMA | {"hidden_size": draw(st.sampled_from([8, 12]))}}
        )
    attentions: list[MHAConfig | MLAConfig] = [
        MHAConfig(num_attention_heads=2),
        MHAConfig(num_attention_heads=2, num_key_value_heads=1),
        MLAConfig(num_attention_heads=2, kv_lora_rank=6, qk_nope_head_dim=4, qk_rope_head_dim=2, v_head_dim=4),
    ]
    experts = MoEConfig(n_routed_experts=4, num_experts_per_tok=2, moe_intermediate_size=6, n_shared_experts=1)
    return DeepseekV2Config(
        vocab_size=VOCABULARY,
        hidden_size=draw(st.sampled_from([8, 12])),
        num_hidden_layers=draw(st.integers(1, 2)),
        intermediate_size=10,
        attention=draw(st.sampled_from(attentions)),
        moe=draw(st.sampled_from([None, experts])),
        eos_token_id=1,
        pad_token_id=2,
    )


@st.composite
def random_assemblies(draw: st.DrawFn) -> dict[str, Any]:
    """Fields of a `VLMConfig`: parts of any kind, and tiles and global views that need not be theirs."""
    tag = draw(st.sampled_from(sorted(set(encoders) - SUPPLIED)))
    encoder = draw(ENCODERS[tag])
    size = encoder.get("image_size") or encoder.get("sam", encoder.get("high", {}))["image_size"]
    own = (size, size) if isinstance(size, int) else tuple(size)
    tile = draw(st.sampled_from([own, own, own, (16, 16), (24, 16)]))
    tiles = draw(st.lists(st.tuples(few, few), max_size=3))
    return {
        "encoder": encoder,
        "projector": draw(random_projectors()),
        "layout": draw(st.sampled_from(sorted(layouts)).flatmap(lambda kind: configs(layouts[kind]))),
        "decoder": draw(random_decoders()),
        "candidate_resolutions": [tile, *((across * tile[0], down * tile[1]) for across, down in tiles)],
        "global_view_size": draw(st.sampled_from([None, None, own, (16, 16), (32, 32)])),
        "cropping": draw(random_croppings),
    }


random_croppings = st.builds(
    Cropping,
    policy=st.sampled_from([CropFewImages(), CropAlways(), CropNever(), CropAtMost(tiles=2), CropLargeImages(side=20)]),
    choice=st.sampled_from(["best_resolution", "closest_ratio"]),
    fit=st.sampled_from(["pad", "stretch"]),
)
