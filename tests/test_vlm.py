"""Laws of the whole model: how its inputs are cut, padded and batched does not matter."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

import vlkit
from tests.refusal import refuse_to_run
from tests.small_models import Case, cache_of, cases, logits_of
from tests.strategies import cuts
from tests.tolerances import EXACT, ROTATED
from vlkit.decoders import DeepseekV2Config
from vlkit.errors import ConfigError, RegistryError, ShapeError
from vlkit.vlm import VLM, VLMOutput


def near(actual: Tensor | None, expected: Tensor | None, tolerance: float) -> None:
    assert_close(actual, expected, rtol=0, atol=tolerance, equal_nan=True)


@given(cases(), st.data())
def test_a_row_of_a_padded_batch_is_what_the_sample_is_alone(case: Case, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(case.samples) - 1))
    length, padded = len(case.samples[row].ids), case.batch["input_ids"].shape[1]
    positions = torch.arange(padded - length, padded)[None]
    batch = case.model(**case.batch, output_hidden_states=True)
    alone = case.model(**case.alone(row), position_ids=positions, output_hidden_states=True)
    for in_batch, by_itself in zip(batch.hidden_states, alone.hidden_states, strict=True):
        near(in_batch[row, -length:], by_itself[0], EXACT)
    near(batch.logits[row, -length:], alone.logits[0], EXACT)


@given(cases(all_experts_active=True))
def test_only_distances_between_positions_matter(case: Case) -> None:
    logits, real = case.model(**case.batch).logits, case.batch["attention_mask"]
    positions = torch.arange(logits.shape[1]).expand(len(logits), -1)
    shifted = case.model(**case.batch, position_ids=positions + 5).logits
    near(shifted[real], logits[real], ROTATED)


def in_pieces(case: Case, lengths: list[int], policy: str) -> list[VLMOutput]:
    """Outputs of one piece of the batch after the other; masks of the new and of all positions take turns."""
    inputs = case.batch
    mask = inputs.pop("attention_mask")
    embeds = case.model.prepare_inputs_embeds(**inputs)
    outs: list[VLMOutput] = []
    stop = 0
    for number, length in enumerate(lengths):
        start, stop = stop, stop + length
        outs.append(
            case.model(
                inputs_embeds=embeds[:, start:stop],
                attention_mask=mask[:, start if number % 2 else 0 : stop],
                cache=outs[-1].cache if outs else policy,
                output_hidden_states=True,
            )
        )
    return outs


@given(cases(), st.data())
def test_pieces_with_a_cache_give_what_the_whole_gives(case: Case, data: st.DataObject) -> None:
    outs = in_pieces(case, data.draw(cuts(case.batch["input_ids"].shape[1])), "resident")
    whole, real = case.model(**case.batch, output_hidden_states=True), case.batch["attention_mask"]
    for layer, states in enumerate(whole.hidden_states):
        near(torch.cat([out.hidden_states[layer] for out in outs], dim=1)[real], states[real], EXACT)
    near(torch.cat([logits_of(out) for out in outs], dim=1)[real], logits_of(whole)[real], EXACT)


@given(cases(), st.data(), st.booleans())
def test_where_the_cache_lives_changes_no_bit(case: Case, data: st.DataObject, gradients: bool) -> None:
    lengths = data.draw(cuts(case.batch["input_ids"].shape[1]))
    with torch.set_grad_enabled(gradients):
        resident, offload = (in_pieces(case, lengths, policy) for policy in ("resident", "offload"))
    for ours, theirs in zip(resident, offload, strict=True):
        assert torch.equal(logits_of(ours), logits_of(theirs))
        assert [cache_of(out).policy.config.type for out in (ours, theirs)] == ["resident", "offload"]


@given(cases(least_pictures=1))
def test_image_tokens_take_their_places_in_order(case: Case) -> None:
    inputs = case.batch
    del inputs["attention_mask"]
    embeds, places = case.model.prepare_inputs_embeds(**inputs), inputs["images_seq_mask"]
    pixels = torch.cat([sample.pixels for sample in case.samples])
    apart = [sample.overviews for sample in case.samples if sample.overviews is not None]
    grids = [grid for sample in case.samples for grid in sample.tiles]
    tokens = case.model.encode_images(pixels, grids, torch.cat(apart) if apart else None)
    assert torch.equal(embeds[~places], case.model.decoder.embed(inputs["input_ids"])[~places])
    near(embeds[places], tokens, EXACT)


@given(cases(most=1))
def test_without_pictures_the_encoder_does_not_run(case: Case) -> None:
    case.model.encoder.register_forward_pre_hook(refuse_to_run)
    inputs = case.batch
    inputs["images_spatial_crop"].zero_()
    inputs["images_seq_mask"].zero_()
    bare = case.model(inputs["input_ids"], inputs["attention_mask"])
    assert torch.equal(case.model(**inputs).logits, bare.logits)


@given(cases(), st.integers(0, 60))
def test_logits_are_given_for_the_last_positions_asked_for(case: Case, keep: int) -> None:
    kept = case.model(**case.batch, logits_to_keep=keep).logits
    near(kept, case.model(**case.batch).logits[:, -keep:] if keep else None, EXACT)


@given(cases(), st.data())
def test_the_loss_is_the_cross_entropy_of_the_full_logits(case: Case, data: st.DataObject) -> None:
    ids = case.batch["input_ids"]
    counted = data.draw(st.lists(st.booleans(), min_size=ids.numel(), max_size=ids.numel()))
    labels = ids.masked_fill(~torch.tensor(counted).view_as(ids), -100)
    out = case.model(**case.batch, labels=labels, logits_to_keep=0)
    logits = case.model(**case.batch).logits[:, :-1]
    near(out.loss, F.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten()), EXACT)
    summed = case.model(**case.batch, labels=labels, logits_to_keep=0, reduction="sum").loss
    near(summed, F.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), reduction="sum"), EXACT)


@given(cases())
def test_what_is_asked_for_comes_beside_the_logits(case: Case) -> None:
    decoder = case.model.config.decoder
    assert isinstance(decoder, DeepseekV2Config)
    out = case.model(**case.batch, output_hidden_states=True, output_routing=True)
    assert torch.equal(out.hidden_states[0], out.inputs_embeds)
    assert len(out.hidden_states) == decoder.num_hidden_layers + 1
    assert list(out.routings) == [i for i in range(decoder.num_hidden_layers) if decoder.is_moe_layer(i)]
    assert all(len(routing.ids_MA) == case.batch["input_ids"].numel() for routing in out.routings.values())
    plain = case.model(**case.batch)
    assert torch.equal(plain.logits, out.logits)
    assert (plain.hidden_states, plain.routings, plain.loss, plain.aux_loss, plain.cache) == (
        (),
        None,
        None,
        None,
        None,
    )


@given(cases(most=2, least_pictures=1, official=True), st.booleans())
def test_every_weight_that_is_used_learns_in_both_modes(case: Case, training: bool) -> None:
    case.model.train(training)
    case.model(**case.batch, labels=case.batch["input_ids"], logits_to_keep=0).loss.backward()
    without = {name for name, weight in case.model.named_parameters() if weight.grad is None}
    unused = ("encoder.attn_pool.", "encoder.fc_norm.", "mlp.router.e_score_correction_bias")
    assert without == {name for name, _ in case.model.named_parameters() if any(part in name for part in unused)}


@given(cases(least_pictures=1))
def test_a_part_that_breaks_its_promise_is_named(case: Case) -> None:
    class Taller(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.pad(x, (0, 0, 0, 0, 0, 1))

    parts = {"encoder": case.model.encoder, "layout": case.model.layout, "decoder": case.model.decoder}
    model = VLM(case.model.config, projector=nn.Sequential(case.model.projector, Taller()), **parts)
    with pytest.raises(ShapeError, match=r"projector Sequential gave features of shape[\s\S]*by their configs"):
        model(**case.batch)


def test_parts_are_known_by_name_and_used_as_they_are() -> None:
    config, nothing = vlkit.presets["mini"], nn.Sequential()
    with pytest.raises(ConfigError, match=r"'encodr' is no part of the model; did you mean 'encoder'\?"):
        VLM(config, encodr=nothing)
    assert VLM(config, projector=nothing).get_submodule("projector") is nothing


def test_a_cache_goes_on_with_the_decoder_that_filled_it() -> None:
    model, other = (
        vlkit.build("mini"),
        vlkit.build(vlkit.DeepseekVLV2Builder("mini").decoder("deepseek_v2", num_hidden_layers=2).config),
    )
    ids = torch.arange(4, 9)[None]
    with pytest.raises(ShapeError, match="a cache of 2 layers for a decoder of 3"):
        model(ids, cache=other(ids, cache="resident").cache)
    with pytest.raises(RegistryError, match="did you mean 'offload'"):
        model(ids, cache="ofload")


@pytest.mark.parametrize(("dtype", "wide"), [(torch.bfloat16, torch.float32), (torch.float64, torch.float64)])
def test_logits_and_loss_are_float32_or_wider(dtype: torch.dtype, wide: torch.dtype) -> None:
    model = vlkit.build("mini", dtype=dtype)
    ids = torch.arange(4, 9)[None]
    out = model(ids, labels=ids)
    assert (out.logits.dtype, out.loss.dtype, out.inputs_embeds.dtype) == (wide, wide, dtype)
    assert (model.dtype, model.device) == (dtype, torch.device("cpu"))


def test_a_processors_whole_output_can_be_embedded() -> None:
    model = vlkit.build("mini")
    inputs = vlkit.DeepseekVLV2Processor.for_model(model.config)(prompt="Hello")
    embeds = model.prepare_inputs_embeds(**inputs)
    assert torch.equal(embeds, model.decoder.embed(inputs["input_ids"]))
