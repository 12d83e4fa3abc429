"""Put a trained reader into the library: `python examples/reader/ship.py RUN`.

The weights are rounded to the type of 16 bits with which the model's answers change less, and written with the
processor as the folder of a checkpoint. What was done is written beside this file: `shipped.json`, the log of the run
as `metrics.jsonl`, and its picture `curve.png`. Afterwards `evaluate.py` measures what was shipped.
"""

import argparse
import copy
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from reader_curve import training_curve

import vlkit
from vlkit.bench.machine import describe_machine
from vlkit.errors import CheckpointError
from vlkit.files import write_json, write_text
from vlkit.printed_text.answer import Answer
from vlkit.printed_text.answering import Question, answer_all
from vlkit.printed_text.held_out import held_out_pages
from vlkit.printed_text.questions import READ, WHERE
from vlkit.processing.processor import Processor
from vlkit.training import Recipe
from vlkit.training.checkpoints import Checkpoints, read_state
from vlkit.training.metrics import MetricsFile, Row
from vlkit.training.run_folder import RunFolder, differences
from vlkit.training.whole_folder import write_whole
from vlkit.vlm import VLM

HERE = Path(__file__).parent
ASSETS = HERE.parents[1] / "src" / "vlkit" / "assets" / "vlkit-reader"
MOST_BYTES = 8_000_000
"""Size of the folder from which it is not shipped."""
TYPES = (torch.bfloat16, torch.float16)
SEED = 2
"""Of the pages on which the types are compared."""
COUNTED = ("step", "samples", "tokens", "seconds")
"""What goes on counting from one run to the next."""


