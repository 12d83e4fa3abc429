"""The application: quick help, errors as panels with the right exit code, tracebacks only on request."""

import subprocess
import sys
from pathlib import Path

import pytest

import vlkit
from tests.cli.conftest import Run
from vlkit.cli.terminal import printable
from vlkit.errors import InputError

COMMANDS = ("demo", "layout", "generate", "chat", "describe", "components")


def test_help_names_every_command(run: Run) -> None:
    for arguments in (["--help"], ["-h"]):
        outcome = run(*arguments)
        assert outcome.code == 0
        assert all(command in outcome.out for command in COMMANDS)


@pytest.mark.parametrize(
    ("command", "default"),
    [
        ("demo", "one that comes with vlkit"),
        ("components", "all"),
        ("generate", "as in the file"),
        ("chat", "if there is"),
    ],
)
def test_help_tells_what_happens_without_an_option(run: Run, command: str, default: str) -> None:
    assert default in " ".join(run(command, "--help").out.replace("│", "").split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(run: Run, command: str) -> None:
    outcome = run(command, "--help")
    assert outcome.code == 0
    assert "Usage" in outcome.out


def test_help_is_quick_because_nothing_heavy_is_imported() -> None:
    code = "import sys, vlkit.cli; print(sorted({'torch', 'PIL', 'pydantic', 'tokenizers'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_module_is_the_command_line() -> None:
    run = subprocess.run([sys.executable, "-m", "vlkit", "--version"], capture_output=True, text=True, check=True)
    assert run.stdout == f"vlkit {vlkit.__version__}\n"


def test_errors_are_a_panel_with_problem_rule_and_remedy(run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_text("no picture")
    outcome = run("layout", tmp_path / "broken.png", "-o", tmp_path / "out.png")
    assert outcome.code == 1
    assert outcome.out == ""
    assert "InputError" in outcome.shown
    assert "cannot be read as a picture" in outcome.shown
    assert "rule files are whole" in outcome.shown
    assert "remedy open it with another program" in outcome.shown
    assert "Traceback" not in outcome.err


def test_debug_lets_the_error_through(run: Run) -> None:
    outcome = run("--debug", "layout", "missing.png")
    assert outcome.code == 1
    assert isinstance(outcome.exception, InputError)


@pytest.mark.parametrize("arguments", [["nothing"], ["layout"], ["describe", "mini", "--dtype", "int8"], ["--bogus"]])
def test_wrong_usage_has_another_exit_code(run: Run, arguments: list[str]) -> None:
    outcome = run(*arguments)
    assert outcome.code == 2
    assert "Usage" in outcome.err


def test_what_steers_a_terminal_is_not_printed() -> None:
    assert printable("a\x1b[31mb\x07\r\n\tä\N{SLIGHTLY SMILING FACE}") == "a·[31mb··\n\tä\N{SLIGHTLY SMILING FACE}"
