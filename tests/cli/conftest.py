"""A checkpoint folder for the commands that run a model, pictures for it, and a runner."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

import vlkit
from tests.training.runs import recipe, samples
from vlkit.cli import app
from vlkit.models.deepseek_vl2.processor import DeepseekVLV2Processor
from vlkit.training.toml import to_toml

Run = Callable[..., "Outcome"]


class Outcome:
    """What a command printed, white space and frames around texts left out of `shown`."""

    def __init__(self, code: int, out: str, err: str, exception: BaseException | None) -> None:
        self.code, self.out, self.err, self.exception = code, out, err, exception

    @property
    def shown(self) -> str:
        return " ".join(self.err.translate(str.maketrans("│╭╮╰╯─", "      ")).split())


@pytest.fixture
def run() -> Run:
    """Runs the command line in this process."""

    def invoke(*arguments: str | Path, stdin: str | None = None) -> Outcome:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
        return Outcome(result.exit_code, result.stdout, result.stderr, result.exception)

    return invoke


@pytest.fixture(scope="session")
def checkpoint(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A golden checkpoint with a processor of bytes beside it."""
    folder = tmp_path_factory.mktemp("checkpoint")
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(golden / "a2_mha_greedy_2d_head" / name, folder / name)
    DeepseekVLV2Processor.for_model(vlkit.DeepseekVLV2Config.from_hf(folder)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wide picture."""
    path = tmp_path_factory.mktemp("pictures") / "wide.png"
    Image.linear_gradient("L").resize((150, 70)).save(path)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A recipe whose data is on the disk."""
    source, folder = samples(), tmp_path / "pictures"
    folder.mkdir()
    entries = []
    for index in range(source.count):
        sample = source.sample(index)
        sample.images[0].save(folder / f"{index}.png")
        turns = [{"from": "human", "value": "<image>\n?"}, {"from": "gpt", "value": sample.conversation[1]["content"]}]
        entries.append(json.dumps({"id": index, "image": f"{index}.png", "conversations": turns}))
    (tmp_path / "list.jsonl").write_text("\n".join(entries))
    data = {"type": "jsonl", "file": str(tmp_path / "list.jsonl"), "images": str(folder)}
    chosen = recipe(steps=4, log_every=2, data=data, evaluation={"every": 4, "data": data})
    path = tmp_path / "colours.toml"
    path.write_text(to_toml(chosen.model_dump(mode="json", exclude_none=True)))
    return path
