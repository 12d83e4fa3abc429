"""Parts are found by what a command line names, and whatever is wrong with it is told."""

import sys
from pathlib import Path

import pytest

from vlkit.errors import ConfigError, InputError, RegistryError
from vlkit.projectors import LinearConfig
from vlkit.testing.finding import find

MODULE = """
from vlkit.projectors import LinearConfig, MlpGeluConfig

class OwnConfig(MlpGeluConfig):
    pass

READY = LinearConfig(use_bias=False)
NUMBER = 3
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A current directory with a module, a package, and modules that fail."""
    (tmp_path / "own_part.py").write_text(MODULE)
    (tmp_path / "own_package").mkdir()
    (tmp_path / "own_package" / "__init__.py").write_text("")
    (tmp_path / "own_package" / "gated.py").write_text(MODULE)
    (tmp_path / "needs_more.py").write_text("import a_module_that_is_missing")
    (tmp_path / "divides.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    for name in ("own_part", "own_package", "own_package.gated", "needs_more", "divides"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_modules_of_the_current_directory_are_found_and_the_path_stays() -> None:
    path = list(sys.path)
    assert type(find("own_part:OwnConfig")).__name__ == "OwnConfig"
    assert type(find("own_package.gated:OwnConfig", ["depth=3", "use_bias=false"])).__name__ == "OwnConfig"
    assert find("own_part:READY") == LinearConfig(use_bias=False)
    assert sys.path == path


def test_fields_are_set_as_json_or_as_text() -> None:
    assert find("own_part:READY", ["use_bias=true"]) == LinearConfig()
    assert find("projectors:linear", ["token_pooling=true"]) == LinearConfig(token_pooling=True)
    assert find("layouts:2D", ["global_view=tail"]).global_view == "tail"
    nested = find("encoders:deep_encoder", ['sam={"image_size": 32, "downsample_channels": [1024]}'])
    assert nested.sam.image_size == 32


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("own_prt:OwnConfig", [], ["no module 'own_prt'", "did you mean 'own_part'"]),
        ("own_package.gatd:X", [], ["did you mean 'own_package.gated'"]),
        ("nothing.like.it:X", [], ["no module 'nothing.like.it'"]),
        ("projector:linear", [], ["no module 'projector'", "did you mean 'projectors'"]),
        ("own_part:OwnConfi", [], ["'own_part' has no 'OwnConfi'", "did you mean 'OwnConfig'"]),
        ("own_part", [], ["names no part", "did you mean 'own_part:OwnConfig'"]),
        ("projectors", [], ["names no part", "projectors:average_pool"]),
        ("own_part:", [], ["names no part"]),
        ("no_such", [], ["names no part"]),
        ("needs_more:X", [], ["cannot be imported", "a_module_that_is_missing"]),
        ("divides:X", [], ["cannot be imported: ZeroDivisionError: division by zero"]),
        ("projectors:linear", ["use_bias"], ["'use_bias'", "field=value"]),
        ("own_part:NUMBER", ["a=1"], ["fields are set on 'own_part:NUMBER'"]),
    ],
)
def test_wrong_names_are_told_from_near_ones(name: str, settings: list[str], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        find(name, settings)
    for word in words:
        assert word in str(caught.value)


def test_wrong_tags_and_fields_are_told_as_everywhere() -> None:
    with pytest.raises(RegistryError, match="did you mean 'linear'"):
        find("projectors:liner")
    with pytest.raises(ConfigError, match="did you mean 'use_bias'"):
        find("projectors:linear", ["use_bais=1"])
