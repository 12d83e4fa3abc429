"""Names and shapes of the released checkpoints, written down anew from their description, against the key map."""

from collections.abc import Iterator
from math import prod

import pytest

import vlkit
from tests.models.saved import same_weights
from tests.small_models import draw_weights
from vlkit.checkpoint import KeyMap, named_tensors
from vlkit.errors import CheckpointError
from vlkit.models.deepseek_vl.keys import KEYMAP, TIED_KEYMAP

Shapes = dict[str, tuple[int, ...]]
Tensors = Iterator[tuple[str, tuple[int, ...]]]
HIGH, LOW = "vision_model.vision_tower_high.vision_tower", "vision_model.vision_tower_low.vision_tower"
PARAMETERS = {"deepseek-vl-1.3b": 1_975_235_584, "deepseek-vl-7b": 7_343_990_017}


def linear(name: str, *shape: int) -> Tensors:
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]


def siglip(tower: str) -> Tensors:
    """ViT-L/16 for 384 pixels, with its pooling head."""
    yield from linear(f"{tower}.patch_embed.proj", 1024, 3, 16, 16)
    yield f"{tower}.pos_embed", (1, 576, 1024)
    for block in (f"{tower}.blocks.{number}" for number in range(24)):
        yield from linear(f"{block}.norm1", 1024)
        yield from linear(f"{block}.attn.qkv", 3072, 1024)
        yield from linear(f"{block}.attn.proj", 1024, 1024)
        yield from linear(f"{block}.norm2", 1024)
        yield from linear(f"{block}.mlp.fc1", 4096, 1024)
        yield from linear(f"{block}.mlp.fc2", 1024, 4096)
    yield from linear(f"{tower}.norm", 1024)
    yield f"{tower}.attn_pool.latent", (1, 1, 1024)
    yield from linear(f"{tower}.attn_pool.q", 1024, 1024)
    yield from linear(f"{tower}.attn_pool.kv", 2048, 1024)
    yield from linear(f"{tower}.attn_pool.proj", 1024, 1024)
    yield from linear(f"{tower}.attn_pool.norm", 1024)
    yield from linear(f"{tower}.attn_pool.mlp.fc1", 4096, 1024)
    yield from linear(f"{tower}.attn_pool.mlp.fc2", 1024, 4096)


def sam() -> Tensors:
    """ViT-B/16 for 1024 pixels with two necks, which share the convolutions behind them."""
    yield from linear(f"{HIGH}.patch_embed.proj", 768, 3, 16, 16)
    yield f"{HIGH}.pos_embed", (1, 64, 64, 768)
    for number in range(12):
        block, side = f"{HIGH}.blocks.{number}", 64 if number in (2, 5, 8, 11) else 14
        yield from linear(f"{block}.norm1", 768)
        yield from linear(f"{block}.attn.qkv", 2304, 768)
        yield from linear(f"{block}.attn.proj", 768, 768)
        yield f"{block}.attn.rel_pos_h", (2 * side - 1, 64)
        yield f"{block}.attn.rel_pos_w", (2 * side - 1, 64)
        yield from linear(f"{block}.norm2", 768)
        yield from linear(f"{block}.mlp.lin1", 3072, 768)
        yield from linear(f"{block}.mlp.lin2", 768, 3072)
    for neck in (f"{HIGH}.neck", f"{HIGH}.neck_hd"):
        yield f"{neck}.0.weight", (256, 768, 1, 1)
        yield from linear(f"{neck}.1", 256)
        yield f"{neck}.2.weight", (256, 256, 3, 3)
        yield from linear(f"{neck}.3", 256)
    yield f"{HIGH}.downsamples.0.weight", (512, 256, 3, 3)
    yield f"{HIGH}.downsamples.1.weight", (1024, 512, 3, 3)
    yield f"{HIGH}.hd_alpha_downsamples", (1,)


def llama(*, width: int, hidden: int, layers: int) -> Tensors:
    yield "language_model.model.embed_tokens.weight", (102400, width)
    for layer in (f"language_model.model.layers.{number}" for number in range(layers)):
        for projection in "qkvo":
            yield f"{layer}.self_attn.{projection}_proj.weight", (width, width)
        yield f"{layer}.mlp.gate_proj.weight", (hidden, width)
        yield f"{layer}.mlp.up_proj.weight", (hidden, width)
        yield f"{layer}.mlp.down_proj.weight", (width, hidden)
        yield f"{layer}.input_layernorm.weight", (width,)
        yield f"{layer}.post_attention_layernorm.weight", (width,)
    yield "language_model.model.norm.weight", (width,)
    yield "language_model.lm_head.weight", (102400, width)


