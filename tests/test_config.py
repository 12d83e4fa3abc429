"""Configs are frozen, strict, round-trip JSON, and say exactly what is wrong."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from tests.strategies import configs
from vlkit.cache import AnyCachePolicy, ResidentConfig, cache_policies
from vlkit.config import Config, read_mapping
from vlkit.decoders import AnyDecoder, DeepseekV2Config, MLAConfig, MoEConfig, decoders
from vlkit.encoders import AnyEncoder, SigLIPConfig, encoders
from vlkit.errors import ConfigError, VlkitError
from vlkit.layouts import AnyLayout, Layout2DConfig, layouts
from vlkit.projectors import AnyProjector, DownsampleMlpGeluConfig, MlpGeluConfig, ProjectorConfig, projectors
from vlkit.registry import Registry

REGISTRIES: list[Registry[Any, Any]] = [encoders, projectors, layouts, decoders, cache_policies]
REGISTERED = [pytest.param(registry[tag], id=f"{registry.kind}-{tag}") for registry in REGISTRIES for tag in registry]


class Assembly(Config):
    """One part of each kind, as a model's config holds them."""

    encoder: AnyEncoder = SigLIPConfig()
    projector: AnyProjector = DownsampleMlpGeluConfig()
    layout: AnyLayout = Layout2DConfig()
    decoder: AnyDecoder = DeepseekV2Config()
    cache: AnyCachePolicy = ResidentConfig()


class Nested(Config):
    """Configs inside a list, a mapping and an optional field."""

    parts: tuple[AnyProjector, ...] = ()
    by_name: dict[str, MoEConfig] = Field(default_factory=dict)
    attention: MLAConfig | None = None


@pytest.mark.parametrize("config_class", REGISTERED)
@given(data=st.data())
def test_every_registered_config_round_trips_json(config_class: type[Config], data: st.DataObject) -> None:
    config = data.draw(configs(config_class))
    assert config_class.model_validate_json(config.model_dump_json()) == config
    assert config_class.model_validate(config.model_dump()) == config
    assert config_class.model_validate(json.loads(config.model_dump_json(exclude_defaults=True))) == config


@settings(max_examples=20)
@given(configs(Assembly))
def test_an_assembly_of_any_parts_round_trips_json(assembly: Assembly) -> None:
    assert Assembly.model_validate_json(assembly.model_dump_json()) == assembly
    short = json.loads(assembly.model_dump_json(exclude_defaults=True))
    assert Assembly.model_validate(short) == assembly
    assert all("type" in part for part in short.values())


@pytest.mark.parametrize("config_class", REGISTERED)
def test_every_field_of_a_registered_config_is_described(config_class: type[Config]) -> None:
    assert [name for name, field in config_class.model_fields.items() if not field.description] == []


def test_configs_are_frozen_and_hashable() -> None:
    config = MlpGeluConfig(depth=3)
    with pytest.raises(ValueError, match="frozen"):
        config.depth = 4  # type: ignore[misc]
    assert (config.depth, hash(config)) == (3, hash(MlpGeluConfig(depth=3)))


def test_replace_keeps_the_other_fields_and_validates_the_whole() -> None:
    config = SigLIPConfig(width=32, heads=4)
    assert config.replace(heads=8) == SigLIPConfig(width=32, heads=8)
    assert config.heads == 4
    with pytest.raises(ConfigError, match="the heads divide the width"):
        config.replace(heads=5)
    with pytest.raises(ConfigError, match="did you mean 'heads'"):
        config.replace(head=4)


@pytest.mark.parametrize(
    ("config_class", "given", "line"),
    [
        (MlpGeluConfig, {"dept": 2}, "- dept: MlpGeluConfig has no field 'dept'; did you mean 'depth'? (got 2)"),
        (MlpGeluConfig, {"depth": 0}, "- depth: Input should be greater than or equal to 1 (got 0)"),
        (Assembly, {"projector": {"type": "mlp_gelu", "dept": 2}}, "- projector.dept: MlpGeluConfig has no field"),
        (Assembly, {"projector": "mlp_gel"}, "- projector.type: 'mlp_gel' is not one of the projectors; did you mean"),
        (Assembly, {"projector": {"depth": 2}}, "- projector.type: is missing; it names one of the projectors"),
        (Assembly, {"projector": 3}, "- projector: is a int, but takes a tag, a mapping or a ProjectorConfig (got 3)"),
        (
            Assembly,
            {"decoder": {"type": "deepseek_v2", "moe": {"n_routed_expert": 4}}},
            "- decoder.moe.n_routed_expert: MoEConfig has no field 'n_routed_expert'; did you mean 'n_routed_experts'?",
        ),
        (
            Assembly,
            {"decoder": {"type": "deepseek_v2", "attention": {"type": "mla", "kv_lora_rnk": 4}}},
            "- decoder.attention.kv_lora_rnk: MLAConfig has no field 'kv_lora_rnk'; did you mean 'kv_lora_rank'?",
        ),
        (DeepseekV2Config, {"rope_scaling": {"type": "yarn"}}, "- rope_scaling.factor: Field required"),
        (
            DeepseekV2Config,
            {"moe": {"n_routed_experts": 4, "num_experts_per_tok": 6}},
            "- moe: num_experts_per_tok 6 of 4 experts\n  rule:   at most all experts are active",
        ),
        (Nested, {"parts": ["linear", {"type": "linear", "bias": 1}]}, "- parts.1.bias: LinearConfig has no field"),
        (Nested, {"by_name": {"type": {"n_group": 0}}}, "- by_name.type.n_group: Input should be greater"),
        (SigLIPConfig, {"width": 30, "heads": 4}, "- width 30 with 4 heads\n  rule:   the heads divide the width"),
    ],
)
def test_errors_name_the_exact_path_through_the_given_data(
    config_class: type[Config], given: dict[str, Any], line: str
) -> None:
    attempts: list[Callable[[], Any]] = [
        lambda: config_class(**given),
        lambda: config_class.model_validate(given),
        lambda: config_class.model_validate_json(json.dumps(given)),
    ]
    for attempt in attempts:
        with pytest.raises(ConfigError) as caught:
            attempt()
        head, *lines = str(caught.value).split("\n", maxsplit=1)
        assert head == f"{config_class.__name__} is not valid:"
        assert lines[0].startswith(line)


