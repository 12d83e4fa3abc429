"""The encoders of DeepSeek-OCR and DeepSeek-VL against the official implementation (golden c1, c2, c6)."""

from typing import Any

import pytest
import torch
from einops import rearrange
from torch import Tensor, nn

from tests.parity import GOLDEN, numbers, settings, weights
from tests.tolerances import STAGE
from vlkit.encoders import Clip, ClipConfig, Hybrid, HybridConfig, Sam, SamConfig, SigLIPConfig


def present(case: str, stage: str) -> list[Any]:
    """Rest of the names of the stored tensors that begin with `stage`; the fuller data alone has some cases."""
    if not (GOLDEN / case).is_dir():
        return [pytest.param("", marks=pytest.mark.skip(f"only the fuller golden data has {case}: set VLKIT_GOLDEN"))]
    return sorted(name.removeprefix(stage) for name in numbers(case, "") if name.startswith(stage))


def assert_official(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=STAGE * float(expected.abs().max()))


def watch(module: nn.Module) -> list[Tensor]:
    """Outputs of a module, once it has run."""
    seen: list[Tensor] = []
    module.register_forward_hook(lambda module, inputs, output: seen.append(output))
    return seen


def official_sam(config: dict[str, Any], **fields: Any) -> SamConfig:
    """Config in the field names of the official SAM, in DeepSeek-OCR or in DeepSeek-VL."""
    names = {
        "img_size": "image_size",
        "patch_size": "patch_size",
        "embed_dim": "width",
        "width": "width",
        "depth": "layers",
        "layers": "layers",
        "num_heads": "heads",
        "heads": "heads",
        "mlp_ratio": "mlp_ratio",
        "out_chans": "neck_width",
        "prompt_embed_dim": "neck_width",
        "window_size": "window_size",
        "global_attn_indexes": "global_layers",
        "downsample_channels": "downsample_channels",
    }
    return SamConfig(**{names[name]: value for name, value in config.items() if name in names}, **fields)


@pytest.fixture
def sam() -> Sam:
    encoder = Sam(official_sam(settings("c1_sam", "")))
    encoder.load_state_dict(weights("c1_sam", ""))
    return encoder


@pytest.mark.parametrize("size", present("c1_sam", "images."))
def test_sam_s_features_are_the_official_ones(sam: Sam, size: str) -> None:
    tensors = numbers("c1_sam", "")
    blocks = [watch(block) for block in sam.blocks]
    stages = {name: watch(sam.get_submodule(name)) for name in ("neck", "net_2", "net_3")}
    sam(tensors[f"images.{size}"].float())
    found = {f"block_output.{layer}.{size}": output for layer, (output,) in enumerate(blocks)}
    found |= {f"{name}.{size}": rearrange(output, "n y x w -> n w y x") for name, (output,) in stages.items()}
    compared = sorted(found.keys() & tensors.keys())
    assert {f"block_output.0.{size}", f"block_output.1.{size}", f"net_3.{size}"} <= set(compared)
    for name in compared:
        assert_official(found[name], tensors[name])


@pytest.mark.parametrize("size", present("c1_sam", "patch_embed."))
def test_sam_s_features_for_patches_are_the_official_ones(sam: Sam, size: str) -> None:
    tensors = numbers("c1_sam", "")
    patches, neck = tensors[f"patch_embed.{size}"], watch(sam.neck)
    sam.patch_embed.register_forward_hook(lambda *_: patches)
    features = sam(torch.zeros(len(patches), 3, int(size), int(size)))
    assert_official(rearrange(neck[0], "n y x w -> n w y x"), tensors[f"neck.{size}"])
    assert_official(rearrange(features, "n y x w -> n w y x"), tensors[f"net_3.{size}"])


@pytest.fixture
def clip() -> Clip:
    config = settings("c2_clip", "")
    encoder = Clip(
        ClipConfig(
            image_size=config["image_size"],
            patch_size=config["patch_size"],
            width=config["hidden_size"],
            layers=config["num_layers"],
            heads=config["num_attention_heads"],
            mlp_ratio=config["ffn_hidden_size"] / config["hidden_size"],
        )
    )
    names = dict(weights("c2_clip", ""))
    del names["embeddings.position_ids"]
    encoder.load_state_dict(names)
    return encoder


