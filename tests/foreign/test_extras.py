"""Optional libraries: a clear error where one is missing or broken, and for what it refuses."""

import subprocess
import sys
from pathlib import Path

import pytest

from vlkit.errors import CheckpointError, ConfigError
from vlkit.foreign.extras import load_extra, refusals_of

PROBE = """
import sys
sys.modules["timm"] = sys.modules["transformers"] = None
from vlkit.decoders import HFCausalLMConfig
from vlkit.encoders import HFVisionConfig, TimmConfig
for config_class in (TimmConfig, HFVisionConfig, HFCausalLMConfig):
    try:
        config_class()
    except ValueError as error:
        print(str(error).replace(chr(10), "|"))
"""


def test_configs_that_need_a_library_name_its_extra() -> None:
    run = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    told = run.stdout.splitlines()
    assert [f'pip install "vlkit[{name}]"' in line for name, line in zip(("timm", *["transformers"] * 2), told)] == [
        True
    ] * 3


@pytest.mark.parametrize(("code", "message"), [
    (None, r"gadgets is not installed\n.*optional\n.*pip install \"vlkit\[gadgets\]\""),
    ("import no_such_module_either", r"gadgets is installed, but its import fails: ModuleNotFoundError: No module"),
    ("raise RuntimeError('operator nms does not exist')", r"import fails: RuntimeError: operator nms[\s\S]*--upgrade"),
])  # fmt: skip
def test_missing_and_broken_libraries_are_told_apart(
    code: str | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if code is not None:
        (tmp_path / "gadgets.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=message):
        load_extra("gadgets")


def test_whatever_a_library_raises_becomes_an_error_of_ours() -> None:
    with (
        pytest.raises(CheckpointError, match=r"^weights: KeyError: 'lm_head'\n.*gadgets decides") as found,
        refusals_of("gadgets", "weights", error=CheckpointError),
    ):
        raise KeyError("lm_head")
    assert isinstance(found.value.__cause__, KeyError)
    with pytest.raises(ConfigError, match=r"^own"), refusals_of("gadgets", "weights", error=CheckpointError):
        raise ConfigError("own")
