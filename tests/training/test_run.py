"""Training from beginning to end: it learns, and neither batches, memory savings nor stops change what it learns."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import vlkit
from tests.training.runs import MODEL, measured, recipe, run, samples
from vlkit.errors import CheckpointError, ConfigError, TrainingError
from vlkit.training import FromIterable, Progress, Sample, train
from vlkit.training.run import Run


def losses(rows: list[dict[str, Any]]) -> list[float]:
    return [row[name] for row in rows for name in ("loss", "aux_loss", "eval_loss") if name in row]


def bias_of(model: vlkit.VLM) -> torch.Tensor:
    return model.get_parameter("decoder.layers.1.mlp.router.e_score_correction_bias")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The usual run, never stopped."""
    return run(tmp_path_factory.mktemp("whole"))


def test_it_learns_and_leaves_what_it_says(whole: Any) -> None:
    rows = whole.history
    assert [row["step"] for row in rows] == [3, 6, 9, 12]
    assert rows[-1]["eval_loss"] < 0.7 * rows[0]["loss"]
    assert rows[-1]["samples"] == 48
    assert {"gradient_norm", "lr", "tokens", "expert_entropy", "idle_experts"} <= rows[0].keys()
    assert [json.loads(line) for line in (whole.folder / "metrics.jsonl").read_text().splitlines()] == rows
    assert sorted(path.name for path in whole.folder.iterdir()) == [
        "checkpoints",
        "curve.png",
        "metrics.jsonl",
        "model",
        "recipe.toml",
    ]
    assert sorted(path.name for path in (whole.folder / "checkpoints").iterdir()) == ["step-000008", "step-000012"]
    with Image.open(whole.folder / "curve.png") as curve:
        assert curve.format == "PNG"
    assert not [path for path in whole.folder.rglob("*") if path.suffix in {".bin", ".pt", ".pkl", ".tmp"}]


def test_the_model_at_the_end_is_the_trained_one_and_reads(whole: Any) -> None:
    model, processor = vlkit.from_pretrained(whole.folder / "model"), vlkit.load_processor(whole.folder / "model")
    assert not whole.model.training
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name
    question = [{"role": "<|User|>", "content": "<image>\n?"}, {"role": "<|Assistant|>", "content": ""}]
    inputs = processor(conversations=question, images=[Image.new("RGB", (8, 8), (220, 20, 20))])
    assert model.generate(**inputs, max_new_tokens=2).shape == (1, 2)


def test_the_routers_bias_moved_by_the_load(whole: Any) -> None:
    bias = bias_of(whole.model)
    assert bias.abs().max() > 0
    torch.testing.assert_close(bias / 0.001, (bias / 0.001).round(), rtol=0, atol=1e-3)


def test_without_speed_the_bias_stays(tmp_path: Path) -> None:
    result = run(tmp_path, steps=2, balance={"speed": 0.0, "statistics": False}, evaluation=None, schedule={})
    bias = bias_of(result.model)
    assert bias.abs().max() == 0
    assert "expert_entropy" not in result.history[0]


@pytest.mark.parametrize(
    "fields",
    [
        {"batching": {"batch_size": 2}, "accumulation": 2},
        {"batching": {"batch_size": 1}, "accumulation": 4},
        {"batching": {"batch_size": 4, "arrangement": "packed", "row_length": 96}},
        {"batching": {"batch_size": 4, "workers": 1}},
    ],
    ids=["halves", "one by one", "packed", "worker"],
)
def test_how_a_step_is_cut_up_changes_no_loss(whole: Any, tmp_path: Path, fields: dict[str, Any]) -> None:
    assert losses(run(tmp_path, **fields).history) == pytest.approx(losses(whole.history), rel=2e-4)


def test_running_blocks_twice_changes_no_bit(whole: Any, tmp_path: Path) -> None:
    assert measured(run(tmp_path, gradient_checkpointing=True).history) == measured(whole.history)


def test_bfloat16_stays_near_and_the_weights_float32(whole: Any, tmp_path: Path) -> None:
    result = run(tmp_path, precision="bf16")
    assert losses(result.history) == pytest.approx(losses(whole.history), rel=0.1)
    assert {parameter.dtype for parameter in result.model.parameters()} == {torch.float32}


def test_a_run_goes_on_to_the_same_numbers(whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    advance = Run._advance

    def interrupted(self: Run, trainer: Any) -> None:
        advance(self, trainer)
        if trainer.step == 7:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Run, "_advance", interrupted)
        run(tmp_path)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000004"]
    assert measured(run(tmp_path).history) == measured(whole.history)


def test_a_finished_run_is_only_read(whole: Any) -> None:
    assert run(whole.folder).history == whole.history


def test_a_run_can_begin_with_the_model_of_another(whole: Any, tmp_path: Path) -> None:
    more = run(tmp_path, model=str(whole.folder / "model"), steps=3)
    assert more.history[0]["loss"] < 0.7 * whole.history[0]["loss"]


def test_a_frozen_part_stays_as_it_was(tmp_path: Path) -> None:
    parts = {"decoder": {"train": False}, "decoder.norm": {"lr": 0.1}}
    result = run(tmp_path, steps=2, parts=parts, evaluation=None)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        fresh = vlkit.build(MODEL)
    changed = {
        name.partition(".")[0] if name != "decoder.norm.weight" else name
        for name, tensor in result.model.state_dict().items()
        if not torch.equal(tensor, fresh.state_dict()[name]) and "correction_bias" not in name
    }
    assert changed == {"encoder", "projector", "layout", "decoder.norm.weight"}