def main() -> None:
    """Choose the type, write the folder, and tell what was done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a run; without its `model`, the newest checkpoint is taken")
    parser.add_argument("--before", nargs="*", default=[], help="runs that it went on from, RUN or RUN@STEP")
    parser.add_argument("--recipe", type=Path, default=HERE / "recipe.toml", help="says what pages look like")
    parser.add_argument("--pages", type=int, default=200, help="pages on which the types are compared")
    parser.add_argument("--output", type=Path, default=ASSETS)
    parser.add_argument("--records", type=Path, default=HERE, help="where log, curve and shipped.json go")
    parser.add_argument("--machine", help="that it was trained on; by default this one")
    given = parser.parse_args()
    folder, step = trained(given.run)
    recipe = Recipe.from_file(given.recipe)
    for difference in strange(recipe, RunFolder(given.run).recipe):
        print(f"note: {given.recipe.name} is not what was trained with: {difference}", file=sys.stderr)
    model, processor = vlkit.from_pretrained(folder, dtype=torch.float32), vlkit.load_processor(folder)
    pages = held_out_pages(recipe.data.pages.replace(grids=0.0), given.pages, seed=SEED)
    questions = [(question, page.image) for question in (READ, WHERE) for page in pages]
    with tempfile.TemporaryDirectory() as temporary:
        compared = compare(model, processor, questions, Path(temporary))
        chosen = max(compared, key=lambda name: order(compared[name]))
        require_small(Path(temporary) / chosen)
        write_whole(
            given.output,
            lambda whole: shutil.copytree(Path(temporary) / chosen, whole, dirs_exist_ok=True),
        )
    rows = log(given.before, given.run, step)
    shipped = {
        "weights": hashlib.sha256((given.output / "model.safetensors").read_bytes()).hexdigest(),
        "bytes": size(given.output),
        "type": chosen,
        "questions": len(questions),
        "types": compared,
        "finished": RunFolder(given.run).model.is_dir(),
        "runs": len(given.before) + 1,
        **{name: rows[-1][name] for name in COUNTED},
        "machine": given.machine or str(describe_machine()),
    }
    write_text(given.records / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    training_curve(rows).save(given.records / "curve.png", optimize=True)
    write_json(given.records / "shipped.json", shipped)
    print(f"{folder} as {chosen}, {size(given.output):,} bytes, in {given.output}")


def trained(run: Path) -> tuple[Path, int | None]:
    """Folder of a run's model, or of its newest checkpoint with its step if the run has not finished.

    Raises:
        CheckpointError: if it has neither.
    """
    files = RunFolder(run)
    if files.model.is_dir():
        return files.model, None
    newest = Checkpoints(files.checkpoints, keep=1).latest()
    if newest is None:
        raise CheckpointError(
            f"{run} has neither a model nor a checkpoint",
            rule="what is shipped was trained",
            remedy="name the folder of a run of examples/reader/train.py",
        )
    print(f"note: {run} has not finished, its newest checkpoint is taken: {newest.name}", file=sys.stderr)
    return newest, read_state(newest)["step"]


def strange(recipe: Recipe, trained_with: Path) -> list[str]:
    """Where the recipe here differs from that of a run, but for the parts that `train.py` passes as objects."""
    if not trained_with.is_file():
        return [f"{trained_with} is missing"]
    return differences(Recipe.from_file(trained_with), recipe.replace(model=None, tokenizer=None))


def compare(model: VLM, processor: Processor[Any], questions: Sequence[Question], folder: Path) -> dict[str, Any]:
    """How answers change with each type, computed in it and in float32; the models are left in `folder`.

    Args:
        model: in float32.
        processor: that of the model.
        questions: that are asked.
        folder: gets a folder for each type.
    """
    exact, found = answer_all(model, processor, questions), {}
    for kind in TYPES:
        name = str(kind).removeprefix("torch.")
        save(model, processor, kind, folder / name)
        rounded = vlkit.from_pretrained(folder / name, dtype=torch.float32)
        found[name] = {
            "computed in it": agreement(exact, answer_all(vlkit.from_pretrained(folder / name), processor, questions)),
            "computed in float32": agreement(exact, answer_all(rounded, processor, questions)),
        }
        print(f"{name}: {json.dumps(found[name])}", file=sys.stderr, flush=True)
    return found


def save(model: VLM, processor: Processor[Any], kind: torch.dtype, folder: Path) -> None:
    """Write a model in another type.

    Raises:
        CheckpointError: if a weight is too large for the type.
    """
    rounded = copy.deepcopy(model).to(kind)
    for (name, values), (_, whole) in zip(rounded.state_dict().items(), model.state_dict().items(), strict=True):
        if not bool(values.isfinite().all()):
            raise CheckpointError(f"{name} holds {float(whole.abs().max()):g}, which is too large for {kind}")
    vlkit.save_pretrained(rounded, folder, processor=processor)


def agreement(exact: Sequence[Answer], rounded: Sequence[Answer]) -> dict[str, float]:
    """Share of equal answers, and the mean difference of the probabilities of these."""
    equal = [(one, other) for one, other in zip(exact, rounded, strict=True) if one.text == other.text]
    difference = sum(abs(one.probability - other.probability) for one, other in equal) / max(len(equal), 1)
    return {"equal": round(len(equal) / len(exact), 5), "difference": round(difference, 7)}


def order(found: dict[str, dict[str, float]]) -> tuple[float, ...]:
    """What the better type has more of: equal answers, then nearness of their probabilities."""
    own, rounding = found["computed in it"], found["computed in float32"]
    return (own["equal"] + rounding["equal"], -own["difference"] - rounding["difference"])


def size(folder: Path) -> int:
    """Bytes of the files of a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def require_small(folder: Path) -> None:
    """Refuse what is too large for a package.

    Raises:
        CheckpointError: if it is.
    """
    if size(folder) > MOST_BYTES:
        raise CheckpointError(
            f"the folder has {size(folder):,} bytes",
            rule=f"what comes with the library has at most {MOST_BYTES:,}",
            remedy="train a smaller model",
        )


def log(before: Sequence[str], run: Path, step: int | None) -> list[Row]:
    """Rows of a run, behind those of the runs that it went on from.

    Args:
        before: earlier runs, RUN or RUN@STEP, the oldest first.
        run: the last one.
        step: that was taken of it; None: the last.

    Raises:
        CheckpointError: if there are no rows.
    """
    parts = [(Path(name), int(at) if at else None) for name, _, at in (text.partition("@") for text in before)]
    rows: list[Row] = []
    for folder, last in [*parts, (run, step)]:
        own = [row for row in MetricsFile(RunFolder(folder).metrics).rows() if last is None or row["step"] <= last]
        if not own:
            raise CheckpointError(f"{RunFolder(folder).metrics} has no rows", rule="a run writes them as it goes")
        done = {name: rows[-1][name] if rows else 0 for name in COUNTED}
        rows += [row | {name: row[name] + done[name] for name in COUNTED} for row in own]
    return rows


if __name__ == "__main__":
    main()
