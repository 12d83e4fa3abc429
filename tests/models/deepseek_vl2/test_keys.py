"""Names and shapes of the released checkpoints, written down anew from their description, against the key map."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import pytest
import torch
from hypothesis import given

import vlkit
from tests.small_models import random_model, small_configs
from tests.strategies import seeds
from vlkit.checkpoint import KeyMap, named_tensors
from vlkit.decoders import DeepseekV2Config
from vlkit.errors import CheckpointError
from vlkit.models.deepseek_vl2.config import DeepseekVLV2Config
from vlkit.models.deepseek_vl2.keys import KEYMAP, TIED_KEYMAP

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Released:
    """What tells the released language models apart."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    hidden: int
    expert_hidden: int
    experts: int
    latent: bool
    bias: bool
    parameters: int


RELEASED = {
    "deepseek-vl2-tiny": Released(129280, 1280, 12, 10, 6848, 896, 64, False, False, 3_370_501_440),
    "deepseek-vl2-small": Released(102400, 2048, 27, 16, 10944, 1408, 64, True, False, 16_148_349_504),
    "deepseek-vl2": Released(129280, 2560, 30, 32, 12288, 1536, 72, True, True, 27_480_134_248),
}


def linear(name: str, rows: int, cols: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (rows, cols)
    yield f"{name}.bias", (rows,)


def norm(name: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def vision() -> Iterator[tuple[str, tuple[int, ...]]]:
    """so400m-patch14-384 without class token, its unused attention pool included."""
    width, hidden = 1152, 4304
    yield "vision.patch_embed.proj.weight", (width, 3, 14, 14)
    yield "vision.patch_embed.proj.bias", (width,)
    yield "vision.pos_embed", (1, 27 * 27, width)
    for block in (f"vision.blocks.{number}" for number in range(27)):
        yield from norm(f"{block}.norm1", width)
        yield from linear(f"{block}.attn.qkv", 3 * width, width)
        yield from linear(f"{block}.attn.proj", width, width)
        yield from norm(f"{block}.norm2", width)
        yield from linear(f"{block}.mlp.fc1", hidden, width)
        yield from linear(f"{block}.mlp.fc2", width, hidden)
    yield from norm("vision.norm", width)
    yield "vision.attn_pool.latent", (1, 1, width)
    yield from linear("vision.attn_pool.q", width, width)
    yield from linear("vision.attn_pool.kv", 2 * width, width)
    yield from linear("vision.attn_pool.proj", width, width)
    yield from norm("vision.attn_pool.norm", width)
    yield from linear("vision.attn_pool.mlp.fc1", hidden, width)
    yield from linear("vision.attn_pool.mlp.fc2", width, hidden)


def gated(name: str, hidden: int, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.gate_proj.weight", (hidden, width)
    yield f"{name}.up_proj.weight", (hidden, width)
    yield f"{name}.down_proj.weight", (width, hidden)


def attention(name: str, model: Released) -> Iterator[tuple[str, tuple[int, ...]]]:
    if not model.latent:
        for projection in "qkvo":
            yield f"{name}.{projection}_proj.weight", (model.width, model.width)
        return
    yield f"{name}.q_proj.weight", (model.heads * (128 + 64), model.width)
    yield f"{name}.kv_a_proj_with_mqa.weight", (512 + 64, model.width)
    yield f"{name}.kv_a_layernorm.weight", (512,)
    yield f"{name}.kv_b_proj.weight", (model.heads * (128 + 128), 512)
    yield f"{name}.o_proj.weight", (model.width, model.heads * 128)


def language(model: Released) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "language.model.embed_tokens.weight", (model.vocabulary, model.width)
    for number in range(model.layers):
        layer = f"language.model.layers.{number}"
        yield f"{layer}.input_layernorm.weight", (model.width,)
        yield f"{layer}.post_attention_layernorm.weight", (model.width,)
        yield from attention(f"{layer}.self_attn", model)
        if number == 0:
            yield from gated(f"{layer}.mlp", model.hidden, model.width)
            continue
        yield f"{layer}.mlp.gate.weight", (model.experts, model.width)
        if model.bias:
            yield f"{layer}.mlp.gate.e_score_correction_bias", (model.experts,)
        for expert in range(model.experts):
            yield from gated(f"{layer}.mlp.experts.{expert}", model.expert_hidden, model.width)
        yield from gated(f"{layer}.mlp.shared_experts", 2 * model.expert_hidden, model.width)
    yield "language.model.norm.weight", (model.width,)
    yield "language.lm_head.weight", (model.vocabulary, model.width)


def official(model: Released) -> list[tuple[str, tuple[int, ...]]]:
    """Every tensor of a released checkpoint."""
    return [
        *vision(),
        *linear("projector.layers.0", model.width, 4 * 1152),
        *linear("projector.layers.2", model.width, model.width),
        ("image_newline", (model.width,)),
        ("view_seperator", (model.width,)),
        *language(model),
    ]


def shapes_of(config: DeepseekVLV2Config) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in named_tensors(vlkit.build(config, device="meta")).items()}


@pytest.mark.parametrize("preset", RELEASED)
def test_a_released_checkpoint_is_the_preset_tensor_by_tensor(preset: str) -> None:
    tensors = official(RELEASED[preset])
    theirs, ours = dict(tensors), shapes_of(vlkit.presets[preset])
    assert len(theirs) == len(tensors)
    assert KEYMAP.their_names(ours) == theirs
    assert KEYMAP.our_names(theirs) == ours
    filled = [slot.theirs for slots in KEYMAP.plan(theirs, ours).values() for slot in slots]
    assert sorted(filled) == sorted(theirs)
    assert sum(map(prod, theirs.values())) == sum(map(prod, ours.values())) == RELEASED[preset].parameters


@given(small_configs(official=True), seeds)
def test_tensors_go_there_and_back(config: DeepseekVLV2Config, seed: int) -> None:
    model = random_model(config, seed, dtype=torch.float32)
    assert isinstance(config.decoder, DeepseekV2Config)
    keymap = TIED_KEYMAP if config.decoder.tie_word_embeddings else KEYMAP
    ours = {name: tensor.detach() for name, tensor in named_tensors(model).items()}
    theirs = keymap.to_theirs(ours)
    assert sum(tensor.numel() for tensor in theirs.values()) == sum(tensor.numel() for tensor in ours.values())
    again = keymap.from_theirs(theirs)
    assert again.keys() == ours.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in ours.items())


@pytest.mark.parametrize("keymap", [KEYMAP, TIED_KEYMAP])
def test_rotary_buffers_of_old_checkpoints_are_left_out(keymap: KeyMap) -> None:
    ours = shapes_of(vlkit.presets["mini"])
    if keymap is TIED_KEYMAP:
        del ours["decoder.lm_head.weight"]
    theirs = keymap.their_names(ours) | {"language.model.layers.0.self_attn.rotary_emb.inv_freq": (4,)}
    assert keymap.plan(theirs, ours).keys() == ours.keys()


def test_a_wrong_name_is_reported_with_the_nearest() -> None:
    ours = shapes_of(vlkit.presets["mini"])
    theirs = KEYMAP.their_names(ours)
    theirs["view_separator"] = theirs.pop("view_seperator")
    with pytest.raises(CheckpointError, match="'view_separator'; the nearest expected name is 'view_seperator'"):
        KEYMAP.plan(theirs, ours)