def test_progress_is_told_after_each_step_and_measures_of_the_user_are_in_the_rows(tmp_path: Path) -> None:
    told: list[Progress] = []
    result = train(
        recipe(steps=4),
        output=tmp_path,
        source=samples(),
        evaluate=lambda model, step: {"steps": step, "training": model.training},
        on_progress=told.append,
    )
    assert [progress.step for progress in told] == [1, 2, 3, 4]
    assert told[-1].seconds_left == 0 and all(progress.tokens_per_second > 0 for progress in told)
    assert [progress.row is None for progress in told] == [True, True, False, False]
    assert (result.history[-1]["eval_steps"], result.history[-1]["eval_training"]) == (4, 0)
    assert result.model.training is False


def test_a_loss_that_is_no_number_ends_the_run_and_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    model = vlkit.build(MODEL, dtype=torch.float32)

    def spoil(progress: Progress) -> None:
        if progress.step == 3:
            model.decoder.get_parameter("lm_head.weight").data.fill_(math.inf)

    chosen = recipe(model=None, evaluation=None, save_every=1)
    with pytest.raises(TrainingError, match=r"step 4: loss nan") as error:
        train(chosen, output=tmp_path, source=samples(), model=model, on_progress=spoil)
    assert "learning rate" in str(error.value)
    last = max((tmp_path / "checkpoints").iterdir())
    assert last.name == "step-000003"
    saved = vlkit.from_pretrained(last)
    assert all(bool(torch.isfinite(parameter).all()) for parameter in saved.parameters())


def test_bad_samples_are_skipped_and_listed(tmp_path: Path) -> None:
    good = [samples().sample(index) for index in range(4)]
    bad = Sample(({"role": "<|User|>", "content": "no answer"},), (), "list.jsonl, line 17")
    fields = {"batching": {"batch_size": 5, "bad_samples": "skip"}, "evaluation": None, "steps": 3}
    result = train(recipe(**fields), output=tmp_path, source=FromIterable([*good, bad]))
    assert result.history[-1]["skipped"] == 3
    (line,) = (tmp_path / "skipped.jsonl").read_text().splitlines()
    assert json.loads(line)["origin"] == "list.jsonl, line 17"


def test_a_model_from_python_is_trained_in_place(tmp_path: Path) -> None:
    model = vlkit.build(MODEL, dtype=torch.float32)
    before = model.decoder.logits(torch.ones(1, 16))
    result = train(recipe(model=None, steps=2, evaluation=None), output=tmp_path, source=samples(), model=model)
    assert result.model is model
    assert not torch.equal(model.decoder.logits(torch.ones(1, 16)), before)


def test_a_model_with_a_module_of_ones_own_goes_on_too(tmp_path: Path) -> None:
    class Patches(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 16, 4, stride=4)

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return self.conv(pixels).permute(0, 2, 3, 1)

    def own() -> vlkit.VLM:
        torch.manual_seed(0)
        encoder = {"width": 16, "image_size": (8, 8), "grid": (2, 2)}
        return vlkit.DeepseekVLV2Builder(MODEL).encoder(Patches(), **encoder).build()

    def stop(progress: Progress) -> None:
        if progress.step == 3:
            raise KeyboardInterrupt

    chosen = recipe(model=None, steps=4, save_every=2, log_every=1, evaluation=None)
    whole = train(chosen, output=tmp_path / "whole", source=samples(), model=own())
    with pytest.raises(KeyboardInterrupt):
        train(chosen, output=tmp_path / "stopped", source=samples(), model=own(), on_progress=stop)
    again = train(chosen, output=tmp_path / "stopped", source=samples(), model=own())
    assert measured(again.history) == measured(whole.history)


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    chosen = recipe(model=None, steps=2, evaluation=None)
    train(chosen, output=tmp_path, source=samples(), model=vlkit.build(MODEL, dtype=torch.float32))
    other = MODEL.replace(projector=MODEL.projector.replace(depth=3))
    with pytest.raises(CheckpointError, match="projector"):
        train(chosen, output=tmp_path, source=samples(), model=vlkit.build(other, dtype=torch.float32))


@pytest.mark.parametrize(
    ("given", "fields", "problem"),
    [
        ({}, {}, "data is missing"),
        ({"source": samples()}, {"model": None}, "model is missing"),
        ({"source": samples()}, {"model": "minni"}, "did you mean 'mini'"),
        ({"source": samples()}, {"parts": {"enkoder": {}}}, "did you mean 'encoder'"),
        ({"source": samples()}, {"batching": {"batch_sise": 3}}, "did you mean 'batch_size'"),
        ({"source": samples()}, {"schedule": {"type": "cosine", "warmup": 99}}, "the warm-up is a part"),
        ({"source": samples(), "held_out": samples()}, {}, "no evaluation"),
        ({"source": samples()}, {"evaluation": {}}, "evaluation.data is missing"),
        ({"source": samples()}, {"precision": "fp16"}, "precision"),
    ],
)
def test_a_wrong_recipe_is_refused_before_anything_is_made(
    tmp_path: Path, given: dict[str, Any], fields: dict[str, Any], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vlkit.training.machine.start", lambda **_: pytest.fail("the machine was asked for"))
    with pytest.raises(ConfigError, match=problem):
        train(recipe(**{"evaluation": None, **fields}), output=tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_weights_of_half_precision_are_refused(tmp_path: Path) -> None:
    model = vlkit.build(MODEL, dtype=torch.bfloat16)
    with pytest.raises(TrainingError, match="float32"):
        train(recipe(model=None, evaluation=None), output=tmp_path, source=samples(), model=model)


def test_chance_of_the_caller_is_left_alone(tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    run(tmp_path, steps=1, evaluation=None, schedule={})
    assert torch.equal(torch.random.get_rng_state(), state)
    assert math.isfinite(float(torch.rand(1)))
