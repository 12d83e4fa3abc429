"""A package of somebody else's: built, installed in an environment of its own, found by its tag, tested and checked."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

import pytest

from tests.markdown import ROOT

PACKAGE = ROOT / "examples" / "plugin_package"
BUILDS = """
import vlkit
projector = vlkit.DeepseekVLV2Builder("mini").projector("gated", use_bias=False).build().projector
print(type(projector).__module__, projector.up.bias)
"""
FIXTURE = """
def test_laws(check_part):
    check_part("projectors:gated", compiles=False, exports=False)
"""


class Environment:
    """A fresh virtual environment that sees this one's packages, too.

    Args:
        folder: where it is made.
    """

    def __init__(self, folder: Path) -> None:
        venv.create(folder, symlinks=os.name != "nt")
        base = {"base": str(folder), "platbase": str(folder)}
        self.python = Path(sysconfig.get_path("scripts", "venv", base)) / Path(sys.executable).name
        self.site = Path(sysconfig.get_path("purelib", "venv", base))
        lines = [f"import site; site.addsitedir({path!r})" for path in sys.path if path.endswith("site-packages")]
        (self.site / "packages_of_the_tests.pth").write_text("\n".join(lines))

    def run(self, *arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
        """Outcome of the environment's interpreter with these arguments, far from the settings of this process."""
        kept = {
            name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT", "OMP_NUM_THREADS") if name in os.environ
        }
        environ = {**kept, "HF_HUB_OFFLINE": "1", "COLUMNS": "120", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        done = subprocess.run(
            [self.python, *arguments], cwd=folder, env=environ, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Environment with the example's package, and with a broken one."""
    folder = tmp_path_factory.mktemp("environment")
    made = Environment(folder)
    pip = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    made.run(*pip, PACKAGE, folder=folder)
    info = made.site / "broken_parts-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-parts\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[vlkit.projectors]\nbroken = broken_parts\n")
    (made.site / "broken_parts.py").write_text("raise OSError('no such device')\n")
    return made


def test_an_installed_part_is_listed_and_a_broken_one_is_skipped_by_name(
    environment: Environment, tmp_path: Path
) -> None:
    done = environment.run("-m", "vlkit", "components", "projectors", "--json", folder=tmp_path)
    listed: dict[str, Any] = json.loads(done.stdout)["projectors"]
    assert listed["gated"]["config"] == "acme_gated.gated.GatedConfig"
    assert "linear" in listed and "broken" not in listed
    assert "plug-in 'broken' of broken-parts was skipped: no such device" in done.stderr


def test_an_installed_part_is_built_by_its_tag(environment: Environment, tmp_path: Path) -> None:
    done = environment.run("-c", BUILDS, folder=tmp_path)
    assert done.stdout.split() == ["acme_gated.gated", "None"]


def test_the_package_s_own_test_passes_and_pytest_has_the_fixture(environment: Environment, tmp_path: Path) -> None:
    shutil.copytree(PACKAGE / "tests", tmp_path / "tests")
    (tmp_path / "tests" / "test_fixture.py").write_text(FIXTURE)
    done = environment.run("-m", "pytest", "-W", "error", "tests", folder=tmp_path)
    assert "2 passed, 1 warning" in done.stdout and "broken-parts was skipped" in done.stdout


def test_an_installed_part_is_checked_from_the_command_line(environment: Environment, tmp_path: Path) -> None:
    skip = ("--skip", "compile", "--skip", "export")
    done = environment.run("-m", "vlkit", "check", "projectors:gated", *skip, folder=tmp_path)
    assert "22 passed, 3 skipped" in done.stdout