def official(preset: str) -> list[tuple[str, tuple[int, ...]]]:
    """Every tensor of a released checkpoint."""
    if preset == "deepseek-vl-1.3b":
        aligner = [*linear("aligner.layers.0", 2048, 1024), *linear("aligner.layers.2", 2048, 2048)]
        return [*siglip("vision_model.vision_tower"), *aligner, *llama(width=2048, hidden=5632, layers=24)]
    aligner = [
        *linear("aligner.high_up_proj", 2048, 1024),
        *linear("aligner.low_up_proj", 2048, 1024),
        *linear("aligner.layers.1", 4096, 4096),
    ]
    norms = [*linear("vision_model.high_layer_norm", 1024), *linear("vision_model.low_layer_norm", 1024)]
    return [*sam(), *siglip(LOW), *norms, *aligner, *llama(width=4096, hidden=11008, layers=30)]


def shapes_of(config: vlkit.DeepseekVLConfig) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in named_tensors(vlkit.build(config, device="meta")).items()}


@pytest.mark.parametrize("preset", PARAMETERS)
def test_a_released_checkpoint_is_the_preset_tensor_by_tensor(preset: str) -> None:
    tensors = official(preset)
    theirs, ours = dict(tensors), shapes_of(vlkit.presets[preset])
    assert len(theirs) == len(tensors)
    assert KEYMAP.their_names(ours) == theirs
    assert KEYMAP.our_names(theirs) == ours
    filled = [slot.theirs for slots in KEYMAP.plan(theirs, ours).values() for slot in slots]
    assert sorted(filled) == sorted(theirs)
    assert sum(map(prod, theirs.values())) == sum(map(prod, ours.values())) == PARAMETERS[preset]


def test_the_files_of_the_larger_model_have_the_published_size() -> None:
    """In float16; the three shards have 4.98, 4.96 and 4.75 GB."""
    assert 2 * PARAMETERS["deepseek-vl-7b"] / 1e9 == pytest.approx(4.98 + 4.96 + 4.75, abs=0.01)


MINI = vlkit.presets["mini-vl"]
CONFIGS = {
    "two towers": MINI,
    "three convolutions": MINI.replace(
        encoder=MINI.encoder.replace(high=MINI.encoder.high.replace(downsample_channels=(8, 8, 32)), neck_grid=32)
    ),
    "one tower": MINI.replace(
        encoder=MINI.encoder.low.replace(pool="map"), projector={"type": "mlp_gelu"}, candidate_resolutions=((32, 32),)
    ),
    "tied": MINI.replace(decoder=MINI.decoder.replace(tie_word_embeddings=True)),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_tensors_go_there_and_back(config: vlkit.DeepseekVLConfig) -> None:
    model, again = vlkit.build(config), vlkit.build(config)
    draw_weights(model, 0)
    keymap = TIED_KEYMAP if config is CONFIGS["tied"] else KEYMAP
    ours = {name: tensor.detach() for name, tensor in named_tensors(model).items()}
    theirs = keymap.to_theirs(ours)
    assert not any(name.startswith(("encoder.", "projector.", "decoder.")) for name in theirs)
    assert sum(tensor.numel() for tensor in theirs.values()) == sum(tensor.numel() for tensor in ours.values())
    again.load_state_dict(keymap.from_theirs(theirs))
    assert same_weights(again, model)


@pytest.mark.parametrize("keymap", [KEYMAP, TIED_KEYMAP])
def test_rotary_buffers_of_old_checkpoints_are_left_out(keymap: KeyMap) -> None:
    ours = shapes_of(MINI if keymap is KEYMAP else CONFIGS["tied"])
    theirs = keymap.their_names(ours) | {"language_model.model.layers.0.self_attn.rotary_emb.inv_freq": (4,)}
    assert keymap.plan(theirs, ours).keys() == ours.keys()


def test_a_tower_too_many_or_too_few_is_named() -> None:
    one, two = (KEYMAP.their_names(shapes_of(CONFIGS[name])) for name in ("one tower", "two towers"))
    with pytest.raises(CheckpointError, match="vision_tower_high"):
        KEYMAP.plan(two, shapes_of(CONFIGS["one tower"]))
    with pytest.raises(CheckpointError, match="vision_tower_high"):
        KEYMAP.plan(one, shapes_of(CONFIGS["two towers"]))
