"""What `import vlkit` offers."""

import importlib.resources
import subprocess
import sys

import pytest

import vlkit


@pytest.mark.parametrize("name", vlkit.__all__)
def test_every_public_name_can_be_imported_and_is_described(name: str) -> None:
    value = getattr(vlkit, name)
    if name != "presets":
        assert value.__doc__
        assert value.__name__ == name


def test_the_listing_is_complete() -> None:
    assert set(vlkit.__all__) <= set(dir(vlkit))
    assert len(set(vlkit.__all__)) == len(vlkit.__all__)


def test_other_names_are_no_attributes() -> None:
    with pytest.raises(AttributeError, match="module 'vlkit' has no attribute 'biuld'"):
        _ = vlkit.biuld


def test_types_are_shipped() -> None:
    assert importlib.resources.files("vlkit").joinpath("py.typed").is_file()


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("vlkit", ["torch", "pydantic", "PIL", "huggingface_hub", "tokenizers"]),
        ("vlkit.projectors", ["vlkit.decoders", "vlkit.encoders", "huggingface_hub", "PIL", "tokenizers"]),
    ],
)
def test_importing_one_part_loads_nothing_else(module: str, absent: list[str]) -> None:
    code = f"import sys, {module}; print([name for name in {absent!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
