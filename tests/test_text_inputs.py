"""Text that does not fit the model is refused with its value and the rule, before a layer runs."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import vlkit
from tests.refusal import refuse_to_run
from vlkit.errors import InputError, ShapeError, VlkitError
from vlkit.text_inputs import require_known, require_one_per_position, require_prompt, require_text

IDS = torch.arange(4, 10).view(2, 3)


@pytest.fixture(scope="module")
def model() -> vlkit.VLM:
    """A model whose layers refuse to run."""

    model = vlkit.build("mini")
    model.decoder.get_submodule("layers.0").register_forward_pre_hook(refuse_to_run)
    return model


BOTH: list[tuple[dict[str, Any], str, type[VlkitError]]] = [
    ({}, "neither input_ids nor inputs_embeds", InputError),
    ({"input_ids": IDS[0]}, r"input_ids of shape \[3\][\s\S]*int64\[B, T\][\s\S]*input_ids\[None\]", ShapeError),
    ({"input_ids": IDS.float()}, "input_ids of torch.float32", InputError),
    ({"input_ids": IDS > 4}, "input_ids of torch.bool", InputError),
    ({"input_ids": IDS - 5}, r"input_ids from -1 to 4[\s\S]*ids 0 to 639[\s\S]*tokenizer", InputError),
    ({"input_ids": IDS + 631}, "input_ids from 635 to 640", InputError),
    (
        {"inputs_embeds": torch.zeros(2, 3, 95)},
        r"inputs_embeds of shape \[2, 3, 95\][\s\S]*float\[B, T, 96\]",
        ShapeError,
    ),
    ({"inputs_embeds": torch.zeros(3, 96)}, "inputs_embeds of shape", ShapeError),
    ({"input_ids": IDS, "attention_mask": torch.ones(2, 2)}, r"attention_mask of shape \[2, 2\]", ShapeError),
    ({"input_ids": IDS, "attention_mask": torch.ones(3)}, r"attention_mask of shape \[3\]", ShapeError),
]


@pytest.mark.parametrize(("inputs", "message", "error"), BOTH)
def test_text_that_does_not_fit_is_refused(
    model: vlkit.VLM, inputs: dict[str, Any], message: str, error: type[VlkitError]
) -> None:
    for run in (model, model.generate, model.incremental_prefilling):
        with pytest.raises(error, match=message):
            run(**inputs)


@pytest.mark.parametrize(
    ("inputs", "message", "error"),
    [
        ({"labels": IDS[:, :2]}, r"labels of shape \[2, 2\][\s\S]*\[2, 3\]", ShapeError),
        ({"position_ids": torch.arange(3)}, r"position_ids of shape \[3\][\s\S]*\[2, 3\]", ShapeError),
        ({"logits_to_keep": -1}, "logits_to_keep -1", InputError),
    ],
)
def test_what_goes_along_with_the_text_has_one_value_per_position(
    model: vlkit.VLM, inputs: dict[str, Any], message: str, error: type[VlkitError]
) -> None:
    with pytest.raises(error, match=message):
        model(IDS, **inputs)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"input_ids": IDS[:, :0]}, "2 samples and 0 positions"),
        ({"input_ids": IDS[:0]}, "0 samples and 3 positions"),
        ({"inputs_embeds": torch.zeros(1, 0, 96)}, "1 samples and 0 positions"),
        ({"input_ids": IDS, "attention_mask": torch.tensor([[1, 1, 1], [1, 1, 0]])}, r"ends in padding[\s\S]*left"),
    ],
)
def test_a_prompt_ends_in_text(model: vlkit.VLM, inputs: dict[str, Any], message: str) -> None:
    for run in (model.generate, model.incremental_prefilling):
        with pytest.raises(InputError, match=message):
            run(**inputs)


def test_labels_are_tokens_or_not_counted() -> None:
    model = vlkit.build("mini")
    with pytest.raises(InputError, match=r"labels from 6 to 640[\s\S]*ids 0 to 639"):
        model(IDS, labels=torch.tensor([[5, 6, -100], [640, 640, 7]]))
    with pytest.raises(InputError, match=r"labels of torch.float32"):
        model(IDS, labels=IDS.float())
    uncounted = torch.tensor([[9999, 6, -100], [-5, 8, 7]])
    assert model(IDS, labels=uncounted).loss.isfinite()


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 6), st.sampled_from([torch.int32, torch.int64]))
def test_ids_of_the_vocabulary_are_accepted(batch: int, length: int, vocabulary: int, dtype: torch.dtype) -> None:
    ids = torch.randint(vocabulary, (batch, length), dtype=dtype)
    assert require_text(ids, None, vocabulary=vocabulary, dim=4) == (batch, length)
    assert require_text(ids, torch.zeros(batch, length + 1, 4), vocabulary=1, dim=4) == (batch, length + 1)
    require_prompt((batch, length), torch.ones(batch, length, dtype=torch.bool))
    require_one_per_position("labels", ids, (batch, length))
    with pytest.raises(InputError, match="ids 0 to"):
        require_known("input_ids", ids, vocabulary=int(ids.max()))
