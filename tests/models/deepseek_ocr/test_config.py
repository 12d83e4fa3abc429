"""The config's own class: where it is read from, and its resolution modes."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vlkit
from tests.models.deepseek_ocr.drawn import OWN, small_ocr_configs
from tests.refusal import refused
from vlkit.models.deepseek_ocr.config import DeepseekOCRConfig
from vlkit.models.deepseek_ocr.modes import MODES, SMALL, ResolutionMode, mode_of
from vlkit.vlm_config import VLMConfig

RELEASED = vlkit.presets["deepseek-ocr"]
sizes = st.tuples(st.integers(1, 3000), st.integers(1, 3000))


@given(small_ocr_configs(official=True))
def test_path_folder_and_content_are_read_alike(
    tmp_path_factory: pytest.TempPathFactory, config: DeepseekOCRConfig
) -> None:
    folder = tmp_path_factory.mktemp("official")
    (folder / "config.json").write_text(json.dumps(config.to_hf()))
    for source in (folder, str(folder), folder / "config.json", config.to_hf()):
        assert DeepseekOCRConfig.from_hf(source) == config


@given(small_ocr_configs())
def test_own_files_name_the_family(config: DeepseekOCRConfig) -> None:
    assert vlkit.resolve_config(json.loads(config.model_dump_json())) == config
    general = VLMConfig.model_validate({name: getattr(config, name) for name in VLMConfig.model_fields})
    assert config.model_dump() == general.model_dump() | {"model_type": "deepseek_ocr"}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with refused(r"config\.json cannot be read"):
        DeepseekOCRConfig.from_hf(tmp_path)


@pytest.mark.parametrize(
    ("mode", "tokens"), [("tiny", 73), ("small", 111), ("base", 273), ("large", 421), ("gundam", 273)]
)
@given(width=st.integers(1, 640), height=st.integers(1, 640))
def test_tokens_of_a_whole_picture_depend_on_the_mode_alone(mode: str, tokens: int, width: int, height: int) -> None:
    assert RELEASED.at(mode).image_tokens((width, height)) == tokens


@given(sizes)
def test_gundam_adds_two_to_six_tiles_to_the_base_view(size: tuple[int, int]) -> None:
    gundam, tiling = RELEASED.at("gundam"), RELEASED.tiling(size)
    if max(size) <= SMALL:
        assert tiling.grid == (1, 1)
        return
    assert 2 <= tiling.grid.area <= 6
    tiles = 10 * tiling.grid.rows * (10 * tiling.grid.cols + 1)
    assert gundam.image_tokens(size) == RELEASED.at("base").image_tokens(size) + tiles


@given(small_ocr_configs(), st.sampled_from([*MODES]))
def test_a_mode_changes_nothing_else_and_is_known_by_name(config: DeepseekOCRConfig, mode: str) -> None:
    changed = config.at(mode)
    assert changed.mode == mode
    assert changed == config.at(MODES[mode]) == config.at(OWN).at(mode)
    assert config.at(OWN).mode is None
    for name in ("encoder", "projector", "layout", "decoder"):
        assert getattr(changed, name) == getattr(config, name)


def test_small_views_are_stretched_and_large_ones_padded() -> None:
    assert [name for name, mode in MODES.items() if mode.fields["cropping"].global_fit == "stretch"] == [
        "tiny",
        "small",
    ]


def test_what_is_no_mode_is_refused() -> None:
    with refused(r"'gundamm' is no resolution mode; did you mean 'gundam'\?[\s\S]*tiny, small, base, large, gundam"):
        RELEASED.at("gundamm")
    with refused("'Tiny' is no resolution mode; did you mean 'tiny'"):
        mode_of("Tiny")
    with refused(r"base_size 1024 and image_size 640 without crop_mode[\s\S]*one view"):
        ResolutionMode(base_size=1024, image_size=640)
    with refused(r"candidate_resolutions begins with 100x100[\s\S]*squares of whole patches of 16 pixels"):
        RELEASED.at(ResolutionMode(base_size=100, image_size=100))
