"""Laws of the decode loop, with a model that is a table of logits."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from vlkit.errors import InputError, ShapeError
from vlkit.generation import SamplingConfig, collect, decode

VOCAB, PAD = 7, 2


class Script:
    """A model that says the given rows one id after the other, and counts how often it runs."""

    def __init__(self, rows: list[list[int]]) -> None:
        self.rows = torch.tensor(rows)
        self.given: list[list[int]] = []

    @property
    def first(self) -> Tensor:
        return self.logits(0)

    def logits(self, at: int) -> Tensor:
        return torch.nn.functional.one_hot(self.rows[:, at], VOCAB).float()

    def step(self, ids_B: Tensor) -> Tensor:
        self.given.append(ids_B.tolist())
        return self.logits(len(self.given))

    def run(self, **options: Any) -> list[list[int]]:
        defaults: dict[str, Any] = {"sampling": SamplingConfig(), "eos_token_ids": (), "pad_token_id": PAD}
        return collect(decode(self.first, self.step, **(defaults | options)), rows=len(self.rows)).tolist()


scripts = st.integers(1, 3).flatmap(
    lambda rows: st.lists(st.lists(st.integers(0, VOCAB - 1), min_size=9, max_size=9), min_size=rows, max_size=rows)
)


def ended(row: list[int], eos: tuple[int, ...], length: int) -> list[int]:
    """The row up to its first end token, filled up with padding."""
    at = next((i for i, token in enumerate(row) if token in eos), len(row))
    return [token if i <= at else PAD for i, token in enumerate(row)][:length]


@given(scripts, st.integers(0, 8), st.lists(st.integers(0, VOCAB - 1), max_size=2).map(tuple))
def test_rows_end_with_their_end_token_and_the_loop_with_the_last_row(
    rows: list[list[int]], limit: int, eos: tuple[int, ...]
) -> None:
    script = Script(rows)
    lengths = [next((i + 1 for i, token in enumerate(row) if token in eos), limit) for row in rows]
    length = min(max(lengths), limit)
    expected = [ended(row, eos, length) for row in rows]
    assert script.run(max_new_tokens=limit, eos_token_ids=eos) == expected
    assert script.given == [list(step) for step in zip(*expected)][: max(length - 1, 0)]


def test_the_model_runs_only_as_far_as_it_is_read() -> None:
    script = Script([[3, 4, 5, 6]])
    steps = decode(
        script.first, script.step, sampling=SamplingConfig(), max_new_tokens=4, eos_token_ids=(), pad_token_id=PAD
    )
    assert [int(next(steps)), int(next(steps))] == [3, 4]
    assert script.given == [[3]]


def test_no_new_tokens_give_an_empty_tensor() -> None:
    script = Script([[3], [4]])
    ids = collect(
        decode(
            script.first, script.step, sampling=SamplingConfig(), max_new_tokens=0, eos_token_ids=(), pad_token_id=PAD
        ),
        rows=2,
    )
    assert ids.shape == (2, 0)
    assert ids.dtype == torch.long
    assert script.given == []


@given(scripts)
def test_stop_ends_rows_like_an_end_token(rows: list[list[int]]) -> None:
    by_stop = Script(rows).run(max_new_tokens=8, stop=lambda ids_B: ids_B == 5)
    assert by_stop == Script(rows).run(max_new_tokens=8, eos_token_ids=(5,))


def test_stop_adds_to_the_end_tokens() -> None:
    script = Script([[3, 5, 3, 3], [3, 3, 6, 3]])
    ids = script.run(max_new_tokens=4, eos_token_ids=(6,), stop=lambda ids_B: ids_B == 5)
    assert ids == [[3, 5, PAD], [3, 3, 6]]


@pytest.mark.parametrize("case", ["a1_mla_greedy_2d_head", "a2_mha_greedy_2d_head", "a3_mla_noaux_sigmoid_2d_tail"])
def test_the_greedy_id_behind_the_recorded_prompts_is_the_recorded_one(golden: Path, case: str) -> None:
    data = load_file(golden / case / "io.safetensors")
    assert torch.equal(replayed([data["logits"][:, -1]], eos_token_ids=()), data["generated_ids"][:, :1])


def test_rows_that_ended_in_the_recording_go_on_with_padding(golden: Path) -> None:
    folder = golden / "a1_mla_greedy_2d_head"
    data, meta = load_file(folder / "io.safetensors"), json.loads((folder / "meta.json").read_text())
    eos = meta["checks"]["eos_token_id_used_for_generated_ids_with_eos"]
    logits = [torch.nn.functional.one_hot(ids_B, 384).float() for ids_B in data["generated_ids"].unbind(1)]
    assert torch.equal(replayed(logits, eos_token_ids=(eos,)), data["generated_ids_with_eos"])


def replayed(logits: list[Tensor], eos_token_ids: tuple[int, ...]) -> Tensor:
    later = iter(logits[1:])
    steps = decode(
        logits[0],
        lambda ids_B: next(later),
        sampling=SamplingConfig(),
        max_new_tokens=len(logits),
        eos_token_ids=eos_token_ids,
        pad_token_id=2,
    )
    return collect(steps, rows=len(logits[0]))


def walk(rows: Tensor, history: Tensor, mask: Tensor, sampling: SamplingConfig) -> Tensor:
    """A model whose next logits are the row of a fixed table that belongs to the last id."""
    table_VV = torch.randn(VOCAB, VOCAB, generator=torch.Generator().manual_seed(1))
    steps = decode(
        table_VV[rows],
        lambda ids_B: table_VV[ids_B],
        sampling=sampling,
        max_new_tokens=12,
        eos_token_ids=(6,),
        pad_token_id=PAD,
        history_ids_BT=history,
        history_mask_BT=mask,
    )
    return collect(steps, rows=len(rows))


@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=6), min_size=1, max_size=4), st.integers(0, 10**6))
def test_a_left_padded_batch_says_what_its_samples_say_alone(prompts: list[list[int]], seed: int) -> None:
    sampling = SamplingConfig(temperature=1.0, top_p=0.95, repetition_penalty=1.5, no_repeat_ngram_size=3, seed=seed)
    width = max(map(len, prompts))
    history = torch.tensor([[PAD] * (width - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[False] * (width - len(prompt)) + [True] * len(prompt) for prompt in prompts])
    batch = walk(history[:, -1], history, mask, sampling)
    for row, prompt in enumerate(prompts):
        own = torch.tensor([prompt])
        alone = walk(own[:, -1], own, own >= 0, sampling.replace(seed=seed + row))[0].tolist()
        assert batch[row].tolist() == alone + [PAD] * (batch.shape[1] - len(alone))


def test_masked_history_is_not_penalised() -> None:
    history = torch.tensor([[3, 3, 4]])
    mask = torch.tensor([[False, False, True]])
    logits_BV = torch.tensor([[0.0, 0.0, 0.0, 5.0, 5.1, 0.0, 0.0]])
    options: dict[str, Any] = {
        "sampling": SamplingConfig(repetition_penalty=2.0),
        "max_new_tokens": 2,
        "eos_token_ids": (),
        "pad_token_id": PAD,
        "history_ids_BT": history,
    }
    steps = decode(logits_BV, lambda ids_B: logits_BV, history_mask_BT=mask, **options)
    assert collect(steps, rows=1).tolist() == [[3, 4]]
    steps = decode(logits_BV, lambda ids_B: logits_BV, **options)
    assert collect(steps, rows=1).tolist() == [[4, 4]]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"max_new_tokens": -1}, "max_new_tokens"),
        ({"max_new_tokens": 1.5}, "max_new_tokens"),
        ({"max_new_tokens": True}, "max_new_tokens"),
        ({"eos_token_ids": (1, VOCAB)}, "eos_token_ids"),
        ({"eos_token_ids": ("1",)}, "eos_token_ids"),
        ({"pad_token_id": -1}, "pad_token_id"),
        ({"pad_token_id": None}, "pad_token_id"),
    ],
)
def test_a_number_out_of_range_is_refused_on_the_call(options: dict[str, Any], named: str) -> None:
    defaults: dict[str, Any] = {
        "sampling": SamplingConfig(),
        "max_new_tokens": 3,
        "eos_token_ids": (),
        "pad_token_id": PAD,
    }
    with pytest.raises(InputError, match=named):
        decode(torch.zeros(1, VOCAB), lambda ids_B: ids_B, **(defaults | options))


@pytest.mark.parametrize(
    "first", [torch.zeros(VOCAB), torch.zeros(0, VOCAB), torch.zeros(2, 0), torch.zeros(1, VOCAB, dtype=torch.long)]
)
def test_first_logits_of_another_shape_are_refused(first: Tensor) -> None:
    with pytest.raises(ShapeError, match=r"float\[B, V\]"):
        run(first, lambda ids_B: first)


def test_later_logits_of_another_shape_are_refused() -> None:
    with pytest.raises(ShapeError, match="step gave"):
        run(torch.zeros(2, VOCAB), lambda ids_B: torch.zeros(1, VOCAB))


@pytest.mark.parametrize("answer", [torch.tensor([True]), torch.tensor([1, 0])])
def test_stop_must_answer_with_one_bool_per_row(answer: Tensor) -> None:
    with pytest.raises(ShapeError, match=r"bool\[2\]"):
        run(torch.zeros(2, VOCAB), lambda ids_B: torch.zeros(2, VOCAB), stop=lambda ids_B: answer)


@pytest.mark.parametrize("eos", [(), (1,)])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_that_are_no_numbers_are_refused(eos: tuple[int, ...], value: float, temperature: float) -> None:
    broken = torch.zeros(2, VOCAB)
    broken[1, 3] = value
    first = torch.zeros(2, VOCAB)
    first[:, 4] = 50.0
    with pytest.raises(InputError, match=r"rows \[1\] are not finite"):
        run(first, lambda ids_B: broken, eos=eos, sampling=SamplingConfig(temperature=temperature))


def test_logits_of_an_ended_row_do_not_matter() -> None:
    first = torch.zeros(2, VOCAB)
    first[0, 3] = first[1, 1] = 1.0
    later = torch.stack([first[0], torch.full((VOCAB,), torch.nan)])
    assert run(first, lambda ids_B: later, eos=(1,)) == [[3, 3, 3], [1, PAD, PAD]]


def run(
    first: Tensor,
    step: Callable[[Tensor], Tensor],
    eos: tuple[int, ...] = (),
    sampling: SamplingConfig | None = None,
    stop: Callable[[Tensor], Tensor] | None = None,
) -> list[list[int]]:
    steps = decode(
        first,
        step,
        sampling=sampling or SamplingConfig(),
        max_new_tokens=3,
        eos_token_ids=eos,
        pad_token_id=PAD,
        stop=stop,
    )
    return collect(steps, rows=len(first)).tolist()