@pytest.mark.parametrize("size", present("c2_clip", "images."))
def test_clip_s_tokens_for_pixels_are_the_official_ones(clip: Clip, size: str) -> None:
    tensors = numbers("c2_clip", "")
    pixels, expected = tensors[f"images.{size}"].float(), tensors[f"layer_output.2.images{size}"]
    assert_official(clip.forward_features(pixels), expected)
    assert_official(clip(pixels).flatten(1, 2), expected[:, 1:])


@pytest.mark.parametrize("name", present("c2_clip", "layer_output."))
def test_clip_s_blocks_are_the_official_ones(clip: Clip, name: str) -> None:
    """For pixels, and for patches that stand in for those of another network."""
    tensors, (layer, source) = numbers("c2_clip", ""), name.split(".")
    outputs = watch(clip.blocks[int(layer)])
    if source.startswith("images"):
        clip(tensors[source.replace("images", "images.")].float())
    else:
        clip.forward_patches(rearrange(tensors[source.replace("patches", "patch_embeds.")], "n w y x -> n y x w"))
    assert_official(outputs[0], tensors[f"layer_output.{name}"])


@pytest.fixture
def hybrid() -> Hybrid:
    config = settings("c6_vl_hybrid", "")
    low, towers = config["siglip"], config["vision"]["params"]
    same = ("image_size", "patch_size", "width", "layers", "heads", "mlp_ratio")
    high = official_sam(
        config["sam"],
        image_size=towers["high_res_cfg"]["image_size"],
        image_mean=towers["high_res_cfg"]["pixel_mean"],
        image_std=towers["high_res_cfg"]["pixel_std"],
    )
    encoder = Hybrid(HybridConfig(high=high, low=SigLIPConfig(**{name: low[name] for name in same}, activation="gelu")))
    prefixes = {
        "vision_tower_high.vision_tower.downsamples.0": "high.net_2",
        "vision_tower_high.vision_tower.downsamples.1": "high.net_3",
        "vision_tower_high.vision_tower": "high",
        "vision_tower_low.vision_tower": "low",
    }
    tensors = {}
    for name, tensor in weights("c6_vl_hybrid", "").items():
        part, _, rest = name.partition(".")
        theirs = next((prefix for prefix in prefixes if rest.startswith(prefix)), "")
        if part == "vision_model":
            tensors[prefixes.get(theirs, "") + rest.removeprefix(theirs)] = tensor
    encoder.load_state_dict(tensors)
    return encoder


def test_hybrid_features_are_the_official_ones(hybrid: Hybrid) -> None:
    tensors = numbers("c6_vl_hybrid", "")
    high, low = hybrid(tensors["images"]).flatten(1, 2).split(24, dim=-1)
    assert_official(high, tensors["high_features"])
    assert_official(low, tensors["low_features"])


def test_hybrid_s_stages_are_the_official_ones(hybrid: Hybrid) -> None:
    """As far as this copy of the golden data holds them."""
    tensors = numbers("c6_vl_hybrid", "")
    names = {"high.neck": "high.neck", "high.neck_hd": "high.neck_hd", "high.output": "high"}
    stages = {stage: watch(hybrid.get_submodule(name)) for stage, name in names.items()}
    blocks = {
        f"{tower}.block_output.{layer}": watch(block)
        for tower in ("high", "low")
        for layer, block in enumerate(hybrid.get_submodule(tower).get_submodule("blocks").children())
    }
    hybrid(tensors["images"])
    found = {name: outputs[0] for name, outputs in blocks.items()}
    found |= {name: rearrange(outputs[0], "n y x w -> n w y x") for name, outputs in stages.items()}
    found["low_image"] = hybrid.low_picture(tensors["images"])
    for name in found.keys() & tensors.keys():
        assert_official(found[name], tensors[name])
