"""Configs of transformers that nobody vouches for: bounded, without code, and with the nearest name for a typo."""

import json
from pathlib import Path
from typing import Any

import pytest

from vlkit.errors import CheckpointError, ConfigError
from vlkit.foreign.hf_config import check_content, content_of, parse_content, read_content, require_all

LLAMA: dict[str, Any] = {"model_type": "llama", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}


def deep(levels: int) -> dict[str, Any]:
    return {"inner": deep(levels - 1)} if levels else {}


@pytest.mark.parametrize(("more", "message"), [
    ({"auto_map": {"AutoConfig": "evil.Config"}}, r"config\.auto_map is \{'AutoConfig': 'evil\.Config'\}[\s\S]*remove"),
    ({"text_config": {"auto_map": {"AutoModel": "a--b"}}}, r"config\.text_config\.auto_map"),
    ({"attn_implementation": "kernels-community/x"}, r"config\.attn_implementation is 'kernels-community/x'"),
    ({"_attn_implementation_internal": "x"}, r"config\._attn_implementation_internal"),
    ({"quantization_config": {"bits": 4}}, r"config\.quantization_config"),
    ({"backbone_config": {"backbone": "hf-hub:evil/model"}}, r"config\.backbone_config\.backbone"),
    ({"architecture": "hf-hub:evil/model"}, r"config\.architecture"),
    ({"num_hidden_layers": 2**10 + 1}, r"config\.num_hidden_layers is 1025\n.*at most 1024"),
    ({"hidden_size": 2**24 + 1}, r"config\.hidden_size is 16777217"),
    ({"depths": [2, 2**40]}, r"config\.depths is 1099511627776"),
    ({"rope_theta": 2**41}, r"config\.rope_theta"),
    ({"torch": object()}, r"config\.torch is a object\n.*JSON"),
    (deep(17), r"is nested too deeply\n.*16 levels"),
    ({"layer_types": ["full_attention"] * 70000}, r"over 65536 entries"),
    ({"model_type": "lama"}, r"model_type is 'lama'; did you mean 'llama'\?[\s\S]*never run"),
    ({"model_type": None}, r"model_type is None"),
    ({"model_type": ["llama"]}, r"model_type is \['llama'\]"),
])  # fmt: skip
def test_what_does_not_belong_into_a_config_is_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_content(LLAMA | more)


def test_what_belongs_is_parsed_and_given_back() -> None:
    config = parse_content(LLAMA | {"rope_theta": 10**8, "use_pretrained_backbone": False, "quantization_config": None})
    assert (config.model_type, config.hidden_size) == ("llama", 8)
    content = content_of(config)
    assert not content.keys() & {"architectures", "transformers_version", "dtype"}
    assert parse_content(content).to_dict() == config.to_dict()


def test_what_transformers_refuses_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"config of model_type 'llama'[\s\S]*transformers decides"):
        parse_content(LLAMA | {"hidden_size": "wide"})


def test_a_checkpoint_is_read_without_what_names_code(tmp_path: Path, offline: None) -> None:
    told = {"auto_map": {"AutoModel": "evil.Model"}, "_name_or_path": "x", "torch_dtype": "float32"}
    nested = {"text_config": {"hidden_size": 4, **told}}
    (tmp_path / "config.json").write_text(json.dumps(LLAMA | told | nested))
    (tmp_path / "evil.py").write_text("raise SystemExit")
    assert read_content(tmp_path, revision=None) == LLAMA | {"text_config": {"hidden_size": 4}}
    with pytest.raises(CheckpointError, match=r"nowhere has no readable config\.json"):
        read_content(tmp_path / "nowhere", revision=None)


def test_missing_weights_are_counted_and_named() -> None:
    require_all("folder", {"missing_keys": set()})
    with pytest.raises(CheckpointError, match="folder lacks 2 weights, 'a' first"):
        require_all("folder", {"missing_keys": {"b", "a"}})
