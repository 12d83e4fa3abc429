"""Which part of the library may know which: imports go down, and importing one part loads nothing it does not need."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import vlkit

LEVELS = (
    {"errors", "lazy"},
    {"notation", "config", "files"},
    {"registry", "tiling", "foreign"},
    {"cropping"},
    {"cache"},
    {"nn"},
    {"encoders", "projectors", "layouts", "decoders"},
    {"checkpoint", "generation", "processing", "drawing"},
    {"text_inputs", "prefix", "compiled_step"},
    {"vlm_config", "image_inputs", "generate"},
    {"vlm"},
    {"builder", "description"},
    {"bench", "testing"},
    {"models"},
    {"training"},
    {"evaluation"},
    {"printed_text"},
    {"comparison"},
    {"cli"},
    {"__main__"},
)
"""From the bottom up; a part imports from lower levels and from itself, never from its own level or above."""

SERVICES = {"checkpoint", "generation", "processing", "drawing"}
"""Know tensors, files and text, but no part of a model: they import only each other and `SERVICES_KNOW`."""
SERVICES_KNOW = {"errors", "notation", "config", "files", "tiling", "cropping", "layouts"}

ONLY_IN: dict[str, tuple[str, ...]] = {
    "huggingface_hub": ("checkpoint/hub.py",),
    "tokenizers": ("processing/",),
    "PIL": ("processing/", "drawing/", "models/", "training/", "printed_text/", "cli/", "testing/"),
    "hypothesis": ("testing/strategies/",),
    "pytest": ("testing/",),
    "typer": ("cli/",),
    "rich": ("cli/",),
    "transformers": ("foreign/", "encoders/hf_", "decoders/hf_"),
    "timm": ("encoders/timm",),
    "accelerate": ("training/machine.py",),
    "peft": ("training/lora.py",),
    "xformers": (),
    "attrdict": (),
    "numpy": (),
    "pickle": (),
}
"""Libraries with one home, and those with none."""

ADAPTERS = ("foreign/", "encoders/timm", "encoders/hf_", "decoders/hf_", "training/lora.py", "training/machine.py")
"""The only files that may load an optional library."""

SOURCE = Path(vlkit.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
MODULES = sorted(
    ".".join(("vlkit", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__") for path in FILES
)
HEAVY = {"PIL", "huggingface_hub", "tokenizers", "typer", "rich", "yaml", "transformers", "timm", "accelerate", "peft"}

PROBE = """
import importlib, json, sys
seen = {}
for name in sys.argv[1:]:
    for old in [known for known in sys.modules if known.partition(".")[0] == "vlkit"]:
        del sys.modules[old]
    try:
        importlib.import_module(name)
        problem = None
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    own = [known for known in sys.modules if known.partition(".")[0] == "vlkit"]
    seen[name] = {"problem": problem, "own": own, "all": sorted({known.partition(".")[0] for known in sys.modules})}
