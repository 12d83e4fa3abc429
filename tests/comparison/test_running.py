"""Studies that run: paired by seed, resumed, kept, measured."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.comparison.studies import study
from tests.training.runs import recipe, samples
from vlkit.comparison import Comparison
from vlkit.comparison import one_run as runs
from vlkit.errors import ConfigError, InputError, TrainingError
from vlkit.processing.processor import Processor
from vlkit.training import FromIterable, Sample, train
from vlkit.vlm import VLM


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study."""
    made = tmp_path_factory.mktemp("study")
    study(made, metrics=["exact_match"], max_new_tokens=2)
    return made


def test_every_run_is_an_ordinary_run(folder: Path, tmp_path: Path) -> None:
    for variant in ("layout=2D", "layout=1D"):
        for seed in (0, 1):
            place = folder / "runs" / variant / f"seed-{seed}"
            assert {"recipe.toml", "metrics.jsonl", "model", "measured.json"} <= {path.name for path in place.iterdir()}
    alone = train(recipe(steps=4, log_every=1, save_every=1), output=tmp_path, source=samples(), held_out=samples())
    losses = [loss for _, loss in Comparison.from_file(folder).runs[0].curve]
    assert losses == [row["loss"] for row in alone.history]


def test_numbers_are_those_of_the_runs(folder: Path) -> None:
    found = Comparison.from_file(folder)
    assert [measure.name for measure in found.measures] == ["exact_match", "eval_loss", "loss"]
    assert found.unfinished == 0
    for row in found.rows:
        assert row.estimate is not None and row.estimate.count == 2
        assert (row.difference is None) == (row.variant == "layout=2D")
    rows = [
        json.loads((folder / "runs" / "layout=1D" / f"seed-{n}" / "metrics.jsonl").read_text().splitlines()[-1])
        for n in (0, 1)
    ]
    row = found.row("layout=1D", "eval_loss")
    assert list(row.values.values()) == [each["eval_loss"] for each in rows]
    base = found.row("layout=2D", "eval_loss")
    assert row.difference is not None and base.estimate is not None and row.estimate is not None
    assert row.difference.mean == pytest.approx(row.estimate.mean - base.estimate.mean)
    assert (folder / "comparison.png").read_bytes()[:4] == b"\x89PNG"


def test_all_variants_of_a_repeat_see_the_same_samples_in_the_same_order(tmp_path: Path) -> None:
    seen: dict[str, list[str]] = {}

    class Watched:
        count = 9
        now = ""

        def sample(self, index: int) -> Sample:
            sample = samples().sample(index)
            if self.now:
                seen.setdefault(self.now, []).append(sample.origin)
            return sample

    source = Watched()

    def note(progress: Any) -> None:
        source.now = f"{progress.run}"

    study(tmp_path, source=source, held_out=samples(), on_progress=note)
    first, second, third, fourth = (seen[name][:12] for name in "1234")
    assert first == second and third == fourth and first != third


def test_what_is_done_is_not_done_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Comparison.from_file(folder)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(runs, "train", refuse)
    told: list[Any] = []
    again = study(folder, metrics=["exact_match"], max_new_tokens=2, on_progress=told.append)
    assert again.to_dict() == before.to_dict()
    assert [(each.run, each.training) for each in told] == [(1, None), (2, None), (3, None), (4, None)]


def test_a_study_that_was_stopped_goes_on_to_the_same_numbers(folder: Path, tmp_path: Path) -> None:
    def stop(progress: Any) -> None:
        if progress.run == 2 and progress.training.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study(tmp_path, on_progress=stop)
    assert Comparison.from_file(tmp_path).unfinished == 3
    steps = []
    went_on = study(tmp_path, on_progress=lambda each: steps.append((each.run, each.training and each.training.step)))
    assert steps[:3] == [(1, None), (2, 4), (3, 1)]
    whole = Comparison.from_file(folder)
    for measure in ("loss", "eval_loss"):
        assert [went_on.row(name, measure).values for name in ("layout=2D", "layout=1D")] == [
            whole.row(name, measure).values for name in ("layout=2D", "layout=1D")
        ]


def test_a_study_can_grow_and_be_measured_anew(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def own(model: VLM, processor: Processor[Any]) -> dict[str, float]:
        return {"weight": float(next(model.parameters()).detach().sum())}

    trained: list[str] = []

    def noted(each: Any, **given: Any) -> Any:
        trained.append(str(given["output"]))
        return train(each, **given)

    monkeypatch.setattr(runs, "train", noted)
    study(tmp_path, seeds=1)
    grown = study(tmp_path, {"layout": ["2D", "1D", "plain"]}, seeds=1, measure=own)
    assert [Path(each).parent.name for each in trained] == ["layout=2D", "layout=1D", "layout=plain"]
    assert [measure.name for measure in grown.measures] == ["weight", "eval_loss", "loss"]
    assert grown.row("layout=1D", "weight").verdict == ""
    assert "One seed" in grown.table()


def test_a_run_that_diverges_is_reported_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def train_or_fail(chosen: Any, **given: Any) -> Any:
        if chosen.optimizer.lr == 5 and chosen.seed == 4:
            raise TrainingError("step 3: loss nan")
        return train(chosen, **given)

    monkeypatch.setattr(runs, "train", train_or_fail)
    found = study(tmp_path, {"lr": [0.02, 5.0]})
    assert [run.failed for run in found.runs] == [None, None, None, "step 3: loss nan"]
    row = found.row("lr=5", "loss")
    assert row.estimate is not None and row.estimate.count == 1 and row.verdict == ""
    assert "1 runs only" in found.table() and "Failed: lr=5, repeat 1: step 3: loss nan" in found.table()


def test_a_folder_of_something_else_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "holiday.txt").write_text("photos")
    with pytest.raises(TrainingError, match="no study"):
        study(tmp_path)
    with pytest.raises(TrainingError, match="another recipe: steps was 4, is 5"):
        study(folder, steps=5)
    with pytest.raises(TrainingError, match="is a file"):
        study(tmp_path / "holiday.txt")


def test_what_cannot_be_measured_is_told_before_anything_runs(tmp_path: Path) -> None:
    output = tmp_path / "none"
    with pytest.raises(InputError, match="did you mean 'exact_match'"):
        study(output, metrics=["exact_mach"])
    with pytest.raises(InputError, match="without held-out samples"):
        study(output, recipe=recipe(evaluation=None), held_out=None, metrics=["exact_match"])
    with pytest.raises(ConfigError, match="variants cannot be trained"):
        study(output, {"layout": ["2D", "3D"]})
    long = FromIterable([samples().sample(0)])
    with pytest.raises(ConfigError, match=r"max_length|tokens"):
        study(output, recipe=recipe(batching={"batch_size": 1, "max_length": 4}), source=long)
    assert not output.exists()


def test_own_numbers_must_be_finite_and_named_anew(tmp_path: Path) -> None:
    for own in ({"loss": 1.0}, {"x": float("nan")}):
        with pytest.raises(InputError, match="of your own gives"):
            study(tmp_path, seeds=1, measure=lambda model, processor, own=own: own)
