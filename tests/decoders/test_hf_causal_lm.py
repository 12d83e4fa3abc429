"""Language models of transformers as decoders: against transformers itself, with vlkit's caches."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from tests.decoders.hf_contents import COMMON, CONTENTS, END, PAD, ROTARY, VOCABULARY, small_lm
from vlkit.cache import cache_policies
from vlkit.decoders import HFCausalLM, HFCausalLMConfig
from vlkit.errors import ConfigError, ContextLengthError, InputError, ShapeError
from vlkit.foreign.extras import load_extra
from vlkit.testing import check_decoder

transformers = load_extra("transformers")

NEAR = 1e-5
"""Two orders of the same float32 sums, of results of order one."""
LOSSLESS = [tag for tag in cache_policies if cache_policies.resolve(tag).lossless]
every_model = pytest.mark.parametrize("name", CONTENTS)


def some_ids(rows: int = 2, length: int = 11) -> Tensor:
    return torch.randint(3, VOCABULARY, (rows, length))


@every_model
def test_logits_of_a_text_are_those_of_the_model_itself(name: str) -> None:
    decoder, ids = small_lm(name), some_ids()
    with torch.no_grad():
        expected = decoder.lm(input_ids=ids, use_cache=False).logits
        x_BTD = decoder(decoder.embed(ids)).x_BTD
    assert_close(decoder.logits(x_BTD), expected, rtol=0, atol=NEAR)
    assert_close(decoder.logits(x_BTD[0, 3]), expected[0, 3], rtol=0, atol=NEAR)


@every_model
@pytest.mark.parametrize("policy", LOSSLESS)
def test_pieces_with_a_cache_are_the_whole_and_can_be_taken_back(name: str, policy: str) -> None:
    decoder, ids = small_lm(name), some_ids()
    cache = decoder.new_cache(policy)
    with torch.no_grad():
        whole = decoder(decoder.embed(ids)).x_BTD
        pieces = [decoder(decoder.embed(piece), cache=cache).x_BTD for piece in ids.split([7, 1, 3], dim=1)]
        assert_close(torch.cat(pieces, dim=1), whole, rtol=0, atol=NEAR)
        assert (cache.length, cache.policy.config.type) == (11, policy)
        cache.crop(2)
        cache.reorder(torch.tensor([1, 1]))
        again = decoder(decoder.embed(ids[[1, 1], 2:]), cache=cache).x_BTD
    assert_close(again, whole[[1, 1], 2:], rtol=0, atol=NEAR)


@every_model
def test_the_cache_holds_what_the_config_tells(name: str) -> None:
    decoder = small_lm(name)
    cache = decoder.new_cache()
    decoder(decoder.embed(some_ids()), cache=cache)
    widths = [t.shape[-1] for layer in cache.layers for t in layer.tensors for _ in range(t[0, ..., 0, 0].numel())]
    assert decoder.config.cached_vectors() == {width: widths.count(width) for width in widths}
    assert len(cache.layers) == decoder.config.num_layers == 2


@pytest.mark.parametrize("name", CONTENTS)
def test_a_row_of_a_padded_batch_is_the_sample_alone(name: str) -> None:
    decoder, ids, pads = small_lm(name), some_ids(), 4
    mask = torch.ones_like(ids, dtype=torch.bool)
    mask[0, :pads] = False
    counted = (mask.cumsum(1) - 1).clamp(min=0)
    positions: dict[str, Tensor] = {} if name in ROTARY else {"position_ids": counted}
    with torch.no_grad():
        batch = decoder(decoder.embed(ids), attention_mask=mask, **positions).x_BTD
        alone = decoder(decoder.embed(ids[:1, pads:])).x_BTD
        cache, pieces = decoder.new_cache(), []
        for start, stop in ((0, 3), (3, 8), (8, 11)):
            own = {key: value[:, start:stop] for key, value in positions.items()}
            x = decoder.embed(ids[:, start:stop])
            pieces.append(decoder(x, attention_mask=mask[:, :stop], cache=cache, **own).x_BTD)
    assert_close(batch[:1, pads:], alone, rtol=0, atol=NEAR * 10)
    assert_close(torch.cat(pieces, 1)[mask], batch[mask], rtol=0, atol=NEAR)


def test_given_positions_change_rotation_and_separate_nothing() -> None:
    decoder, ids = small_lm("llama"), some_ids()
    jumps = torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3, 9, 10, 11]]).expand(2, -1)
    with torch.no_grad():
        plain = decoder(decoder.embed(ids)).x_BTD
        found = decoder(decoder.embed(ids), position_ids=jumps).x_BTD
        first = ids.clone()
        first[:, 0] = 3
        moved = decoder(decoder.embed(first), position_ids=jumps).x_BTD
        shifted = decoder(decoder.embed(ids), position_ids=torch.arange(5, 16).expand(2, -1)).x_BTD
    assert_close(found[:, :4], plain[:, :4], rtol=0, atol=NEAR)
    assert not torch.allclose(found[:, 5:], plain[:, 5:], atol=1e-3)
    assert not torch.equal(moved[:, -1], found[:, -1])
    assert_close(shifted, plain, rtol=0, atol=NEAR * 10)
    with pytest.raises(InputError, match="BloomForCausalLM"):
        small_lm("no positions")(decoder.embed(ids), position_ids=jumps)


@every_model
def test_hidden_states_are_the_model_s_own(name: str) -> None:
    decoder, ids = small_lm(name), some_ids()
    with torch.no_grad():
        theirs = decoder.lm(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states
        x_BTD = decoder.embed(ids)
        out = decoder(x_BTD, output_hidden_states=True)
    assert len(out.hidden_states) == len(theirs) == 3 and out.routings is None
    assert torch.equal(out.hidden_states[0], x_BTD) and torch.equal(out.hidden_states[-1], out.x_BTD)
    for ours, expected in zip(out.hidden_states[1:], theirs[1:], strict=True):
        assert_close(ours, expected, rtol=0, atol=NEAR)


@pytest.mark.parametrize("name", ["tied", "scaled embeddings, capped logits", "experts", "experts and shared ones"])
def test_loss_balance_loss_and_gradients_are_the_model_s_own(name: str) -> None:
    decoder, ids = small_lm(name).train(), some_ids()
    sparse = "experts" in name
    asked = {"output_router_logits": True} if sparse else {}
    mask = torch.ones_like(ids)
    mask[0, :3] = 0
    labels = ids.masked_fill(mask == 0, -100)
    theirs = decoder.lm(input_ids=ids, attention_mask=mask, labels=labels, **asked)
    theirs.loss.backward()
    expected = {name: parameter.grad for name, parameter in decoder.named_parameters()}
    decoder.zero_grad()
    out = decoder(decoder.embed(ids), attention_mask=mask.bool())
    loss = F.cross_entropy(decoder.logits(out.x_BTD)[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
    assert (out.aux_loss is not None) == sparse
    if out.aux_loss is not None:
        assert_close(out.aux_loss, 0.03 * theirs.aux_loss if name == "experts" else out.aux_loss, rtol=0, atol=NEAR)
        loss = loss + out.aux_loss
    assert_close(loss, theirs.loss, rtol=0, atol=NEAR)
    loss.backward()
    for key, parameter in decoder.named_parameters():
        assert parameter.grad is not None and expected[key] is not None, key
        assert_close(parameter.grad, expected[key], rtol=0, atol=NEAR)
    assert decoder.eval()(decoder.embed(ids)).aux_loss is None


def test_the_config_tells_what_the_model_tells() -> None:
    config = HFCausalLMConfig()
    assert (config.dim, config.num_layers, config.vocabulary, config.max_positions) == (1024, 28, 151936, 40960)
    assert (config.stop_ids, config.padding_id, config.cached_values()) == ((151645,), None, 28 * 2 * 8 * 128)
    with torch.device("meta"):
        decoder = HFCausalLM(config)
    assert sum(parameter.numel() for parameter in decoder.parameters()) == 596_049_920
    assert decoder.lm.config.rope_parameters["rope_theta"] == 1_000_000
    several = HFCausalLMConfig(config=CONTENTS["llama"] | {"eos_token_id": [1, 7]})
    assert (several.stop_ids, several.padding_id) == ((1, 7), PAD)
    dynamic = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}
    assert HFCausalLMConfig(config=CONTENTS["llama"] | {"rope_parameters": dynamic}).max_positions is None
    assert HFCausalLMConfig(config=CONTENTS["no positions"]).max_positions is None
    assert HFCausalLMConfig(config=CONTENTS["absolute positions"]).max_positions == 64


@pytest.mark.parametrize(("content", "message"), [
    ({"model_type": "bert", **COMMON}, "BertLMHeadModel sees later tokens"),
    ({"model_type": "bert-generation", **COMMON}, "sees later tokens"),
    ({"model_type": "llama", **COMMON, "is_causal": False}, "LlamaForCausalLM sees later tokens"),
    ({"model_type": "mamba"}, "MambaForCausalLM keeps states that are no keys and values"),
    ({"model_type": "gemma4_text"}, "Gemma4ForCausalLM embeds each token once per layer"),
    ({"model_type": "openai-gpt"}, "OpenAIGPTLMHeadModel has no cache of the common form"),
    ({"model_type": "vit"}, "model_type 'vit' is no causal language model"),
    ({"model_type": "llama", **COMMON, "num_attention_heads": 5}, "LlamaConfig|llama"),
    ({"model_type": "llama", **COMMON, "hidden_size": "wide"}, "model_type 'llama'"),
    ({"model_type": "qwen33"}, "did you mean 'qwen3'"),
    ({"model_type": "llama", **COMMON, "auto_map": {"AutoModelForCausalLM": "evil.Model"}}, "auto_map"),
])  # fmt: skip
def test_what_is_no_decoder_is_refused(content: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        HFCausalLMConfig(config=content)


def test_the_text_part_of_a_composite_config_is_taken() -> None:
    whole = HFCausalLMConfig(config={"model_type": "gemma3", "text_config": CONTENTS["windows in some layers"]})
    assert whole.facts == HFCausalLMConfig(config=CONTENTS["windows in some layers"]).facts
    assert type(HFCausalLM(whole).lm).__name__ == "Gemma3ForCausalLM"


def test_too_many_positions_and_masks_that_do_not_fit_are_refused() -> None:
    decoder = small_lm("llama", max_position_embeddings=8)
    with pytest.raises(ContextLengthError, match="9 positions"):
        decoder(torch.zeros(1, 9, 32))
    with pytest.raises(ShapeError, match=r"attention_mask of shape \[1, 5\]"):
        decoder(torch.zeros(1, 4, 32), attention_mask=torch.ones(1, 5))


def test_positions_keep_their_precision_when_weights_are_rounded() -> None:
    decoder = small_lm("llama")
    before = decoder.lm.model.rotary_emb.inv_freq.clone()
    rounded = decoder.to(torch.bfloat16)
    assert torch.equal(rounded.lm.model.rotary_emb.inv_freq, before)
    assert next(rounded.parameters()).dtype == torch.bfloat16


@pytest.mark.parametrize("name", ["tied", "experts", "absolute positions"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_built_on_meta_and_loaded_is_what_is_built_at_once(name: str, dtype: torch.dtype) -> None:
    real, ids = small_lm(name).to(dtype), some_ids()
    with torch.device("meta"):
        decoder = HFCausalLM(real.config).eval()
    assert all(parameter.is_meta for parameter in decoder.parameters())
    decoder.load_state_dict(real.state_dict(), assign=True)
    outs = [part.logits(part(part.embed(ids)).x_BTD) for part in (decoder, real)]
    assert torch.equal(*outs)


def test_a_model_of_one_s_own_can_be_handed_in() -> None:
    lm = transformers.AutoModelForCausalLM.from_config(transformers.LlamaConfig(**COMMON))
    decoder = HFCausalLM(HFCausalLMConfig(config={"model_type": "llama", **COMMON}), lm=lm)
    assert decoder.lm is lm and decoder.embed(torch.tensor([[END]])).shape == (1, 1, 32)


@pytest.mark.parametrize("name", ["latent attention", "absolute positions"])
def test_every_law_of_decoders_holds(name: str) -> None:
    check_decoder(HFCausalLMConfig(config=CONTENTS[name]), skip=["compile", "export"])
