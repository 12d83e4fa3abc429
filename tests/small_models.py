"""Small models with random numbers, and batches of text and pictures for them, drawn for the laws of the assembly."""

from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

import vlkit
from tests.strategies import normal, seeds
from vlkit.cache import KVCache
from vlkit.decoders import DeepseekV2Config, LinearScaling, MHAConfig, MLAConfig, MoEConfig, YarnScaling
from vlkit.encoders import SigLIPConfig
from vlkit.layouts import Layout1DConfig, Layout2DConfig, LayoutConfig, PlainConfig, TilesFirstConfig
from vlkit.models.deepseek_vl2.config import DeepseekVLV2Config
from vlkit.models.deepseek_vl2.model import DeepseekVLV2
from vlkit.notation import Grid
from vlkit.projectors import DownsampleMlpGeluConfig, IdentityConfig, LinearConfig, MlpGeluConfig
from vlkit.vlm import VLMOutput
from vlkit.vlm_config import VLMConfig

VOCABULARY, PAD = 48, 2
TILES = ((1, 1), (1, 2), (2, 1), (2, 2))
"""Tiles across and down that candidate resolutions are drawn from; no entry has more tiles than its number."""


@st.composite
def small_configs(draw: st.DrawFn, *, official: bool = False, all_experts_active: bool = False) -> DeepseekVLV2Config:
    """Configs of small models.

    Args:
        draw: given by hypothesis.
        official: only what the official format has fields for.
        all_experts_active: no choice among experts, so that small differences stay small.
    """
    patch, rest = draw(st.integers(1, 2)), draw(st.integers(0, 1))
    rows = draw(st.integers(2, 3))
    cols = rows if official else draw(st.integers(2, 3))
    tile = (cols * patch + rest, rows * patch + rest)
    candidates = TILES[: draw(st.integers(1, len(TILES)))]
    width = 8
    dim = draw(st.sampled_from([8, 12]))
    global_view = draw(st.sampled_from(["head", "tail"]))
    layouts: list[LayoutConfig] = [
        Layout2DConfig(global_view=global_view),
        Layout1DConfig(global_view=global_view, max_tiles=len(candidates)),
    ]
    if not official:
        layouts += [TilesFirstConfig(), PlainConfig(global_view=global_view, single_tile=draw(st.booleans()))]
    return DeepseekVLV2Config(
        encoder=draw(_encoders(tile[0] if official else tile, patch, width, official=official)),
        projector=draw(_projectors(same_width=width == dim, official=official)),
        layout=draw(st.sampled_from(layouts)),
        decoder=draw(small_decoders(dim, official=official, all_experts_active=all_experts_active)),
        candidate_resolutions=tuple((across * tile[0], down * tile[1]) for across, down in candidates),
        global_view_size=None if official else draw(st.sampled_from([None, tile])),
    )


@st.composite
def _encoders(draw: st.DrawFn, tile: Any, patch: int, width: int, *, official: bool) -> SigLIPConfig:
    class_token = draw(st.booleans())
    pools = ["map", "avg", "none", "token"] if class_token else ["map", "avg", "none"]
    return SigLIPConfig(
        image_size=tile,
        patch_size=patch,
        width=width,
        heads=2,
        layers=draw(st.integers(1, 2)),
        mlp_ratio=draw(st.sampled_from([1.6, 2.0])),
        class_token=class_token,
        pool=draw(st.sampled_from(pools)),
        select_layer=None if official else draw(st.sampled_from([None, 0, -1])),
    )


def _projectors(*, same_width: bool, official: bool) -> st.SearchStrategy[Any]:
    use_bias = st.just(True) if official else st.booleans()
    pooling = st.booleans()
    kinds: list[st.SearchStrategy[Any]] = [
        st.builds(
            DownsampleMlpGeluConfig,
            depth=st.integers(1, 3),
            mlp_ratio=st.integers(1, 2),
            downsample_ratio=st.integers(1, 3),
            use_bias=use_bias,
        ),
        st.builds(MlpGeluConfig, depth=st.integers(1, 2), token_pooling=pooling, use_bias=use_bias),
        st.builds(LinearConfig, token_pooling=pooling, use_bias=use_bias),
    ]
    return st.one_of(kinds + [st.builds(IdentityConfig, token_pooling=pooling, use_bias=use_bias)] * same_width)


