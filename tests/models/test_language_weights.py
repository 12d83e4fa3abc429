"""The dense decoder is LLaMA: weights of the transformers library give its numbers, through files and key map."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.refusal import refused
from vlkit.checkpoint import WeightFiles
from vlkit.checkpoint.loading import load_into
from vlkit.decoders import DeepseekV2, DeepseekV2Config, LinearScaling, MHAConfig, decoders
from vlkit.errors import CheckpointError
from vlkit.models.language_weights import LANGUAGE_KEYMAPS

transformers = pytest.importorskip("transformers")

SIZES: dict[str, Any] = {
    "vocab_size": 37,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 64,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "all heads": {"num_attention_heads": 4},
    "grouped heads": {"num_attention_heads": 6, "num_key_value_heads": 2},
    "one key head, wide": {"num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 10},
    "biases, other base": {"num_attention_heads": 4, "attention_bias": True, "rope_theta": 500.0, "rms_norm_eps": 1e-5},
}


def published(folder: Path, **fields: Any) -> Any:
    """A LLaMA of the transformers library with random numbers that matter, saved to a folder."""
    config = transformers.LlamaConfig(**SIZES, **fields, tie_word_embeddings=False)
    llama = transformers.LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for name, parameter in llama.named_parameters():
            scale = 0.3 if parameter.ndim == 1 else 1.5 * parameter.shape[-1] ** -0.5
            parameter.copy_(scale * torch.randn_like(parameter) + float(name.endswith("norm.weight")))
    save_file(dict(llama.state_dict()), folder / "model.safetensors")
    return llama


def loaded(folder: Path, **fields: Any) -> DeepseekV2:
    """The dense decoder with the folder's weights."""
    with torch.device("meta"):
        decoder = decoders.build(DeepseekV2Config.dense(**SIZES, **fields))
    assert isinstance(decoder, DeepseekV2)
    load_into(decoder, WeightFiles.open(folder), LANGUAGE_KEYMAPS["llama"])
    return decoder.eval()


@pytest.mark.parametrize("fields", VARIANTS.values(), ids=VARIANTS)
@torch.no_grad()
def test_weights_of_transformers_give_its_hidden_states_and_logits(fields: dict[str, Any], tmp_path: Path) -> None:
    llama, ids = published(tmp_path, **fields), torch.randint(37, (2, 11))
    mask = torch.arange(11) >= torch.tensor([[0], [4]])
    positions = torch.arange(11).expand(2, -1)
    theirs = llama(input_ids=ids, attention_mask=mask, position_ids=positions, output_hidden_states=True)
    decoder = loaded(tmp_path, **fields)
    out = decoder(decoder.embed(ids), attention_mask=mask, output_hidden_states=True)
    logits = decoder.logits(out.hidden_states[-1])
    for ours, right in [*zip(out.hidden_states, theirs.hidden_states, strict=True), (logits, theirs.logits)]:
        assert (ours - right)[mask].abs().max() <= 2e-5 * right[mask].abs().max()


def test_the_key_map_leaves_nothing_out_but_rotary_tables(tmp_path: Path) -> None:
    llama = published(tmp_path, num_attention_heads=4)
    count = sum(parameter.numel() for parameter in llama.parameters())
    decoder = loaded(tmp_path, num_attention_heads=4)
    assert sum(parameter.numel() for parameter in decoder.parameters()) == count
    old = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(3)}
    save_file({**llama.state_dict(), **old}, tmp_path / "model.safetensors")
    assert torch.equal(loaded(tmp_path, num_attention_heads=4).norm.weight, decoder.norm.weight)
    with pytest.raises(CheckpointError, match=r"of another shape|wrong shape|shape"):
        loaded(tmp_path, num_attention_heads=4, num_key_value_heads=2)


def test_what_is_left_out_is_llama_7b() -> None:
    with torch.device("meta"):
        decoder = decoders.build(DeepseekV2Config.dense())
    assert sum(parameter.numel() for parameter in decoder.parameters()) == 6_738_415_616


def test_dense_is_a_way_to_write_the_config_and_nothing_else() -> None:
    config = DeepseekV2Config.dense(num_attention_heads=8, hidden_size=64, rope_scaling=LinearScaling(factor=2.0))
    assert config == DeepseekV2Config(
        vocab_size=32000,
        hidden_size=64,
        num_hidden_layers=32,
        intermediate_size=11008,
        attention=MHAConfig(num_attention_heads=8),
        moe=None,
        rope_scaling=LinearScaling(factor=2.0),
        max_position_embeddings=2048,
    )
    assert DeepseekV2Config.model_validate_json(config.model_dump_json()) == config
    with refused("hidden_size 4096 with 24 heads"):
        DeepseekV2Config.dense(num_attention_heads=24)
    with refused("did you mean 'hidden_size'"):
        DeepseekV2Config.dense(hiden_size=64)
