"""Steps at fixed shapes give the numbers of the ordinary ones, and hold nothing that breaks their graph."""

from typing import Any
from unittest.mock import patch

import einops._backends
import pytest
import torch
from torch._dynamo.utils import counters

import vlkit
from tests.small_models import cache_of, logits_of, random_model
from vlkit.cache import KVCache
from vlkit.compiled_step import CompiledStep
from vlkit.errors import ContextLengthError, InputError, ShapeError
from vlkit.models.deepseek_vl2.model import DeepseekVLV2

STATIC = {"type": "static", "capacity": 40}
PROMPT = torch.tensor([[2, 2, 5, 6, 7, 8], [9, 10, 11, 12, 13, 14]])
MASK = torch.tensor([[False] * 2 + [True] * 4, [True] * 6])


def model_of(preset: str, dtype: torch.dtype) -> DeepseekVLV2:
    """A preset with random numbers."""
    model: Any = random_model(vlkit.presets[preset], 3, dtype=dtype)
    return model


def prefilled(model: DeepseekVLV2, policy: Any, mask: torch.Tensor | None) -> KVCache:
    return cache_of(model.incremental_prefilling(input_ids=PROMPT, attention_mask=mask, cache=policy, chunk_size=4))


@pytest.mark.parametrize("preset", ["mini", "mini-dense"])
@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "padded"])
def test_a_step_is_the_ordinary_pass(preset: str, mask: torch.Tensor | None) -> None:
    model = model_of(preset, torch.float32)
    fixed, grown = prefilled(model, STATIC, mask), prefilled(model, "resident", mask)
    addresses = [buffer.data_ptr() for layer in fixed.layers for buffer in layer.stores[-1].buffers]
    step = CompiledStep(model, fixed, backend="eager")
    for ids_B in torch.arange(20, 28).view(4, 2):
        with torch.no_grad():
            expected = logits_of(model(input_ids=ids_B[:, None], cache=grown))[:, -1]
        torch.testing.assert_close(step(ids_B), expected, rtol=0, atol=1e-4)
    assert fixed.length == grown.length == PROMPT.shape[1] + 4
    assert addresses == [buffer.data_ptr() for layer in fixed.layers for buffer in layer.stores[-1].buffers]
    with torch.no_grad():
        after = [logits_of(model(input_ids=PROMPT[:, :2], cache=cache)) for cache in (fixed, grown)]
    torch.testing.assert_close(*after, rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("preset", ["mini", "mini-dense"])
def test_the_whole_step_is_one_graph_that_is_made_once(preset: str, dtype: torch.dtype) -> None:
    model = model_of(preset, dtype)
    cache = prefilled(model, STATIC, MASK)
    torch._dynamo.reset()
    counters.clear()
    step = CompiledStep(model, cache, backend="eager")
    known = {torch.Tensor: einops._backends.get_backend(PROMPT)}
    with patch.dict(einops._backends._type2backend, known, clear=True):  # as in a fresh process
        for ids_B in (PROMPT[:, -1], *torch.arange(20, 26).view(3, 2)):
            assert step(ids_B).isfinite().all()
    assert not counters["graph_break"]
    assert counters["stats"]["unique_graphs"] == 1


def test_there_is_one_id_per_sample() -> None:
    model = model_of("mini-dense", torch.float32)
    step = CompiledStep(model, prefilled(model, STATIC, None), backend="eager")
    with pytest.raises(ShapeError, match=r"(?s)ids of shape \[1\].*one per sample of the cache: \[2\]"):
        step(torch.tensor([5]))


def test_a_step_fills_no_more_than_the_cache_holds() -> None:
    model = model_of("mini-dense", torch.float32)
    step = CompiledStep(model, prefilled(model, {"type": "static", "capacity": 7}, None), backend="eager")
    step(torch.tensor([5, 6]))
    with pytest.raises(ContextLengthError, match="capacity is 7"):
        step(torch.tensor([5, 6]))


def test_only_static_caches_that_are_filled_are_taken() -> None:
    model = model_of("mini-dense", torch.float32)
    with pytest.raises(InputError, match=r"policy 'resident'[\s\S]*\"static\""):
        CompiledStep(model, prefilled(model, "resident", None))
    with pytest.raises(InputError, match="prefill first"):
        CompiledStep(model, model.open_cache(STATIC))
    with pytest.raises(InputError, match="policy 'resident'"):
        model.generate(input_ids=PROMPT, compile=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch about itself, when its compiler is imported
def test_compiled_generation_says_what_eager_generation_says() -> None:
    model = model_of("mini-dense", torch.float32)
    prompt: dict[str, Any] = {"input_ids": PROMPT, "attention_mask": MASK, "max_new_tokens": 6, "eos_token_id": ()}
    compiled = model.generate(**prompt, cache=STATIC, compile=True)
    assert torch.equal(compiled, model.generate(**prompt))
