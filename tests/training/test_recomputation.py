"""Gradient checkpointing: the same gradients from fewer kept numbers, and no trace afterwards."""

from typing import Any

import torch

import vlkit
from tests.training.runs import MODEL, recipe, samples
from vlkit.training import Batches
from vlkit.training.ingredients import gather
from vlkit.training.objective import Objective
from vlkit.training.recomputation import recomputed_blocks, repeated_blocks


def gradients(wanted: bool) -> tuple[dict[str, torch.Tensor], int]:
    """Gradients of a batch, and the bytes that were kept for them."""
    found = gather(recipe(evaluation=None), source=samples())
    model = found.make_model().train()
    batch = next(iter(Batches(found.source, found.processor, recipe().batching, seed=0)))
    kept: dict[int, Any] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with recomputed_blocks(model, wanted=wanted):
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            out = Objective(model)(batch)
        (out["loss"] + out["aux_loss"]).backward()
    named = {name: each.grad for name, each in model.named_parameters() if each.grad is not None}
    return named, sum(storage.nbytes() for storage in kept.values())


def test_gradients_are_the_same_and_less_is_kept() -> None:
    (plain, much), (again, little) = gradients(False), gradients(True)
    assert plain.keys() == again.keys()
    assert all(torch.equal(plain[name], again[name]) for name in plain)
    assert little < 0.5 * much


def test_blocks_of_both_towers_are_found_and_left_as_they_were() -> None:
    model = vlkit.build(MODEL)
    blocks = repeated_blocks(model)
    assert [type(block).__name__ for block in blocks].count("DeepseekV2Layer") == 2
    assert len(blocks) == 4
    with recomputed_blocks(model, wanted=True):
        assert all("forward" in vars(block) for block in blocks)
    assert not any("forward" in vars(block) for block in blocks)


def test_an_encoder_that_recomputes_by_itself_is_left_to_it() -> None:
    config = MODEL.replace(encoder=MODEL.encoder.replace(gradient_checkpointing=True))
    assert len(repeated_blocks(vlkit.build(config))) == 2
