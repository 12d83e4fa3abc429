"""Nothing of the library knows its own testing kit, and the kit's checks need nothing that users may lack."""

import subprocess
import sys

from tests.test_imports import FILES, imports, relative


def test_only_the_command_line_knows_the_kit() -> None:
    others = [path for path in FILES if not relative(path).startswith("testing/")]
    knowing = {relative(path) for path in others if any(name.startswith("vlkit.testing") for name in imports(path))}
    assert knowing == {"cli/check.py"}


def test_checks_need_neither_hypothesis_nor_pytest() -> None:
    code = """
import sys
sys.modules["hypothesis"] = sys.modules["pytest"] = None
from vlkit.testing import check_projector
from vlkit.projectors import LinearConfig
print(check_projector(LinearConfig(), compiles=False, exports=False).summary)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "23 passed, 2 skipped", run.stderr