def test_all_wrong_fields_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        MlpGeluConfig(depth=0, use_bias="perhaps")
    assert [line.split(":")[0] for line in str(caught.value).splitlines()[1:]] == ["- use_bias", "- depth"]


def test_config_errors_are_vlkit_errors_however_a_config_is_made() -> None:
    for attempt in (
        lambda: MlpGeluConfig.model_validate_json("{"),
        lambda: MlpGeluConfig.model_validate(3),
        lambda: DeepseekV2Config().replace(vocab_size=0),
    ):
        with pytest.raises(VlkitError) as caught:
            attempt()
        assert isinstance(caught.value, ConfigError) and isinstance(caught.value, ValueError)


def test_json_schema_lists_all_registered_parts_and_later_plug_ins() -> None:
    class ExtraConfig(ProjectorConfig):
        """Registered by a third party."""

        type: str = "extra_projector"
        """Tag."""

    with projectors.scratch():
        projectors.register(ExtraConfig)(lambda config, **widths: None)  # type: ignore[arg-type]
        schema = json.dumps(Assembly.model_json_schema())
        assert all(f'"default": "{tag}"' in schema for tag in [*projectors, *layouts, *encoders, *decoders])
        assert '"extra_projector"' in schema
    assert '"extra_projector"' not in json.dumps(Assembly.model_json_schema())


SAMPLES = {
    "config.json": '{"projector": {"type": "mlp_gelu", "depth": 3}, "layout": "1D"}',
    "config.toml": 'layout = "1D"\n[projector]\ntype = "mlp_gelu"\ndepth = 3\n',
    "config.yaml": "layout: 1D\nprojector: {type: mlp_gelu, depth: 3}\n",
    "config.YML": "layout: 1D\nprojector: {type: mlp_gelu, depth: 3}\n",
}


@pytest.mark.parametrize("name", SAMPLES)
def test_files_of_all_kinds_give_the_same_config(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(SAMPLES[name])
    expected = Assembly(projector=MlpGeluConfig(depth=3), layout=layouts.resolve("1D"))
    assert Assembly.from_file(tmp_path / name) == expected
    assert Assembly.from_file(str(tmp_path / name)) == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.ini", b"", "config files are .json, .toml or .yaml"),
        ("config", b"{}", "config files are .json, .toml or .yaml"),
        ("config.json", b"{", "malformed"),
        ("config.toml", b"a = ", "malformed"),
        ("config.yaml", b"a: [", "malformed"),
        ("config.json", b"\xff\xfe{}", "malformed"),
        ("config.json", b"[1]", "holds a list"),
        ("config.yaml", b"", "holds a NoneType"),
        ("config.json", b"[" * 100_000, "nested too deeply"),
        ("config.toml", b"a = " + b"[" * 100_000, "nested too deeply"),
        ("config.yaml", b"[" * 20_000, "nested too deeply"),
        ("config.yaml", b"depth: !!python/object/apply:os.getcwd []", "malformed"),
    ],
)
def test_bad_files_are_refused_with_their_path(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_mapping(path)
    assert str(path) in str(caught.value)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    for name in ("missing.json", "folder.json"):
        with pytest.raises(ConfigError, match=r"cannot be read.*\n.*check the path"):
            read_mapping(tmp_path / name)


def test_a_file_of_repeated_references_cannot_swell_the_message(tmp_path: Path) -> None:
    levels = "abcdefghijklmnop"
    lines = ["a: &a [x, x, x, x, x, x, x, x]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 8)}]" for a, b in pairwise(levels)]
    path = tmp_path / "config.yaml"
    path.write_text("\n".join([*lines, "depth: *p"]))
    with pytest.raises(ConfigError) as caught:
        MlpGeluConfig.from_file(path)
    assert len(str(caught.value)) < 10_000


def test_only_small_config_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vlkit.config.MAX_BYTES", 10)
    (tmp_path / "a.json").write_text('{"a": 12345}')
    with pytest.raises(ConfigError, match="longer than 10 bytes"):
        read_mapping(tmp_path / "a.json")
