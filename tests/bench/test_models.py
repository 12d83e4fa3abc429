"""A whole report of a small model, and models that are too large."""

import pytest
import torch

import vlkit
from vlkit.bench import STAGES, Floor, Request, bench_model, require_memory
from vlkit.errors import ContextLengthError, InputError
from vlkit.notation import Size

FLOOR = Floor(read=1e10, multiply=1e12, dtype="float32")
REQUEST = Request((Size(60, 60),), prompt_tokens=4, new_tokens=3)


def test_a_report_has_every_stage_and_what_was_asked() -> None:
    model = vlkit.build("mini").eval()
    told: list[int] = []
    report = bench_model(
        model, REQUEST, name="mine", runs=2, warmup=1, floor=FLOOR, progress=lambda done, _: told.append(done)
    )
    work = REQUEST.work(model.config, torch.float32)
    assert [stage.name for stage in report.stages] == list(STAGES)
    assert {stage.name: (stage.flops, stage.nbytes) for stage in report.stages if stage.share} == dict(work)
    assert {stage.seconds.count for stage in report.stages} == {2} and told == [1, 2, 3]
    assert (report.model, report.dtype, report.request, report.floor) == ("mine", "float32", REQUEST, FLOOR)
    assert report.prompt_positions == model.config.image_tokens((60, 60)) + 4
    assert report.weights == 4 * sum(parameter.numel() for parameter in model.parameters())
    assert report.tokens_per_second == pytest.approx(1 / report.stages[-1].seconds.median)
    assert report.first_token.least >= sum(stage.seconds.least for stage in report.stages[:-1])


def test_too_long_a_request_is_refused_before_it_runs() -> None:
    with pytest.raises(ContextLengthError):
        bench_model(vlkit.build("mini").eval(), Request((), prompt_tokens=5000))


def test_a_model_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    about, device = REQUEST.describe(vlkit.presets["mini"]), torch.device("cpu")
    assert about.memory.peak is not None
    for there, fits in ((about.memory.peak, True), (about.memory.peak - 1, False), (None, True)):
        monkeypatch.setattr("vlkit.bench.models.memory_of", lambda _, there=there: there)
        if fits:
            require_memory(about, device)
        else:
            with pytest.raises(InputError, match="the model and its request take"):
                require_memory(about, device)
