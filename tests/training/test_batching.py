"""Which samples a batch holds, for whom, and what happens to bad ones."""

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.some_samples import Broken, Endless, processor, sample, source
from vlkit.errors import ConfigError, InputError
from vlkit.training import Batches, BatchingConfig, FromIterable, Sample, SampleError, Skipped, TrainingBatch

PROCESSOR = processor()
ARRANGEMENTS = ("padded", "bucketed", "packed")


def config(arrangement: str = "padded", **fields: Any) -> BatchingConfig:
    return BatchingConfig(**{"batch_size": 4, "max_length": 400, "window": 3, "arrangement": arrangement, **fields})


def batches(some: Any, wanted: BatchingConfig, *, seed: int = 1, **options: Any) -> Batches:
    return Batches(some, PROCESSOR, wanted, seed=seed, **options)


def first(some: Batches, count: int) -> list[TrainingBatch]:
    return list(itertools.islice(some, count))


def texts(batch: TrainingBatch) -> list[str]:
    """Answers in a batch, in any order."""
    learned = batch["input_ids"].masked_fill(batch["labels"] == -100, PROCESSOR.tokenizer.pad_id)
    answers = PROCESSOR.decode(learned[learned != PROCESSOR.tokenizer.pad_id]).split("<｜end▁of▁sentence｜>")
    return sorted(answers[:-1])


