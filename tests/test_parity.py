"""Golden a1 to a4: whole checkpoints of the official code give its numbers at every stage."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

import vlkit
from tests import tolerances
from tests.parity import GOLDEN, recorded
from tests.small_models import cache_of, logits_of
from vlkit.checkpoint.header import read_header
from vlkit.decoders import DeepseekV2Config, MLAConfig
from vlkit.image_inputs import ImageInputs
from vlkit.vlm import VLMOutput

FOLDERS = sorted({weights.parent for weights in GOLDEN.glob("a[1-4]_*/**/model*.safetensors")})
"""Checkpoints: one file, or shards in a folder of their own."""


@dataclass
class Golden:
    """A checkpoint and what the official code made of it."""

    folder: Path

    @property
    def case(self) -> Path:
        """Where inputs and outputs lie; shards are in a folder of their own."""
        return self.folder.parent if self.folder.name == "sharded" else self.folder

    @cached_property
    def io(self) -> dict[str, Tensor]:
        """Inputs and outputs."""
        return recorded(self.case)

    @cached_property
    def checks(self) -> dict[str, Any]:
        """What the official code was checked for."""
        return json.loads((self.case / "meta.json").read_text())["checks"]

    @cached_property
    def model(self) -> vlkit.VLM:
        """The checkpoint in float32."""
        return vlkit.from_pretrained(self.folder)

    @property
    def images(self) -> dict[str, Tensor]:
        """Inputs of the embeddings."""
        return {name: self.io[name] for name in ("input_ids", "images", "images_seq_mask", "images_spatial_crop")}

    @property
    def prompt(self) -> dict[str, Tensor]:
        """Inputs of the whole model."""
        return {**self.images, "attention_mask": self.real}

    @property
    def real(self) -> Tensor:
        """False on padding, where the official numbers mean nothing."""
        return self.io["attention_mask"].bool()

    @cached_property
    def out(self) -> VLMOutput:
        """One pass over everything."""
        with torch.no_grad():
            return self.model(**self.prompt, labels=self.io["labels"], output_hidden_states=True, output_routing=True)


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda folder: str(folder.relative_to(GOLDEN)))
def case(request: pytest.FixtureRequest) -> Golden:
    return Golden(request.param)


def having(array: str) -> pytest.MarkDecorator:
    """The checkpoints whose case has this array; the small copy of the data leaves some out."""
    folders = [folder for folder in FOLDERS if array in read_header(Golden(folder).case / "io.safetensors")]
    return pytest.mark.parametrize("case", folders, ids=lambda folder: folder.name, indirect=True)


def near(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    assert_close(actual, expected, rtol=0, atol=tolerance)


def test_there_are_all_cases_and_shards() -> None:
    assert {folder.relative_to(GOLDEN).parts[0][:2] for folder in FOLDERS} >= {"a2", "a3", "a4"}
    assert "sharded" in {folder.name for folder in FOLDERS}


@torch.no_grad()
def test_tower_projector_and_embeddings(case: Golden) -> None:
    inputs = ImageInputs.gather(
        case.io["images"],
        case.io["images_seq_mask"],
        case.io["images_spatial_crop"],
        samples=len(case.io["input_ids"]),
    )
    assert inputs is not None
    x_NYXW = case.model.encoder(inputs.pixels)
    near(x_NYXW.flatten(1, 2), case.io["vision_features"], tolerances.VISION_TOWER)
    near(case.model.projector(x_NYXW).flatten(1, 2), case.io["projector_output"], tolerances.EMBEDDINGS)
    embeds = case.model.prepare_inputs_embeds(**case.images)
    near(embeds[case.real], case.io["inputs_embeds"][case.real], tolerances.EMBEDDINGS)


def test_logits_and_loss(case: Golden) -> None:
    near(logits_of(case.out)[case.real], case.io["logits"][case.real], tolerances.LOGITS)
    assert case.out.loss is not None
    near(case.out.loss, case.io["loss"][0], tolerances.LOSS)


def test_routing_is_the_same_expert_by_expert(case: Golden) -> None:
    real = case.real.flatten()
    layers = {int(name.split(".")[1]) for name in case.io if name.startswith("moe_topk_idx")}
    assert case.out.routings is not None
    assert set(case.out.routings) == layers
    for layer, routing in case.out.routings.items():
        ids_MA, order = routing.ids_MA.sort(dim=-1)
        weights_MA = routing.weights_MA.gather(1, order)
        assert torch.equal(ids_MA[real], case.io[f"moe_topk_idx.{layer}"][real])
        near(weights_MA[real], case.io[f"moe_topk_weight.{layer}"][real], tolerances.ROUTING)


@having("hidden_states")
def test_hidden_states(case: Golden) -> None:
    expected = case.io["hidden_states"]
    near(torch.stack(case.out.hidden_states)[:, case.real], expected[:, case.real], tolerances.LOGITS)


def test_greedy_answers_are_the_same_id_by_id(case: Golden) -> None:
    ids = case.model.generate(**case.prompt, max_new_tokens=12, eos_token_id=())
    assert torch.equal(ids, case.io["generated_ids"])
    embeds = case.model.prepare_inputs_embeds(**case.images)
    again = case.model.generate(
        inputs_embeds=embeds, attention_mask=case.real, max_new_tokens=12, eos_token_id=(), cache="offload"
    )
    assert torch.equal(again, ids)


@having("generated_ids_with_eos")
def test_finished_rows_are_filled_up_the_same(case: Golden) -> None:
    eos = case.checks["eos_token_id_used_for_generated_ids_with_eos"]
    ids = case.model.generate(**case.prompt, max_new_tokens=12, eos_token_id=eos)
    assert torch.equal(ids, case.io["generated_ids_with_eos"])


@having("generate_scores")
@torch.no_grad()
def test_logits_of_every_step(case: Golden) -> None:
    out = case.model(**case.prompt, cache="resident", logits_to_keep=1)
    steps = [out.logits]
    for ids_B in case.io["generated_ids"][:, :-1].unbind(dim=1):
        out = case.model(ids_B[:, None], cache=out.cache)
        steps.append(out.logits)
    near(torch.cat(steps, dim=1), case.io["generate_scores"], tolerances.LOGITS)


@pytest.mark.parametrize("policy", ["resident", "offload"])
def test_prefill_in_chunks_of_seven_and_what_follows(case: Golden, policy: str) -> None:
    out = case.model.incremental_prefilling(**case.prompt, chunk_size=7, cache=policy)
    near(logits_of(out)[:, -1], case.io["chunked_last_logits"], tolerances.LOGITS)
    compared = 0
    for index, layer in enumerate(cache_of(out).layers):
        for number, ours in enumerate(official_parts(layer.tensors, case.model)):
            theirs = case.io.get(f"chunked_cache.{index}.{number}")
            if theirs is not None:
                real = case.real[:, None, :-1].expand(ours.shape[:3])
                near(ours[real], theirs[real], tolerances.CACHE)
                compared += 1
    assert compared >= 2
    ids = case.model.generate(**case.prompt, max_new_tokens=12, eos_token_id=(), cache=cache_of(out))
    assert torch.equal(ids, case.io["generated_ids"])


def official_parts(tensors: tuple[Tensor, ...], model: vlkit.VLM) -> list[Tensor]:
    """What the official cache holds of all positions but the last: for latent attention shared key and latent."""
    decoder = model.config.decoder
    assert isinstance(decoder, DeepseekV2Config)
    if isinstance(decoder.attention, MLAConfig):
        (c_BSR,) = tensors
        latent, key = c_BSR[:, None, :-1].tensor_split([decoder.attention.kv_lora_rank], dim=-1)
        return [key, latent]
    return [x_BGSK[:, :, :-1] for x_BGSK in tensors]


def test_a_config_without_its_defaults_is_the_same_model(tmp_path: Path) -> None:
    case = Golden(GOLDEN / "a2_mha_greedy_2d_head")
    minimal = case.folder / "config.minimal.json"
    assert vlkit.DeepseekVLV2Config.from_hf(minimal) == vlkit.DeepseekVLV2Config.from_hf(case.folder)
    (tmp_path / "config.json").write_bytes(minimal.read_bytes())
    (tmp_path / "model.safetensors").write_bytes((case.folder / "model.safetensors").read_bytes())
    with torch.no_grad():
        out = vlkit.from_pretrained(tmp_path)(**case.prompt)
    assert torch.equal(out.logits, logits_of(case.out))


@torch.no_grad()
def test_bfloat16_is_near(case: Golden) -> None:
    """Half of the positions keep their logits to five percent of their length; flipped experts move the others more."""
    model = vlkit.from_pretrained(case.folder, dtype=torch.bfloat16)
    logits, expected = model(**case.prompt).logits[case.real], case.io["logits"][case.real]
    assert model.dtype == torch.bfloat16
    error = (logits - expected).norm(dim=-1) / expected.norm(dim=-1)
    assert error.median() < tolerances.BFLOAT16
    assert model.generate(**case.prompt, max_new_tokens=3, eos_token_id=()).shape == (len(case.real), 3)
