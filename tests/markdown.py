"""Markdown pages as tests: their code runs, and what they say that it prints is what it prints.

`python -m tests.markdown docs/index.md ...` writes what is printed now into the pages.
"""

import contextlib
import io
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from tests.torchvision_operators import declare_missing_operators
from vlkit.cache import cache_policies
from vlkit.decoders import decoders
from vlkit.encoders import encoders
from vlkit.layouts import layouts
from vlkit.projectors import projectors

ROOT = Path(__file__).parents[1]
ASSETS = ROOT / "src" / "vlkit" / "assets"
PHOTO = ASSETS / "demo.jpg"
PICTURES = {"photo.jpg": PHOTO, "text.png": ASSETS / "demo-text.png"}
"""Pictures that every page finds in its folder."""
REASONS = ("needs the hub", "needs a GPU")
"""Why a block may be left out; it says so in a comment directly above: `<!-- not run: needs the hub -->`."""
LIBRARIES = {"timm": "timm", "transformers": "transformers", "lora": "peft", "train": "accelerate"}
"""Optional libraries by the extra that installs them."""
SHELLS = ("bash", "console")
FENCE = re.compile(r"^```(\w*)(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXTRAS = re.compile(r'pip install "vlkit\[([\w,]+)\]"')
COMMENT = re.compile(r"<!-- (.*?) -->\n\Z")
SNIPPET = re.compile(r'^--8<-- "(?P<path>[^":]+)"$')


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Args:
        page: where it stands.
        line: number of the line of its opening fence.
        language: word after the fence.
        text: what is in it.
        comment: the HTML comment directly above, without its signs; "" if there is none.
    """

    page: Path
    line: int
    language: str
    text: str
    comment: str

    @property
    def is_output(self) -> bool:
        """Whether it shows what the block before it prints."""
        return self.comment == "output"

    @property
    def is_run(self) -> bool:
        """Whether its code is run here."""
        return not self.comment.startswith("not run")

    @property
    def snippet(self) -> Path | None:
        """File that the block shows, if it shows one."""
        found = SNIPPET.match(self.text.strip())
        return ROOT / found["path"] if found else None

    @property
    def commands(self) -> list[str]:
        """Command lines of a block of a shell, prompts and comments taken away."""
        lines = [line.removeprefix("$ ") for line in self.text.splitlines() if line.strip()]
        return [line for line in lines if not line.startswith("#")]


def blocks(page: Path) -> list[Block]:
    """Fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        before = text[: match.start()]
        comment = COMMENT.search(before)
        found.append(Block(page, before.count("\n") + 1, match[1], match[3], comment[1] if comment else ""))
    return found


def run_page(page: Path) -> None:
    """Run the blocks of a page in one namespace, one after the other, in the current directory.

    Raises:
        AssertionError: if a block prints something else than the output below it says.
    """
    for block, printed in outputs(page):
        assert block.text == printed, f"{page.name}:{block.line} shows another output"


def outputs(page: Path) -> Iterator[tuple[Block, str]]:
    """Each block of output and what was printed, while the page runs."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    printed = ""
    with fresh_registries():
        for block in blocks(page):
            if block.is_output:
                yield block, printed
            elif block.is_run and block.snippet is None:
                printed = _tidy(_printed(block, namespace))


def _tidy(text: str) -> str:
    """Text without white space at the ends of lines, and without empty lines around it."""
    lines = [line.rstrip() for line in text.splitlines()]
    return "\n".join(lines).strip("\n") + "\n"


def _printed(block: Block, namespace: dict[str, Any]) -> str:
    out = io.StringIO()
    if block.language == "python":
        source = "\n" * block.line + block.text
        with contextlib.redirect_stdout(out):
            exec(compile(source, str(block.page), "exec"), namespace)
    elif block.language in SHELLS:
        for command in block.commands:
            words = shlex.split(command)
            if words[0] == "vlkit":
                out.write(_run_command(words[1:]))
    return out.getvalue()


def _run_command(arguments: list[str]) -> str:
    from vlkit.cli import app

    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, f"vlkit {shlex.join(arguments)} ended with {result.exit_code}: {result.output}"
    return result.output


@contextlib.contextmanager
def fresh_registries() -> Iterator[None]:
    """Context whose registrations last until its end."""
    with contextlib.ExitStack() as stack:
        for registry in (encoders, projectors, layouts, decoders, cache_policies):
            stack.enter_context(registry.scratch())
        yield


def require_extras(text: str) -> None:
    """Skip the test unless there are the optional libraries that a page or an example says it needs."""
    for names in EXTRAS.findall(text):
        for name in LIBRARIES.keys() & set(names.split(",")):
            pytest.importorskip(LIBRARIES[name])


def prepare(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let a page run in a folder with nothing but two pictures, with repeatable numbers and without a network."""
    monkeypatch.chdir(folder)
    for name, picture in PICTURES.items():
        shutil.copy(picture, name)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    torch.manual_seed(0)


def rewrite(page: Path) -> None:
    """Write what the blocks of a page print now into the outputs below them."""
    page = page.resolve()
    with pytest.MonkeyPatch.context() as monkeypatch, tempfile.TemporaryDirectory() as folder:
        prepare(monkeypatch, Path(folder))
        found = list(outputs(page))
    lines = page.read_text(encoding="utf-8").split("\n")
    for block, printed in reversed(found):
        lines[block.line : block.line + block.text.count("\n")] = printed.rstrip("\n").split("\n")
    page.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    declare_missing_operators()
    for argument in sys.argv[1:]:
        rewrite(Path(argument))
