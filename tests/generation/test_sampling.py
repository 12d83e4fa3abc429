"""Laws of sampling, and agreement with plain row-by-row loops."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from vlkit.errors import ConfigError, InputError, ShapeError
from vlkit.generation import (
    Sampler,
    SamplingConfig,
    ban_repeated_ngrams,
    draw,
    keep_top_k,
    keep_top_p,
    penalise_repetition,
)

coarse = st.integers(-6, 6).map(lambda n: n / 2)
seeds = st.integers(0, 2**32)


@st.composite
def logits(draw_: st.DrawFn) -> Tensor:
    """float[B, V] with many ties."""
    vocab = draw_(st.integers(1, 12))
    rows = draw_(st.lists(st.lists(coarse, min_size=vocab, max_size=vocab), min_size=1, max_size=4))
    return torch.tensor(rows)


@st.composite
def logits_with_history(draw_: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
    """float[B, V], int64[B, S] and bool[B, S]; masked ids may lie outside the vocabulary."""
    logits_BV = draw_(logits())
    rows, vocab = logits_BV.shape
    length = draw_(st.integers(0, 14))
    said = st.lists(st.integers(0, min(vocab, 4) - 1), min_size=length, max_size=length)
    kept = st.lists(st.integers(0, 4).map(bool), min_size=length, max_size=length)
    ids = torch.tensor([draw_(said) for _ in range(rows)], dtype=torch.long).reshape(rows, length)
    mask = torch.tensor([draw_(kept) for _ in range(rows)], dtype=torch.bool).reshape(rows, length)
    return logits_BV, ids.masked_fill(~mask, draw_(st.sampled_from([0, -100, vocab, 10**9]))), mask


def finite(logits_BV: Tensor) -> list[set[int]]:
    return [set(row.isfinite().nonzero().flatten().tolist()) for row in logits_BV]


def slow_penalty(logits_BV: Tensor, ids: Tensor, mask: Tensor, penalty: float) -> Tensor:
    result = logits_BV.clone()
    for row in range(len(ids)):
        for token in {int(t) for t, counts in zip(ids[row], mask[row]) if counts}:
            score = logits_BV[row, token]
            result[row, token] = score * penalty if score < 0 else score / penalty
    return result


def slow_bans(row: list[int | None], size: int) -> set[int]:
    """Ids that would complete an n-gram of `row`; None interrupts."""
    grams = [tuple(row[i : i + size]) for i in range(len(row) - size + 1)]
    tail = tuple(row[len(row) - size + 1 :]) if size > 1 else ()
    if len(tail) < size - 1 or None in tail:
        return set()
    return {gram[-1] for gram in grams if None not in gram and gram[:-1] == tail}  # type: ignore[misc]


@given(logits_with_history(), st.sampled_from([0.5, 1.0, 1.25, 3.0]))
def test_repetition_penalty_equals_a_loop_over_the_ids_of_each_row(
    case: tuple[Tensor, Tensor, Tensor], penalty: float
) -> None:
    logits_BV, ids, mask = case
    assert torch.equal(penalise_repetition(logits_BV, ids, mask, penalty), slow_penalty(logits_BV, ids, mask, penalty))


@given(logits_with_history(), st.integers(1, 5))
def test_ngram_bans_equal_a_loop_over_the_ngrams_of_each_row(case: tuple[Tensor, Tensor, Tensor], size: int) -> None:
    logits_BV, ids, mask = case
    expected = logits_BV.clone()
    for row in range(len(ids)):
        banned = slow_bans([int(t) if m else None for t, m in zip(ids[row], mask[row])], size)
        if len(banned) < logits_BV.shape[1]:
            expected[row, list(banned)] = -torch.inf
    assert torch.equal(ban_repeated_ngrams(logits_BV, ids, mask, size), expected)


def test_a_bigram_said_before_is_banned() -> None:
    ids = torch.tensor([[5, 6, 5, 7, 5], [5, 6, 5, 7, 6]])
    banned = ban_repeated_ngrams(torch.zeros(2, 9), ids, torch.ones_like(ids, dtype=torch.bool), 2)
    assert finite(banned) == [{0, 1, 2, 3, 4, 5, 8}, {0, 1, 2, 3, 4, 6, 7, 8}]


@pytest.mark.parametrize(
    ("mask", "left"),
    [
        ([1, 1, 1], {0, 1, 2, 3, 4, 5}),
        ([1, 1, 0], set(range(7))),
        ([1, 0, 1], set(range(7))),
        ([0, 1, 1], set(range(7))),
    ],
)
def test_a_masked_position_is_part_of_no_ngram(mask: list[int], left: set[int]) -> None:
    ids = torch.tensor([[5, 6, 5]])
    assert finite(ban_repeated_ngrams(torch.zeros(1, 7), ids, torch.tensor([mask]) == 1, 2)) == [left]


@given(logits(), st.integers(1, 15))
def test_top_k_keeps_all_that_fewer_than_k_exceed(logits_BV: Tensor, k: int) -> None:
    greater = (logits_BV[:, None, :] > logits_BV[:, :, None]).sum(-1)
    assert torch.equal(keep_top_k(logits_BV, k).isfinite(), greater < k)


@given(logits(), st.floats(0.01, 0.99))
def test_top_p_keeps_the_smallest_set_that_reaches_p(logits_BV: Tensor, p: float) -> None:
    probs = logits_BV.double().softmax(-1)
    for row, kept in enumerate(finite(keep_top_p(logits_BV, p))):
        ranked = sorted(range(logits_BV.shape[1]), key=lambda token: (-float(logits_BV[row, token]), token))
        assert kept == set(ranked[: len(kept)])
        assert len(kept) >= 1
        assert float(probs[row, ranked[: len(kept)]].sum()) >= p - 1e-6
        assert float(probs[row, ranked[: len(kept) - 1]].sum()) < p + 1e-6


def test_top_p_of_equals_keeps_the_lower_ids() -> None:
    assert finite(keep_top_p(torch.zeros(1, 8), 0.375)) == [{0, 1, 2}]


@given(logits())
def test_top_p_of_one_changes_nothing(logits_BV: Tensor) -> None:
    assert torch.equal(keep_top_p(logits_BV, 1.0), logits_BV)


@given(logits(), st.integers(1, 4), st.floats(0.05, 0.9), seeds)
def test_a_sampled_id_is_always_among_the_kept(logits_BV: Tensor, k: int, p: float, seed: int) -> None:
    kept = finite(keep_top_p(keep_top_k(logits_BV / 0.7, k), p))
    config = SamplingConfig(temperature=0.7, top_k=k, top_p=p, seed=seed)
    sampler = Sampler(config, rows=len(logits_BV), vocab=logits_BV.shape[1])
    for _ in range(5):
        assert all(token in row for token, row in zip(sampler.choose(logits_BV).tolist(), kept))


@given(logits(), st.sampled_from([0.0, 2**-24, 0.5, 1 - 2**-24]), st.data())
def test_a_draw_never_takes_an_impossible_id(logits_BV: Tensor, uniform: float, data: st.DataObject) -> None:
    rows, vocab = logits_BV.shape
    for row in range(rows):
        banned = data.draw(st.sets(st.integers(0, vocab - 1), max_size=vocab - 1))
        logits_BV[row, list(banned)] = -torch.inf
    ids = draw(logits_BV, torch.full((rows,), uniform))
    assert all(token in row for token, row in zip(ids.tolist(), finite(logits_BV)))


@pytest.mark.parametrize("rounding", [-1e-6, 1e-6])
@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-24])
def test_a_draw_survives_the_rounding_of_a_parallel_sum(
    monkeypatch: pytest.MonkeyPatch, rounding: float, uniform: float
) -> None:
    exact = Tensor.cumsum
    monkeypatch.setattr(Tensor, "cumsum", lambda x, dim: exact(x, dim) + rounding)
    logits_BV = torch.tensor([[-torch.inf, 0.0, -torch.inf, 1.0, -torch.inf]])
    assert int(draw(logits_BV, torch.tensor([uniform]))) == (1 if uniform == 0 else 3)


@given(logits())
def test_evenly_spread_numbers_draw_each_id_as_often_as_it_is_probable(logits_BV: Tensor) -> None:
    count = 4096
    row_V = logits_BV[0]
    ids = draw(row_V.expand(count, -1), (torch.arange(count) + 0.5) / count)
    shares = torch.bincount(ids, minlength=len(row_V)) / count
    torch.testing.assert_close(shares, row_V.softmax(-1), atol=1.01 / count, rtol=0)


def test_sampler_frequencies_follow_the_tempered_softmax() -> None:
    row_V, temperature = torch.tensor([1.0, 0.0, -1.0, 2.0]), 1.7
    sampler = Sampler(SamplingConfig(temperature=temperature, seed=3), rows=1, vocab=4)
    counts = Counter(int(sampler.choose(row_V[None])) for _ in range(4000))
    shares = torch.tensor([counts[token] / 4000 for token in range(4)])
    torch.testing.assert_close(shares, (row_V / temperature).softmax(-1), atol=0.03, rtol=0)


@given(logits())
def test_greedy_is_the_argmax(logits_BV: Tensor) -> None:
    sampler = Sampler(SamplingConfig(), rows=len(logits_BV), vocab=logits_BV.shape[1])
    assert torch.equal(sampler.choose(logits_BV), logits_BV.argmax(-1))


@given(logits())
def test_top_1_is_greedy_if_there_is_one_greatest(logits_BV: Tensor) -> None:
    unique = logits_BV - torch.arange(logits_BV.shape[1]) * 1e-3
    sampler = Sampler(SamplingConfig(temperature=1.0, top_k=1), rows=len(unique), vocab=unique.shape[1])
    assert torch.equal(sampler.choose(unique), unique.argmax(-1))


@given(logits_with_history(), seeds, st.sampled_from([1.0, 1.3]), st.sampled_from([None, 2]))
def test_each_row_of_a_batch_equals_the_row_alone_with_its_own_seed(
    case: tuple[Tensor, Tensor, Tensor], seed: int, penalty: float, size: int | None
) -> None:
    logits_BV, ids, mask = case
    rows, vocab = logits_BV.shape
    config = SamplingConfig(
        temperature=0.9, top_p=0.8, repetition_penalty=penalty, no_repeat_ngram_size=size, seed=seed
    )

    def said(config: SamplingConfig, rows: slice) -> Tensor:
        part = logits_BV[rows]
        sampler = Sampler(config, rows=len(part), vocab=vocab, history_ids_BT=ids[rows], history_mask_BT=mask[rows])
        steps = []
        for _ in range(6):
            steps.append(sampler.choose(part))
            sampler.observe(steps[-1])
        return torch.stack(steps, 1)

    batch = said(config, slice(None))
    for row in range(rows):
        assert torch.equal(batch[row], said(config.replace(seed=seed + row), slice(row, row + 1))[0])


def test_rules_apply_in_the_order_penalty_ngrams_temperature_top_k_top_p() -> None:
    config = SamplingConfig(
        temperature=0.5, top_k=3, top_p=0.7, repetition_penalty=2.0, no_repeat_ngram_size=2, seed=11
    )
    logits_BV = torch.tensor([[3.0, 2.9, 2.0, 1.8, -0.5, 1.7]])
    ids = torch.tensor([[1, 0, 2, 4, 1]])
    mask = torch.ones_like(ids, dtype=torch.bool)
    scores = slow_penalty(logits_BV, ids, mask, 2.0)
    scores[0, 0] = -torch.inf  # 1 was followed by 0
    kept = finite(keep_top_p(keep_top_k(scores / 0.5, 3), 0.7))[0]
    sampler = Sampler(config, rows=1, vocab=6, history_ids_BT=ids, history_mask_BT=mask)
    assert {int(sampler.choose(logits_BV)) for _ in range(200)} == kept == {3, 5}


def test_new_ids_enter_the_history() -> None:
    sampler = Sampler(SamplingConfig(no_repeat_ngram_size=1), rows=1, vocab=3)
    order = []
    for _ in range(3):
        order.append(sampler.choose(torch.tensor([[1.0, 3.0, 2.0]])))
        sampler.observe(order[-1])
    assert torch.cat(order).tolist() == [1, 2, 0]


def test_a_seed_leaves_the_global_generator_alone_and_none_follows_it() -> None:
    def said(seed: int | None) -> list[int]:
        sampler = Sampler(SamplingConfig(temperature=1.0, seed=seed), rows=1, vocab=1000)
        return [int(sampler.choose(torch.zeros(1, 1000))) for _ in range(8)]

    before = torch.random.get_rng_state()
    assert said(5) == said(5) != said(6)
    assert torch.equal(torch.random.get_rng_state(), before)
    first = said(None)
    assert first != said(None)
    torch.random.set_rng_state(before)
    assert first == said(None)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_half_and_double_logits_are_sampled_in_float32(dtype: torch.dtype) -> None:
    logits_BV = torch.randn(3, 5000).to(dtype)
    config = SamplingConfig(temperature=0.8, top_k=4000, top_p=0.9, repetition_penalty=1.2, seed=1)
    ids = torch.arange(30).reshape(3, 10)
    exact, other = (Sampler(config, rows=3, vocab=5000, history_ids_BT=ids) for _ in range(2))
    for _ in range(5):
        assert torch.equal(other.choose(logits_BV), exact.choose(logits_BV.float()))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("temperature", 1e-9),
        ("top_k", 0),
        ("top_p", 0.0),
        ("top_p", 1.5),
        ("repetition_penalty", 0.0),
        ("repetition_penalty", float("inf")),
        ("no_repeat_ngram_size", 0),
        ("seed", -1),
        ("seed", 2**63),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=field):
        SamplingConfig.model_validate({field: value})


@pytest.mark.parametrize(
    ("ids", "mask"),
    [
        (torch.zeros(3, 4, dtype=torch.long), None),
        (torch.zeros(2, dtype=torch.long), None),
        (torch.zeros(2, 4), None),
        (torch.zeros(2, 4, dtype=torch.long), torch.ones(2, 3, dtype=torch.bool)),
        (torch.zeros(2, 4, dtype=torch.long), torch.ones(2, 4, dtype=torch.long)),
    ],
)
def test_a_history_of_another_shape_is_refused(ids: Tensor, mask: Tensor | None) -> None:
    with pytest.raises(ShapeError, match=r"history is int64\[2, T\]"):
        Sampler(SamplingConfig(), rows=2, vocab=9, history_ids_BT=ids, history_mask_BT=mask)


@pytest.mark.parametrize("token", [-1, 9])
def test_an_unmasked_id_outside_the_vocabulary_is_refused(token: int) -> None:
    with pytest.raises(InputError, match=f"holds the id {token}"):
        Sampler(SamplingConfig(repetition_penalty=1.1), rows=1, vocab=9, history_ids_BT=torch.tensor([[token]]))
