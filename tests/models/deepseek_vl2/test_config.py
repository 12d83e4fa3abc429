"""The config's own class: what it adds to the general one."""

import json
from pathlib import Path

import pytest
from hypothesis import given

from tests.refusal import refused
from tests.small_models import small_configs
from vlkit.errors import ConfigError
from vlkit.models.deepseek_vl2.config import DeepseekVLV2Config
from vlkit.vlm_config import VLMConfig


@given(small_configs(official=True))
def test_path_folder_and_content_are_read_alike(
    tmp_path_factory: pytest.TempPathFactory, config: DeepseekVLV2Config
) -> None:
    folder = tmp_path_factory.mktemp("official")
    (folder / "config.json").write_text(json.dumps(config.to_hf()))
    for source in (folder, str(folder), folder / "config.json", str(folder / "config.json"), config.to_hf()):
        assert DeepseekVLV2Config.from_hf(source) == config


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.json cannot be read"):
        DeepseekVLV2Config.from_hf(tmp_path)


@given(small_configs())
def test_the_general_config_has_the_same_parts(config: DeepseekVLV2Config) -> None:
    general = VLMConfig.model_validate({name: getattr(config, name) for name in VLMConfig.model_fields})
    assert config.model_dump() == general.model_dump() | {"model_type": "deepseek_vl_v2"}
    with refused(r"model_type: .*'deepseek_vl_v2' \(got 'deepseek_vl'\)"):
        config.replace(model_type="deepseek_vl")
