"""The config of a whole model: it survives its files, and parts that do not fit are refused before memory is taken."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import vlkit
from tests.refusal import refused
from tests.small_models import small_configs
from vlkit.encoders import SigLIPConfig
from vlkit.layouts import Layout1DConfig, Layout2DConfig, PlainConfig, TilesFirstConfig
from vlkit.models.deepseek_vl2.config import DeepseekVLV2Config
from vlkit.notation import Grid, Size
from vlkit.projectors import IdentityConfig, MlpGeluConfig
from vlkit.vlm_config import VLMConfig


@given(small_configs())
def test_a_config_survives_json(config: DeepseekVLV2Config) -> None:
    assert DeepseekVLV2Config.model_validate_json(config.model_dump_json()) == config
    assert DeepseekVLV2Config.model_validate(config.model_dump()) == config
    assert DeepseekVLV2Config.model_validate_json(config.model_dump_json(exclude_defaults=True)) == config


@given(small_configs())
def test_a_config_survives_its_files(tmp_path_factory: pytest.TempPathFactory, config: DeepseekVLV2Config) -> None:
    folder = tmp_path_factory.mktemp("config")
    data = config.model_dump(mode="json")
    (folder / "a.json").write_text(json.dumps(data))
    (folder / "a.yaml").write_text(yaml.safe_dump(data))
    for path in folder.iterdir():
        assert vlkit.resolve_config(path) == config
        assert vlkit.resolve_config(str(path)) == config


def test_a_config_can_be_written_in_toml(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(
        """
        candidate_resolutions = [[28, 28], [28, 56]]
        projector = "downsample_mlp_gelu"
        layout = { type = "1D", max_tiles = 2 }
        encoder = { type = "siglip", image_size = 28, width = 32, heads = 2, layers = 1 }
        [decoder]
        type = "deepseek_v2"
        hidden_size = 20
        attention = { type = "mha", num_attention_heads = 2 }
        """
    )
    config = vlkit.resolve_config(tmp_path / "a.toml")
    assert (config.grid, config.tile_size, config.tile_grids) == (Grid(1, 1), Size(28, 28), (Grid(1, 1), Grid(2, 1)))


@given(small_configs(), st.integers(1, 50), st.integers(1, 50), st.booleans())
def test_token_counts_follow_from_the_config(config: DeepseekVLV2Config, width: int, height: int, crop: bool) -> None:
    tiles = config.tiling((width, height), crop=crop).grid
    rows, cols = config.grid
    assert tiles in config.tile_grids if crop else tiles == (1, 1)
    if isinstance(config.layout, Layout2DConfig):
        expected = rows * (cols + 1) + 1 + tiles.rows * rows * (tiles.cols * cols + 1)
    elif isinstance(config.layout, TilesFirstConfig):
        cut = tiles.rows * rows * (tiles.cols * cols + 1) if tiles.area > 1 else 0
        expected = cut + rows * (cols + 1) + 1
    elif isinstance(config.layout, PlainConfig):
        views = 1 + (tiles.area if tiles.area > 1 or config.layout.single_tile else 0)
        expected = views * rows * cols
    else:
        expected = (1 + tiles.area) * (rows * cols + 1)
    assert config.image_tokens((width, height), crop=crop) == expected


def test_the_released_models_take_the_known_numbers_of_tokens() -> None:
    config = vlkit.presets["deepseek-vl2-tiny"]
    assert config.grid == (14, 14)
    assert [config.image_tokens(size) for size in ((384, 384), (1152, 1152), (384, 3456), (3456, 384))] == [
        421,
        2017,
        2101,
        1989,
    ]


MINI = vlkit.presets["mini"]
TWO_BY_TWO = SigLIPConfig(image_size=14, patch_size=7, width=8, heads=2, layers=1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"projector": IdentityConfig()},
            r"'identity' between encoder width 64 and decoder width 96[\s\S]*equal[\s\S]*'linear'",
        ),
        (
            {"encoder": SigLIPConfig(image_size=84, patch_size=7, width=64, heads=4)},
            r"begins with 56x56, encoder 'siglip' takes 84x84[\s\S]*image_size or the candidate",
        ),
        (
            {"layout": Layout1DConfig(max_tiles=8)},
            r"= 9 tiles, the 1D layout has indicators for 8[\s\S]*set max_tiles to 9",
        ),
        (
            {"candidate_resolutions": ((56, 56), (56, 100))},
            r"56x100 cannot be cut into tiles of 56x56[\s\S]*multiples of 56",
        ),
        ({"candidate_resolutions": ()}, "candidate_resolutions: "),
        ({"candidate_resolutions": ((0, 0),)}, r"candidate_resolutions.0.0: .*greater than or equal to 1"),
        (
            {
                "encoder": SigLIPConfig(image_size=7, patch_size=7, width=64, heads=4),
                "projector": MlpGeluConfig(token_pooling=True),
                "candidate_resolutions": ((7, 7),),
            },
            r"'mlp_gelu' leaves a grid of 0x0 of the encoder's 1x1[\s\S]*larger tiles",
        ),
        ({"projector": "lineer"}, r"projector.type: 'lineer' is not one of the projectors; did you mean 'linear'\?"),
        ({"projector": {"depth": 2}}, r"projector.type: is missing; it names one of the projectors: "),
        ({"encoder": 3}, "encoder: is a int"),
        ({"decoder": {"type": "deepseek_v2", "hiden_size": 3}}, r"decoder.hiden_size: .*did you mean 'hidden_size'\?"),
        ({"decoders": 3}, r"has no field 'decoders'; did you mean 'decoder'\?"),
        (
            {"projector": {"type": "downsample_mlp_gelu", "token_pooling": True}},
            r"token_pooling with projector 'downsample_mlp_gelu'[\s\S]*merged once[\s\S]*drop token_pooling",
        ),
        (
            {"decoder": {"type": "deepseek_v2", "attention": {"type": "mha", "num_attention_heads": 7}}},
            r"decoder: hidden_size 2048 with 7 heads[\s\S]*give head_dim",
        ),
        (
            {"decoder": {"type": "deepseek_v2", "moe": {"topk_method": "gready"}}},
            r"moe.topk_method: .*'greedy'",
        ),
        (
            {
                "decoder": {
                    "type": "deepseek_v2",
                    "attention": {"type": "mha", "num_attention_heads": 8},
                    "rope_scaling": {"type": "yarn", "factor": 4},
                }
            },
            r"decoder: rope_scaling 'yarn' with multi-head attention[\s\S]*latent attention",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_memory_is_taken(fields: dict[str, Any], message: str) -> None:
    data = {**MINI.model_dump(), **fields}
    with refused(message):
        DeepseekVLV2Config.model_validate(data)
    with refused(message):
        vlkit.build(data)
    with refused(message):
        VLMConfig.model_validate({name: value for name, value in data.items() if name != "model_type"})


@pytest.mark.parametrize(
    ("projector", "grid", "size"),
    [
        ({"type": "downsample_mlp_gelu", "downsample_ratio": 3}, (3, 3), (21, 21)),
        ({"type": "linear"}, (8, 8), (7, 7)),
        ({"type": "linear", "token_pooling": True}, (4, 4), (14, 14)),
        ({"type": "average_pool", "grid": (4, 2)}, (4, 2), (28, 14)),
        ({"type": "resampler", "queries": (3, 3)}, (3, 3), (19, 19)),
    ],
)
def test_a_token_shows_the_patches_that_were_merged_or_its_share_of_the_tile(
    projector: dict[str, Any], grid: tuple[int, int], size: tuple[int, int]
) -> None:
    config = vlkit.VLMBuilder(MINI).projector(projector).config
    assert (config.grid, config.token_size) == (grid, size)
