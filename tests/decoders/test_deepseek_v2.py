"""Laws of the decoder: cached is uncached, chunked is whole, a batch is each sample alone; and how it trains."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from tests.strategies import cuts, left_padded, normal, seeds
from tests.tolerances import EXACT, GRADIENT, ROTATED
from vlkit.cache import KVCache
from vlkit.decoders import (
    DeepseekV2,
    DeepseekV2Config,
    DynamicScaling,
    MHAConfig,
    MLAConfig,
    MoEConfig,
    YarnScaling,
)
from vlkit.errors import ConfigError, ContextLengthError, ShapeError
from vlkit.nn.balance import batch_balance_loss, expert_load, sequence_balance_loss, update_correction_bias
from vlkit.nn.mlp import GatedMLP
from vlkit.nn.moe import MoE

DIM, VOCAB = 8, 13
LATENT = MLAConfig(num_attention_heads=2, kv_lora_rank=5, qk_nope_head_dim=3, qk_rope_head_dim=2, v_head_dim=4)
EXPERTS = MoEConfig(
    n_routed_experts=6, num_experts_per_tok=2, moe_intermediate_size=5, n_shared_experts=1, first_k_dense_replace=1
)
ATTENTIONS: dict[str, MHAConfig | MLAConfig] = {
    "mha": MHAConfig(num_attention_heads=2),
    "gqa": MHAConfig(num_attention_heads=4, num_key_value_heads=2, attention_bias=True),
    "mla": LATENT,
    "mla_query_rank": LATENT.replace(q_lora_rank=4, attention_bias=True),
}
FEED_FORWARDS: dict[str, MoEConfig | None] = {
    "dense": None,
    "moe": EXPERTS,
    "noaux": EXPERTS.replace(
        topk_method="noaux_tc",
        scoring_func="sigmoid",
        n_group=3,
        topk_group=2,
        norm_topk_prob=True,
        routed_scaling_factor=2.0,
        n_shared_experts=None,
    ),
}
VARIANTS = [(attention, feed_forward) for attention in ATTENTIONS for feed_forward in FEED_FORWARDS]
every_variant = pytest.mark.parametrize(("attention", "feed_forward"), VARIANTS)


def build(attention: str = "mla", feed_forward: str = "moe", **fields: Any) -> DeepseekV2:
    """Small decoder in float64 whose layers all matter."""
    config = DeepseekV2Config(
        vocab_size=VOCAB,
        hidden_size=DIM,
        num_hidden_layers=3,
        intermediate_size=9,
        attention=ATTENTIONS[attention],
        moe=FEED_FORWARDS[feed_forward],
        initializer_range=0.4,
        max_position_embeddings=64,
    )
    decoder = DeepseekV2(config.replace(**fields)).double().eval()
    with torch.no_grad():
        for name, parameter in decoder.named_parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter), alpha=0.3 if "norm" in name else 0.05)
    return decoder


def in_chunks(decoder: DeepseekV2, x_BTD: Tensor, chunks: list[int], mask_BT: Tensor | None, cache: KVCache) -> Tensor:
    """Hidden states of a prefill in chunks; the mask is given for the new positions and for all, in turn."""
    outs, seen = [], 0
    for number, x in enumerate(x_BTD.split(chunks, dim=1)):
        seen += x.shape[1]
        mask = None if mask_BT is None else mask_BT[:, :seen] if number % 2 else mask_BT[:, seen - x.shape[1] : seen]
        outs.append(decoder(x, attention_mask=mask, cache=cache).x_BTD)
    return torch.cat(outs, dim=1)


@every_variant
@settings(max_examples=8)
@given(st.data(), seeds)
def test_chunks_with_a_cache_are_the_whole_without(
    attention: str, feed_forward: str, data: st.DataObject, seed: int
) -> None:
    decoder, length = build(attention, feed_forward), data.draw(st.integers(1, 8))
    mask_BT = data.draw(st.one_of(st.none(), left_padded(2, length)))
    x_BTD = normal(seed, 2, length, DIM)
    whole, real_BT = decoder(x_BTD, attention_mask=mask_BT).x_BTD, slice(None) if mask_BT is None else mask_BT
    with torch.set_grad_enabled(data.draw(st.booleans())):
        cache = decoder.new_cache(data.draw(st.sampled_from(["resident", "offload"])))
        found = in_chunks(decoder, x_BTD, data.draw(cuts(length)), mask_BT, cache)
    assert torch.allclose(found[real_BT], whole[real_BT], rtol=0, atol=EXACT)
    assert cache.length == length


@every_variant
@settings(max_examples=8)
@given(st.data(), seeds)
def test_a_padded_batch_is_each_sample_alone_and_stays_so_with_a_cache(
    attention: str, feed_forward: str, data: st.DataObject, seed: int
) -> None:
    decoder, length, steps = build(attention, feed_forward), data.draw(st.integers(1, 6)), data.draw(st.integers(0, 2))
    mask_BT = data.draw(left_padded(3, length))
    x_BTD, cache = normal(seed, 3, length + steps, DIM), decoder.new_cache()
    with torch.no_grad():
        outs = [decoder(x_BTD[:, :length], attention_mask=mask_BT, cache=cache).x_BTD]
        outs += [decoder(x_BTD[:, at : at + 1], cache=cache).x_BTD for at in range(length, length + steps)]
        batch = torch.cat(outs, dim=1)
        assert batch.isfinite().all()
        for row, mask_T in enumerate(F.pad(mask_BT, (0, steps), value=True)):
            alone = decoder(x_BTD[row : row + 1, mask_T]).x_BTD[0]
            assert torch.allclose(batch[row, mask_T], alone, rtol=0, atol=ROTATED)


@every_variant
@given(data=st.data(), seed=seeds)
@settings(max_examples=5)
def test_with_positions_counted_from_the_text_a_padded_batch_is_each_sample_alone_exactly(
    attention: str, feed_forward: str, data: st.DataObject, seed: int
) -> None:
    decoder, mask_BT, x_BTD = build(attention, feed_forward), data.draw(left_padded(3, 5)), normal(seed, 3, 5, DIM)
    positions = (mask_BT.cumsum(dim=1) - 1).clamp(min=0)
    batch = decoder(x_BTD, attention_mask=mask_BT, position_ids=positions).x_BTD
    for row, mask_T in enumerate(mask_BT):
        alone = decoder(x_BTD[row : row + 1, mask_T]).x_BTD[0]
        assert torch.allclose(batch[row, mask_T], alone, rtol=0, atol=EXACT)


@every_variant
def test_later_positions_and_padding_are_never_seen(attention: str, feed_forward: str) -> None:
    decoder, x_BTD = build(attention, feed_forward), normal(0, 2, 6, DIM)
    mask_BT = torch.tensor([[False, False, True, True, True, True], [True] * 6])
    changed = x_BTD.clone()
    changed[0, :2] += 1
    changed[:, 5] -= 1
    before, after = (decoder(x, attention_mask=mask_BT).x_BTD for x in (x_BTD, changed))
    assert torch.allclose(before[0, 2:5], after[0, 2:5], rtol=0, atol=EXACT)
    assert torch.allclose(before[1, :5], after[1, :5], rtol=0, atol=EXACT)
    assert not torch.allclose(before[:, 5], after[:, 5], rtol=0, atol=ROTATED)


@every_variant
@pytest.mark.parametrize("trainable", ["", "q_"])
def test_gradients_through_a_cache_are_those_without(attention: str, feed_forward: str, trainable: str) -> None:
    decoder, x_BTD = build(attention, feed_forward), normal(1, 2, 6, DIM)
    for name, parameter in decoder.named_parameters():
        parameter.requires_grad_(trainable in name and "e_score" not in name)
    mask_BT = torch.tensor([[False, True, True, True, True, True], [True] * 6])
    weights = {name: p for name, p in decoder.named_parameters() if p.requires_grad and "layers" in name}
    whole = decoder(x_BTD, attention_mask=mask_BT).x_BTD
    chunked = in_chunks(decoder, x_BTD, [3, 1, 2], mask_BT, decoder.new_cache())
    expected, found = (
        torch.autograd.grad(out[mask_BT].square().sum(), list(weights.values()), allow_unused=True)
        for out in (whole, chunked)
    )
    assert any(gradient is not None and gradient.any() for gradient in found)
    for name, a, b in zip(weights, expected, found, strict=True):
        assert torch.allclose(_zero_if_unused(a), _zero_if_unused(b), rtol=0, atol=GRADIENT), name


def _zero_if_unused(gradient: Tensor | None) -> Tensor:
    return torch.zeros(()) if gradient is None else gradient


@every_variant
def test_training_and_evaluation_compute_the_same_and_both_give_gradients(attention: str, feed_forward: str) -> None:
    decoder, x_BTD = build(attention, feed_forward), normal(2, 2, 7, DIM)
    outs, gradients = {}, {}
    for training in (True, False):
        decoder.train(training).zero_grad()
        outs[training] = decoder(x_BTD).x_BTD
        decoder.logits(outs[training]).square().sum().backward()
        gradients[training] = {name: p.grad.clone() for name, p in decoder.named_parameters() if p.grad is not None}
    assert torch.equal(outs[True], outs[False])
    assert gradients[True].keys() == gradients[False].keys()
    assert all(torch.allclose(gradients[True][n], g, rtol=0, atol=EXACT) for n, g in gradients[False].items())
    used = {name for name, _ in decoder.named_parameters() if "e_score" not in name and "embed" not in name}
    assert gradients[False].keys() == used


@pytest.mark.parametrize("seq_aux", [True, False])
def test_balance_loss_is_given_in_training_only_weighted_summed_and_without_padding(seq_aux: bool) -> None:
    moe = EXPERTS.replace(seq_aux=seq_aux, aux_loss_alpha=0.5)
    decoder, x_BTD = build(moe=moe), normal(3, 2, 5, DIM)
    mask_BT = torch.tensor([[False, False, True, True, True], [True] * 5])
    assert decoder(x_BTD, attention_mask=mask_BT).aux_loss is None
    output = decoder.train()(x_BTD, attention_mask=mask_BT, output_routing=True)
    loss = sequence_balance_loss if seq_aux else batch_balance_loss
    assert output.routings is not None and output.aux_loss is not None
    expected = sum(0.5 * loss(routing, mask_BT) for routing in output.routings.values())
    assert torch.allclose(output.aux_loss, torch.as_tensor(expected), rtol=0, atol=EXACT)
    changed = x_BTD.masked_fill(~mask_BT[..., None], 3.0)
    assert torch.allclose(decoder(changed, attention_mask=mask_BT).aux_loss, output.aux_loss, rtol=0, atol=EXACT)
    output.aux_loss.backward()
    assert decoder.get_parameter("layers.1.mlp.router.weight").grad is not None
    assert build(feed_forward="dense").train()(x_BTD).aux_loss is None


@given(st.integers(0, 4), st.integers(1, 3))
def test_experts_stand_in_every_so_many_layers_after_the_dense_ones(dense: int, frequency: int) -> None:
    moe = EXPERTS.replace(first_k_dense_replace=dense, moe_layer_freq=frequency)
    with torch.device("meta"):
        decoder = DeepseekV2(build().config.replace(moe=moe, num_hidden_layers=6))
    with_experts = [i for i in range(6) if isinstance(decoder.get_submodule(f"layers.{i}.mlp"), MoE)]
    assert with_experts == [i for i in range(0, 6, frequency) if i >= dense]
    assert all(decoder.config.is_moe_layer(i) == (i in with_experts) for i in range(6))
    assert all(isinstance(decoder.get_submodule(f"layers.{i}.mlp"), MoE | GatedMLP) for i in range(6))


def test_hidden_states_and_routings_are_given_when_asked_for() -> None:
    decoder, x_BTD = build(), normal(4, 2, 5, DIM)
    plain, output = decoder(x_BTD), decoder(x_BTD, output_hidden_states=True, output_routing=True)
    assert (plain.hidden_states, plain.routings) == ((), None)
    assert torch.equal(plain.x_BTD, output.x_BTD)
    assert [tuple(hidden.shape) for hidden in output.hidden_states] == [(2, 5, DIM)] * 4
    assert torch.equal(output.hidden_states[0], x_BTD) and torch.equal(output.hidden_states[-1], output.x_BTD)
    assert output.routings is not None and list(output.routings) == [1, 2]
    for routing in output.routings.values():
        assert (routing.ids_MA.shape, routing.scores_ME.shape) == ((10, 2), (10, 6))


def test_a_context_beyond_the_limit_is_refused_with_and_without_cache() -> None:
    decoder = build(max_position_embeddings=6)
    decoder(torch.zeros(1, 6, DIM, dtype=torch.float64))
    with pytest.raises(ContextLengthError, match="7 positions"):
        decoder(torch.zeros(1, 7, DIM, dtype=torch.float64))
    cache = decoder.new_cache()
    decoder(torch.zeros(1, 5, DIM, dtype=torch.float64), cache=cache)
    with pytest.raises(ContextLengthError, match="7 positions"):
        decoder(torch.zeros(1, 2, DIM, dtype=torch.float64), cache=cache)
    assert cache.length == 5


def test_dynamic_scaling_has_no_limit_of_its_own() -> None:
    decoder = build("mha", max_position_embeddings=6, rope_scaling=DynamicScaling(factor=2.0))
    assert decoder(torch.zeros(1, 9, DIM, dtype=torch.float64)).x_BTD.isfinite().all()


@pytest.mark.parametrize("shape", [(2, 3), (1, 4), (2, 5), (3, 4)])
def test_masks_that_do_not_fit_the_embeddings_are_refused(shape: tuple[int, int]) -> None:
    decoder = build()
    for cache in (None, decoder.new_cache()):
        with pytest.raises(ShapeError, match="attention_mask"):
            decoder(normal(5, 2, 4, DIM), attention_mask=torch.ones(shape), cache=cache)


def test_a_tied_head_is_the_embedding_and_a_free_one_is_not() -> None:
    tied, free, x_BTD = build(tie_word_embeddings=True), build(), normal(6, 1, 2, DIM)
    assert "lm_head.weight" not in tied.state_dict() and "lm_head.weight" in free.state_dict()
    assert torch.equal(tied.logits(x_BTD), x_BTD @ tied.embed_tokens.weight.T)
    assert free.lm_head is not None
    assert torch.equal(free.logits(x_BTD), x_BTD @ free.lm_head.weight.T)
    tied.logits(tied(tied.embed(torch.tensor([[3]]))).x_BTD)[0, 0, 5].backward()
    gradient = tied.embed_tokens.weight.grad
    assert gradient is not None and gradient[3].any() and gradient[5].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@given(length=st.integers(1, 300))
@settings(max_examples=5)
def test_latent_attention_caches_rank_and_rotated_width_per_position_and_nothing_else(
    length: int, dtype: torch.dtype
) -> None:
    decoder = build(max_position_embeddings=512).to(dtype)
    cache, (batch, layers) = decoder.new_cache(), (2, 3)
    with torch.no_grad():
        decoder(torch.zeros(batch, length, DIM, dtype=dtype), cache=cache)
    per_position = layers * batch * (5 + 2) * dtype.itemsize
    assert decoder.config.cached_values() == layers * (5 + 2)
    assert sum(t.numel() * t.element_size() for layer in cache.layers for t in layer.tensors) == length * per_position
    assert cache.nbytes == -(-length // 256) * 256 * per_position


def test_rotary_tables_stay_float32_after_conversion_and_are_no_state() -> None:
    decoder = build().to(torch.bfloat16)
    rotation = decoder.rope(torch.tensor([[4000, 4001]]))
    assert rotation.sin.dtype == torch.float32
    assert not torch.equal(rotation.sin[0, 0], rotation.sin[0, 1])
    assert not any("rope" in name or "inv_freq" in name for name in decoder.state_dict())


def test_reset_parameters_draws_everything_anew() -> None:
    decoder = build("mla_query_rank", "noaux", initializer_range=0.1)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.fill_(torch.nan)
    decoder.reset_parameters()
    state = decoder.state_dict()
    assert all((value == 1).all() for name, value in state.items() if "norm" in name)
    assert all((value == 0).all() for name, value in state.items() if name.endswith("bias"))
    drawn = torch.cat([value.flatten() for value in state.values() if value.ndim > 1])
    assert abs(drawn.std().item() - 0.1) < 0.01


@pytest.mark.parametrize("feed_forward", ["moe", "noaux"])
def test_a_few_steps_lower_the_loss(feed_forward: str) -> None:
    decoder = build(feed_forward=feed_forward, initializer_range=0.1).train()
    ids_BT = torch.randint(VOCAB, (4, 9))
    optimizer, losses = torch.optim.Adam((p for p in decoder.parameters() if p.requires_grad), lr=0.01), []
    for _ in range(25):
        output = decoder(decoder.embed(ids_BT[:, :-1]), output_routing=True)
        loss = F.cross_entropy(decoder.logits(output.x_BTD).flatten(0, 1), ids_BT[:, 1:].flatten())
        optimizer.zero_grad()
        (loss + output.aux_loss).backward()
        optimizer.step()
        losses.append(loss.item())
        if feed_forward == "noaux":
            for index, routing in output.routings.items():
                router = decoder.get_submodule(f"layers.{index}.mlp.router")
                update_correction_bias(router, expert_load(routing))  # type: ignore[arg-type]
    assert losses[-1] < 0.5 * losses[0]
    if feed_forward == "noaux":
        assert decoder.get_parameter("layers.1.mlp.router.e_score_correction_bias").any()


@pytest.mark.parametrize(("fields", "rule"), [
    ({"attention": MHAConfig(num_attention_heads=3)}, "heads divide the width"),
    ({"attention": MHAConfig(num_attention_heads=4, num_key_value_heads=3)}, "the latter divide the former"),
    ({"attention": MHAConfig(num_attention_heads=8)}, "even"),
    ({"attention": MHAConfig(num_attention_heads=2, head_dim=3)}, "even"),
    ({"attention": MHAConfig(num_attention_heads=2), "rope_scaling": YarnScaling(factor=2)}, "'linear' or 'dynamic'"),
    ({"attention": LATENT, "rope_scaling": DynamicScaling(factor=2)}, "above 2 for dynamic scaling"),
])  # fmt: skip
def test_settings_that_cannot_go_together_are_refused_before_anything_is_built(fields: Any, rule: str) -> None:
    with pytest.raises(ConfigError, match=rule):
        DeepseekV2Config(hidden_size=DIM, **fields)