@st.composite
def small_decoders(draw: st.DrawFn, dim: int, *, official: bool, all_experts_active: bool) -> DeepseekV2Config:
    latent = draw(st.booleans())
    scalings: list[Any] = [None, LinearScaling(factor=2.0)]
    if latent:
        scalings.append(YarnScaling(factor=4.0, original_max_position_embeddings=16, mscale_all_dim=0.7))
    return DeepseekV2Config(
        vocab_size=VOCABULARY,
        hidden_size=dim,
        num_hidden_layers=draw(st.integers(1, 3)),
        intermediate_size=10,
        attention=draw(_latent(official=official) if latent else _multi_head(official=official)),
        moe=draw(st.none() | _experts(official=official, all_active=all_experts_active)),
        rms_norm_eps=draw(st.sampled_from([1e-6, 1e-5])),
        rope_scaling=draw(st.sampled_from(scalings)),
        max_position_embeddings=256,
        tie_word_embeddings=draw(st.booleans()),
        bos_token_id=0,
        eos_token_id=draw(st.sampled_from([1, (1, 3)])),
        pad_token_id=PAD,
    )


def _multi_head(*, official: bool) -> st.SearchStrategy[MHAConfig]:
    return st.builds(
        MHAConfig,
        num_attention_heads=st.just(2),
        num_key_value_heads=st.sampled_from([None, 1]),
        head_dim=st.none() if official else st.sampled_from([None, 6]),
        attention_bias=st.booleans(),
    )


def _latent(*, official: bool) -> st.SearchStrategy[MLAConfig]:
    return st.builds(
        MLAConfig,
        num_attention_heads=st.just(2),
        q_lora_rank=st.sampled_from([None, 6]),
        kv_lora_rank=st.just(6),
        qk_nope_head_dim=st.just(4),
        qk_rope_head_dim=st.just(4),
        v_head_dim=st.just(3),
        attention_bias=st.booleans(),
        mode=st.just("auto") if official else st.sampled_from(["auto", "expand", "absorb"]),
    )


def _experts(*, official: bool, all_active: bool) -> st.SearchStrategy[MoEConfig]:
    return st.builds(
        MoEConfig,
        n_routed_experts=st.just(4),
        num_experts_per_tok=st.just(4) if all_active else st.integers(1, 2),
        moe_intermediate_size=st.just(6),
        n_shared_experts=st.sampled_from([None, 1, 2]),
        first_k_dense_replace=st.integers(0, 1),
        moe_layer_freq=st.integers(1, 2),
        scoring_func=st.sampled_from(["softmax", "sigmoid"]),
        topk_method=st.sampled_from(["greedy", "group_limited_greedy", "noaux_tc"]),
        n_group=st.just(2),
        topk_group=st.just(2) if all_active else st.integers(1, 2),
        norm_topk_prob=st.booleans(),
        routed_scaling_factor=st.sampled_from([1.0, 2.5]),
        seq_aux=st.booleans(),
        compute=st.just("auto") if official else st.sampled_from(["auto", "grouped", "loop"]),
    )


def random_model(config: DeepseekVLV2Config, seed: int, *, dtype: torch.dtype = torch.float64) -> DeepseekVLV2:
    """Model in evaluation mode whose numbers are large enough for every part of it to matter."""
    model = vlkit.build(config, dtype=dtype)
    draw_weights(model, seed)
    return model.eval()


def draw_weights(model: nn.Module, seed: int) -> None:
    """Give a model random numbers that are large enough for every part of it to matter."""
    with torch.no_grad():
        for number, (name, parameter) in enumerate(model.named_parameters()):
            noise = normal(seed + number, *parameter.shape)
            if parameter.ndim > 1:
                parameter.copy_(noise * (3.0 if "lm_head" in name else 1.5) * parameter.shape[-1] ** -0.5)
            else:
                parameter.copy_(0.2 * noise + float(name.endswith("weight")))


def logits_of(out: VLMOutput) -> Tensor:
    """The logits of an output that has some."""
    assert out.logits is not None
    return out.logits


def cache_of(out: VLMOutput) -> KVCache:
    """The cache of an output that has one."""
    assert out.cache is not None
    return out.cache


