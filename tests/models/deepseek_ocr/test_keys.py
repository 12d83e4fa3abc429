"""Names and shapes of the released checkpoint, written down anew from their description, against the key map."""

from collections.abc import Iterator
from math import prod

import pytest
import torch
from hypothesis import given

import vlkit
from tests.models.deepseek_ocr.drawn import small_ocr_configs
from tests.models.deepseek_vl2.test_keys import gated, linear, norm
from tests.small_models import draw_weights
from tests.strategies import seeds
from vlkit.checkpoint import KeyMap, named_tensors
from vlkit.errors import CheckpointError
from vlkit.models.deepseek_ocr.config import DeepseekOCRConfig
from vlkit.models.deepseek_ocr.family import DEEPSEEK_OCR
from vlkit.models.deepseek_ocr.keys import KEYMAP, TIED_KEYMAP

Named = Iterator[tuple[str, tuple[int, ...]]]
PARAMETERS, TENSORS = 3_336_106_240, 2_710
WIDTH, VOCABULARY = 1280, 129280


def sam() -> Named:
    """SAM's ViT-B for 1024 pixels, its neck, and the two convolutions behind it."""
    name, width = "model.sam_model", 768
    yield f"{name}.pos_embed", (1, 64, 64, width)
    yield f"{name}.patch_embed.proj.weight", (width, 3, 16, 16)
    yield f"{name}.patch_embed.proj.bias", (width,)
    for number in range(12):
        block, rows = f"{name}.blocks.{number}", 127 if number in (2, 5, 8, 11) else 27
        yield from norm(f"{block}.norm1", width)
        yield f"{block}.attn.rel_pos_h", (rows, 64)
        yield f"{block}.attn.rel_pos_w", (rows, 64)
        yield from linear(f"{block}.attn.qkv", 3 * width, width)
        yield from linear(f"{block}.attn.proj", width, width)
        yield from norm(f"{block}.norm2", width)
        yield from linear(f"{block}.mlp.lin1", 4 * width, width)
        yield from linear(f"{block}.mlp.lin2", width, 4 * width)
    yield f"{name}.neck.0.weight", (256, width, 1, 1)
    yield from norm(f"{name}.neck.1", 256)
    yield f"{name}.neck.2.weight", (256, 256, 3, 3)
    yield from norm(f"{name}.neck.3", 256)
    yield f"{name}.net_2.weight", (512, 256, 3, 3)
    yield f"{name}.net_3.weight", (1024, 512, 3, 3)


def clip() -> Named:
    """CLIP's ViT-L/14 without its last norm; its patches are never run."""
    name, width = "model.vision_model", 1024
    yield f"{name}.embeddings.class_embedding", (width,)
    yield f"{name}.embeddings.patch_embedding.weight", (width, 3, 14, 14)
    yield f"{name}.embeddings.position_embedding.weight", (257, width)
    yield from norm(f"{name}.pre_layrnorm", width)
    for layer in (f"{name}.transformer.layers.{number}" for number in range(24)):
        yield from norm(f"{layer}.layer_norm1", width)
        yield from linear(f"{layer}.self_attn.qkv_proj", 3 * width, width)
        yield from linear(f"{layer}.self_attn.out_proj", width, width)
        yield from norm(f"{layer}.layer_norm2", width)
        yield from linear(f"{layer}.mlp.fc1", 4 * width, width)
        yield from linear(f"{layer}.mlp.fc2", width, 4 * width)


def language() -> Named:
    yield "model.embed_tokens.weight", (VOCABULARY, WIDTH)
    for number in range(12):
        layer = f"model.layers.{number}"
        yield f"{layer}.input_layernorm.weight", (WIDTH,)
        yield f"{layer}.post_attention_layernorm.weight", (WIDTH,)
        for projection in "qkvo":
            yield f"{layer}.self_attn.{projection}_proj.weight", (WIDTH, WIDTH)
        if number == 0:
            yield from gated(f"{layer}.mlp", 6848, WIDTH)
            continue
        yield f"{layer}.mlp.gate.weight", (64, WIDTH)
        for expert in range(64):
            yield from gated(f"{layer}.mlp.experts.{expert}", 896, WIDTH)
        yield from gated(f"{layer}.mlp.shared_experts", 2 * 896, WIDTH)
    yield "model.norm.weight", (WIDTH,)
    yield "lm_head.weight", (VOCABULARY, WIDTH)


def official() -> Named:
    """Every tensor of the released checkpoint."""
    yield from sam()
    yield from clip()
    yield from linear("model.projector.layers", WIDTH, 2048)
    yield "model.image_newline", (WIDTH,)
    yield "model.view_seperator", (WIDTH,)
    yield from language()


def shapes_of(config: DeepseekOCRConfig) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in named_tensors(vlkit.build(config, device="meta")).items()}


def test_the_released_checkpoint_is_the_preset_tensor_by_tensor() -> None:
    tensors = list(official())
    theirs, ours = dict(tensors), shapes_of(vlkit.presets["deepseek-ocr"])
    assert len(theirs) == len(tensors) == TENSORS
    assert KEYMAP.their_names(ours) == theirs
    assert KEYMAP.our_names(theirs) == ours
    filled = [slot.theirs for slots in KEYMAP.plan(theirs, ours).values() for slot in slots]
    assert sorted(filled) == sorted(theirs)
    assert sum(map(prod, theirs.values())) == sum(map(prod, ours.values())) == PARAMETERS
    assert vlkit.describe("deepseek-ocr").parameters.total == PARAMETERS


@given(small_ocr_configs(), seeds)
def test_tensors_go_there_and_back(config: DeepseekOCRConfig, seed: int) -> None:
    model = vlkit.build(config)
    draw_weights(model, seed)
    keymap = DEEPSEEK_OCR.keymap(config)
    ours = {name: tensor.detach() for name, tensor in named_tensors(model).items()}
    theirs = keymap.to_theirs(ours)
    assert sum(tensor.numel() for tensor in theirs.values()) == sum(tensor.numel() for tensor in ours.values())
    again = keymap.from_theirs(theirs)
    assert again.keys() == ours.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in ours.items())


@pytest.mark.parametrize("keymap", [KEYMAP, TIED_KEYMAP])
def test_buffers_of_old_checkpoints_are_left_out(keymap: KeyMap) -> None:
    ours = shapes_of(vlkit.presets["mini-ocr"])
    if keymap is TIED_KEYMAP:
        del ours["decoder.lm_head.weight"]
    theirs = keymap.their_names(ours) | {
        "model.vision_model.embeddings.position_ids": (1, 17),
        "model.layers.0.self_attn.rotary_emb.inv_freq": (8,),
    }
    assert keymap.plan(theirs, ours).keys() == ours.keys()


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("model.view_separator", "model.view_seperator"),
        ("model.vision_model.pre_layernorm.bias", "model.vision_model.pre_layrnorm.bias"),
        ("sam_model.pos_embed", "model.sam_model.pos_embed"),
    ],
)
def test_a_wrong_name_is_reported_with_the_nearest(wrong: str, right: str) -> None:
    ours = shapes_of(vlkit.presets["mini-ocr"])
    theirs = KEYMAP.their_names(ours)
    theirs[wrong] = theirs.pop(right)
    with pytest.raises(CheckpointError, match=f"'{wrong}'; the nearest expected name is '{right}'"):
        KEYMAP.plan(theirs, ours)