def same(one: TrainingBatch, other: TrainingBatch) -> bool:
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@settings(max_examples=20)
@given(count=st.integers(1, 14), size=st.integers(1, 5), seed=st.integers(0, 99))
def test_an_epoch_holds_every_sample_once(arrangement: str, count: int, size: int, seed: int) -> None:
    wanted = config(arrangement, batch_size=size, window=2)
    given_batches = list(batches(source(count), wanted, seed=seed, epochs=2))
    answers = [text for batch in given_batches for text in texts(batch)]
    assert sorted(answers) == sorted([f"it is {number}." for number in range(count)] * 2)
    assert [batch.samples for batch in given_batches[:-1]] == [size] * (len(given_batches) - 1)


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@settings(max_examples=10)
@given(given_before=st.integers(0, 9), seed=st.integers(0, 99))
def test_batches_go_on_from_any_place(arrangement: str, given_before: int, seed: int) -> None:
    whole, resumed = (batches(source(10), config(arrangement), seed=seed) for _ in range(2))
    expected = first(whole, given_before + 3)
    resumed.restore({"batches": given_before})
    assert all(map(same, first(resumed, 3), expected[given_before:]))
    assert resumed.state() == whole.state() == {"batches": given_before + 3}


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize("world", [2, 4])
def test_processes_share_the_batches_of_one(arrangement: str, world: int) -> None:
    alone = first(batches(source(10), config(arrangement)), 6)
    shares = [first(batches(source(10), config(arrangement), rank=rank, world=world), 6) for rank in range(world)]
    for number, batch in enumerate(alone):
        assert sorted(text for share in shares for text in texts(share[number])) == texts(batch)
        assert {share[number].samples for share in shares} == {4 // world}
        assert sum(share[number].counted for share in shares) == batch.counted


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_worker_processes_give_the_same_batches_and_use_up_no_chance(arrangement: str) -> None:
    inline = first(batches(source(9), config(arrangement)), 4)
    state = torch.random.get_rng_state()
    ahead = first(batches(source(9), config(arrangement, workers=2)), 4)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(map(same, ahead, inline))


def test_a_source_without_end_is_taken_as_it_comes() -> None:
    given_batches = first(batches(Endless(), config()), 2)
    assert [texts(batch) for batch in given_batches] == [
        [f"it is {n}." for n in row] for row in ([0, 1, 2, 3], [4, 5, 6, 7])
    ]


def test_buckets_are_less_padded_and_hold_the_same_samples_per_window() -> None:
    plain, sorted_ = (first(batches(source(60), config(kind, window=5)), 5) for kind in ("padded", "bucketed"))
    assert sum(batch["input_ids"].numel() for batch in sorted_) < sum(batch["input_ids"].numel() for batch in plain)
    assert sorted(t for batch in sorted_ for t in texts(batch)) == sorted(t for batch in plain for t in texts(batch))
    longest = [batch["input_ids"].shape[1] for batch in sorted_]
    assert longest != sorted(longest)


def test_packing_changes_rows_and_nothing_else() -> None:
    for padded, packed in zip(first(batches(source(20), config()), 4), first(batches(source(20), config("packed")), 4)):
        assert texts(padded) == texts(packed)
        assert (padded.samples, padded.tokens, padded.counted) == (packed.samples, packed.tokens, packed.counted)
        assert len(packed["input_ids"]) < len(padded["input_ids"]) and packed["input_ids"].shape[1] <= 400
        assert torch.equal(packed["attention_mask"], packed["sequence_ids"] > 0)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_sample_ends_the_batches_and_says_where_it_is(workers: int) -> None:
    given_batches = iter(batches(Endless(frozenset({5})), config(workers=workers)))
    assert next(given_batches).samples == 4
    with pytest.raises(SampleError, match="made 5: it is bad"):
        next(given_batches)


@pytest.mark.parametrize("workers", [0, 1])
def test_bad_samples_can_be_left_out_and_are_told_once(workers: int) -> None:
    told: list[Skipped] = []
    bad = FromIterable([sample(0), Sample((), (), "nowhere"), sample(2), sample(3, pictures=9)])
    wanted = config(bad_samples="skip", max_length=300, workers=workers)
    given_batches = first(batches(bad, wanted, on_skip=told.append), 3)
    assert [(batch.samples, batch.skipped) for batch in given_batches] == [(2, 2)] * 3
    assert sorted(skipped.origin for skipped in told) == ["nowhere", "sample 3"]
    assert any("max_length" in str(skipped) or "tokens" in skipped.reason for skipped in told)


def test_a_process_without_any_good_sample_gets_a_batch_of_which_nothing_is_learned() -> None:
    wanted = config(bad_samples="skip", batch_size=2)
    share = next(iter(batches(Endless(frozenset({1})), wanted, rank=1, world=2)))
    assert (share.samples, share.counted, share.skipped) == (0, 0, 1) and share["input_ids"].shape[0] == 1


def test_a_source_of_bad_samples_only_is_refused() -> None:
    with pytest.raises(SampleError, match="last 4 could not"):
        first(batches(FromIterable([Sample((), (), "x")] * 4), config(bad_samples="skip")), 3)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("policy", ["refuse", "skip"])
def test_mistakes_in_the_code_of_a_source_are_never_skipped(workers: int, policy: str) -> None:
    with pytest.raises(SampleError, match=r"sample 2 of Broken.*(.|\n)*KeyError: 'lost'"):
        first(batches(Broken(), config(bad_samples=policy, workers=workers, shuffle=False)), 1)


def test_errors_of_the_library_are_bad_samples() -> None:
    class Refusing:
        count = None

        def sample(self, index: int) -> Sample:
            raise InputError("no picture", rule="a rule")

    with pytest.raises(SampleError, match="sample 0 of Refusing: no picture"):
        first(batches(Refusing(), config()), 1)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"arrangement": "packed"}, "without a length"),
        ({"row_length": 5}, "only packed rows"),
        ({"arrangement": "packed", "row_length": 5, "max_length": 6}, "every sample fits"),
        ({"workers": -1}, "workers"),
    ],
)
def test_settings_that_do_not_fit_are_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        BatchingConfig(**fields)


def test_processes_and_epochs_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="batch_size 4 for process 0 of 3"):
        batches(source(3), config(), world=3)
    with pytest.raises(ConfigError, match="process 2 of 2"):
        batches(source(3), config(), world=2, rank=2)
    with pytest.raises(ConfigError, match="without end"):
        batches(Endless(), config(), epochs=1)