@dataclass(frozen=True)
class Sample:
    """One text with pictures.

    Args:
        ids: token ids.
        places: which of them are image positions.
        tiles: tile rows and columns of each picture.
        pixels: float64[n, 3, height, width], all views of all pictures; only their tiles if `overviews` are apart.
        overviews: float64[m, 3, height, width], the pictures' global views, or None.
    """

    ids: list[int]
    places: list[bool]
    tiles: list[Grid]
    pixels: Tensor
    overviews: Tensor | None


def sample(config: VLMConfig, texts: list[int], tiles: list[Grid], seed: int) -> Sample:
    """Random text with pictures between: `texts` are the lengths before, between and after the pictures."""
    places = [False] * texts[0]
    for grid, text in zip(tiles, texts[1:], strict=True):
        places += [True] * config.layout.count(grid, config.grid, config.overview) + [False] * text
    ids = torch.randint(4, config.decoder.vocabulary, (len(places),), generator=torch.Generator().manual_seed(seed))
    (width, height), views = config.tile_size, sum(map(config.layout.tile_count, tiles))
    if config.global_view_size is None:
        pixels = normal(seed, len(tiles) + views, 3, height, width)
        return Sample(ids.tolist(), places, tiles, pixels, None)
    overviews = normal(seed + 1, len(tiles), 3, config.global_view_size[1], config.global_view_size[0])
    return Sample(ids.tolist(), places, tiles, normal(seed, views, 3, height, width), overviews)


@st.composite
def samples(draw: st.DrawFn, config: VLMConfig, *, least: int = 0) -> Sample:
    """Texts of a few tokens with `least` to 2 pictures between, before or after them."""
    tiles = draw(st.lists(st.sampled_from(config.tile_grids), min_size=least, max_size=2))
    texts = draw(st.lists(st.integers(0, 4), min_size=len(tiles) + 1, max_size=len(tiles) + 1))
    return sample(config, [max(texts[0], int(not tiles)), *texts[1:]], tiles, draw(seeds))


def batch_of(samples: list[Sample], config: VLMConfig) -> dict[str, Tensor]:
    """The samples padded on the left, as the processor gives them."""
    length, views = max(len(s.ids) for s in samples), max(1, *(len(s.pixels) for s in samples))
    pictures = max(1, *(len(s.tiles) for s in samples))
    width, height = config.tile_size
    inputs = {
        "input_ids": torch.full((len(samples), length), PAD),
        "attention_mask": torch.zeros(len(samples), length, dtype=torch.bool),
        "images": torch.zeros(len(samples), views, 3, height, width, dtype=torch.float64),
        "images_seq_mask": torch.zeros(len(samples), length, dtype=torch.bool),
        "images_spatial_crop": torch.zeros(len(samples), pictures, 2, dtype=torch.long),
    }
    for row, sample in enumerate(samples):
        start = length - len(sample.ids)
        inputs["input_ids"][row, start:] = torch.tensor(sample.ids)
        inputs["attention_mask"][row, start:] = True
        inputs["images_seq_mask"][row, start:] = torch.tensor(sample.places)
        inputs["images"][row, : len(sample.pixels)] = sample.pixels
        for number, (down, across) in enumerate(sample.tiles):
            inputs["images_spatial_crop"][row, number] = torch.tensor([across, down])
    if config.global_view_size is not None:
        wide, high = config.global_view_size
        inputs["global_views"] = torch.zeros(len(samples), pictures, 3, high, wide, dtype=torch.float64)
        for row, sample in enumerate(samples):
            if sample.overviews is not None:
                inputs["global_views"][row, : len(sample.overviews)] = sample.overviews
    return inputs


@dataclass(frozen=True)
class Case:
    """A model and a batch for it."""

    model: DeepseekVLV2
    samples: list[Sample]

    @property
    def batch(self) -> dict[str, Tensor]:
        """All samples, padded on the left."""
        return batch_of(self.samples, self.model.config)

    def alone(self, row: int) -> dict[str, Tensor]:
        """One sample without padding."""
        return batch_of([self.samples[row]], self.model.config)


@st.composite
def cases(
    draw: st.DrawFn, *, most: int = 3, least_pictures: int = 0, official: bool = False, all_experts_active: bool = False
) -> Case:
    """Models with batches of up to `most` samples, each with at least `least_pictures` pictures."""
    config = draw(small_configs(official=official, all_experts_active=all_experts_active))
    model = random_model(config, draw(seeds))
    return Case(model, draw(st.lists(samples(config, least=least_pictures), min_size=1, max_size=most)))