print(json.dumps(seen))
"""


def part_of(module: str) -> str:
    """Name below `vlkit`: "nn" for "vlkit.nn.rope"; empty for the package itself."""
    return module.split(".")[1] if "." in module else ""


def level_of(part: str) -> int:
    """Height of a part in `LEVELS`."""
    heights = [height for height, parts in enumerate(LEVELS) if part in parts]
    assert heights, f"{part} has no place in LEVELS"
    return heights[0]


def imports(path: Path) -> Iterator[str]:
    """Full names of all modules that a file imports when it runs, inside functions too; not those for types only."""

    def walk(node: ast.AST) -> Iterator[str]:
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                children: list[ast.AST] = list(node.orelse)
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
                return
            case ast.ImportFrom(module="vlkit", names=names):
                yield from (f"vlkit.{alias.name}" for alias in names)
                return
            case ast.ImportFrom(module=str(module), level=0):
                yield module
                return
            case ast.ImportFrom():
                raise AssertionError(f"{path}:{node.lineno}: a relative import hides its level")
            case _:
                children = list(ast.iter_child_nodes(node))
        for child in children:
            yield from walk(child)

    return walk(ast.parse(path.read_text(encoding="utf-8")))


def relative(path: Path) -> str:
    """Path below the package, with forward slashes."""
    return path.relative_to(SOURCE).as_posix()


def probe(*modules: str) -> dict[str, Any]:
    """What a new interpreter has loaded after importing each module as the first of the library."""
    run = subprocess.run([sys.executable, "-c", PROBE, *modules], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


@pytest.fixture(scope="module")
def loaded() -> dict[str, Any]:
    """The probe of every module; parts first, because other libraries stay loaded."""
    parts = [f"vlkit.{part}" for part in ("projectors", "layouts", "encoders", "decoders", "cache")]
    return probe(*parts, *(module for module in MODULES if module not in parts))


def test_every_part_of_the_library_has_one_level() -> None:
    parts = {part_of(module) for module in MODULES} - {""}
    assert sorted(parts - set().union(*LEVELS)) == []
    assert sum(len(level) for level in LEVELS) == len(set().union(*LEVELS))


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.parent != SOURCE or path.stem != "__init__"], ids=relative
)
def test_imports_go_down(path: Path) -> None:
    part = part_of("vlkit." + relative(path).removesuffix(".py").replace("/", "."))
    known = {part_of(module) for module in imports(path) if module.partition(".")[0] == "vlkit"} - {part}
    if part in SERVICES:
        assert known <= SERVICES | SERVICES_KNOW
    else:
        assert {other for other in known if level_of(other) >= level_of(part)} == set()


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_libraries_are_imported_only_where_they_belong(path: Path) -> None:
    used = {module.partition(".")[0] for module in imports(path)} & ONLY_IN.keys()
    assert {library for library in used if not relative(path).startswith(ONLY_IN[library] or ("no file",))} == set()


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_only_adapters_load_optional_libraries(path: Path) -> None:
    loads = any(module.startswith("vlkit.foreign") for module in imports(path))
    assert not loads or relative(path).startswith(ADAPTERS)


def test_imports_are_found_in_functions_and_left_out_for_types(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    lines = ["import a.b", "from vlkit import errors", "if TYPE_CHECKING:", "    import c", "else:", "    import d"]
    path.write_text("\n".join([*lines, "def f():", "    from vlkit.nn.rope import Rope"]))
    assert set(imports(path)) == {"a.b", "vlkit.errors", "d", "vlkit.nn.rope"}


@pytest.mark.parametrize("module", MODULES)
def test_every_module_can_be_the_first_import(module: str, loaded: dict[str, Any]) -> None:
    assert loaded[module]["problem"] is None


@pytest.mark.parametrize("part", ["projectors", "layouts", "encoders", "decoders", "cache"])
def test_importing_a_part_loads_no_neighbour_and_no_heavy_library(part: str, loaded: dict[str, Any]) -> None:
    found = loaded[f"vlkit.{part}"]
    own = {part_of(module) for module in found["own"]} - {"", part}
    assert {other for other in own if level_of(other) >= level_of(part)} == set()
    assert HEAVY & set(found["all"]) == set()


@pytest.mark.parametrize("module", ["vlkit", "vlkit.errors", "vlkit.notation", "vlkit.tiling"])
def test_integers_and_errors_need_no_other_library(module: str) -> None:
    found = probe(module)[module]
    assert found["problem"] is None
    assert {"torch", "numpy", "pydantic", "einops", *HEAVY} & set(found["all"]) == set()


def test_public_names_are_no_modules_whatever_was_used_before() -> None:
    code = "import types, vlkit\nfor _ in 'ab':\n  for name in vlkit.__all__:\n    value = getattr(vlkit, name)\n    "
    code += "assert not isinstance(value, types.ModuleType), name"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("statement", "own"),
    [
        ("from vlkit.encoders import SigLIP", {"base", "siglip"}),
        ("from vlkit.projectors import PixelShuffleConfig", {"base", "mlp", "pixel_shuffle", "pooling"}),
        ("from vlkit.layouts import Layout2D", {"base", "batch_plan", "rows"}),
        ("from vlkit.decoders import HFCausalLMConfig", {"base", "hf_causal_lm", "hf_cache", "hf_head", "hf_model"}),
        ("from vlkit.encoders import encoders; encoders['sam']", {"base", "sam", "siglip", "square"}),
    ],
)
def test_asking_for_one_part_loads_no_other_of_its_kind(statement: str, own: set[str]) -> None:
    kind = re.findall(r"vlkit\.(\w+)", statement)[0]
    code = f"{statement}\nimport sys\nprint(*(name for name in sys.modules if name.startswith('vlkit.{kind}.')))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {name.rpartition(".")[2] for name in run.stdout.split()} <= own
