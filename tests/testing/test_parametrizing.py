"""Each law as a test of its own, and the fixture of the plug-in for pytest."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor

import vlkit.testing.plugin
from vlkit.layouts import Layout2DConfig
from vlkit.projectors import Linear, LinearConfig
from vlkit.testing import LawError, laws
from vlkit.testing.checks import SUBJECTS
from vlkit.testing.parametrizing import LawTest

pytest_plugins = ["pytester"]


@laws(Layout2DConfig(global_view="tail"))
def test_a_law_is_a_test(law: LawTest) -> None:
    law()


def test_the_tests_are_called_after_the_laws() -> None:
    mark = laws(LinearConfig()).mark
    assert [each.id for each in mark.args[1]] == [law.name for law in SUBJECTS["projectors"].laws]
    assert repr(mark.args[1][0].values[0]) == "<law 'frozen' of projector 'linear' (LinearConfig)>"


def test_a_broken_law_fails_and_one_that_says_nothing_is_skipped() -> None:
    class Doubles(Linear):
        def forward(self, x_NYXW: Tensor) -> Tensor:
            return super().forward(torch.cat([x_NYXW, x_NYXW]))

    mark = laws(Doubles(LinearConfig(), in_dim=2, out_dim=3), compiles=False).mark
    tests = {each.id: each.values[0] for each in mark.args[1]}
    with pytest.raises(LawError, match=r"for 1 samples .* forward gave 2"):
        tests["grid"]()
    with pytest.raises(pytest.skip.Exception, match=r"compile: torch\.compile is not promised"):
        tests["compile"]()


TEST = """
from vlkit.projectors import LinearConfig
from vlkit.testing import laws

@laws(LinearConfig(), compiles=False, exports=False)
def test_linear(law):
    law()

def test_fixture(check_part):
    assert check_part(LinearConfig(), compiles=False, exports=False).ok
    assert check_part("layouts:2D", dim=4, compiles=False, exports=False).ok
"""


def test_the_plug_in_gives_a_fixture(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TEST)
    result = pytester.runpytest_inprocess(
        "-p", "no:vlkit", "-p", "vlkit.testing.plugin", "-p", "no:cov", "-p", "no:cacheprovider"
    )
    result.assert_outcomes(passed=len(SUBJECTS["projectors"].laws) - 1, skipped=2)


def test_the_plug_in_loads_nothing() -> None:
    code = "import sys, vlkit.testing.plugin; print(*sorted(m for m in sys.modules if m.split('.')[0] in sys.argv))"
    run = subprocess.run([sys.executable, "-c", code, "vlkit", "torch", "numpy", "hypothesis"], capture_output=True)
    assert run.stdout.decode().split() == ["vlkit", "vlkit.lazy", "vlkit.testing", "vlkit.testing.plugin"]


def test_the_fixture_is_the_check_of_any_part() -> None:
    check = vlkit.testing.plugin.check_part.__wrapped__()  # type: ignore[attr-defined]
    assert check(LinearConfig(), compiles=False, exports=False).ok
