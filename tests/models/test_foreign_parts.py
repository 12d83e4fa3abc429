"""Whole models with parts of other libraries: generation as theirs, vlkit's own checkpoints, descriptions."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import vlkit
from tests.decoders.hf_contents import CONTENTS, PAD, ROTARY, VOCABULARY, small_lm
from vlkit.cache import KVCache, cache_policies
from vlkit.decoders import HFCausalLM
from vlkit.errors import ConfigError
from vlkit.foreign.extras import load_extra
from vlkit.models.deepseek_vl2.model import DeepseekVLV2
from vlkit.notation import Grid

transformers = load_extra("transformers")

SIGLIP = {
    "model_type": "siglip_vision_model",
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 32,
    "patch_size": 16,
}
NEW = 8


def builder(name: str = "tied", *, encoder: str = "timm") -> vlkit.DeepseekVLV2Builder:
    """A small model whose encoder and decoder are of other libraries."""
    parts: dict[str, dict[str, Any]] = {
        "timm": {"model": "test_vit3", "image_size": (64, 48)},
        "hf_vision": {"config": SIGLIP, "image_size": (64, 48)},
    }
    return (
        vlkit.DeepseekVLV2Builder("mini")
        .encoder(encoder, **parts[encoder])
        .projector("mlp_gelu")
        .decoder("hf_causal_lm", config=CONTENTS[name])
        .candidate_resolutions((64, 48), (128, 48))
    )


def with_language_model(name: str) -> DeepseekVLV2:
    """A model whose decoder says something."""
    return builder(name).decoder(small_lm(name)).build().eval()


def language_model(model: vlkit.VLM) -> Any:
    """The model of transformers in it."""
    assert isinstance(model.decoder, HFCausalLM)
    return model.decoder.lm


def prompts(rows: int = 2, length: int = 9) -> Tensor:
    return torch.randint(3, VOCABULARY, (rows, length))


def hf_generate(lm: Any, x_BTD: Tensor, mask: Tensor) -> Tensor:
    return lm.generate(
        inputs_embeds=x_BTD, attention_mask=mask.long(), max_new_tokens=NEW, do_sample=False, pad_token_id=PAD
    )


@pytest.mark.parametrize(
    ("name", "padded"), [*((name, False) for name in CONTENTS), *((name, True) for name in ROTARY)]
)
def test_greedy_generation_is_that_of_transformers(name: str, padded: bool) -> None:
    """Padded only where distances alone matter: transformers counts from the first token, vlkit from the left edge."""
    model, ids = with_language_model(name), prompts()
    mask = torch.ones_like(ids, dtype=torch.bool)
    if padded:
        mask[0, :4] = False
    expected = hf_generate(language_model(model), model.decoder.embed(ids), mask)
    for cache in ("resident", "offload"):
        found = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=NEW, cache=cache, chunk_size=4)
        assert torch.equal(found, expected)


def picture_inputs(model: DeepseekVLV2) -> dict[str, Tensor]:
    """A prompt with one picture of two tiles."""
    tokens = model.config.layout.count(Grid(1, 2), model.config.grid)
    places = torch.zeros(1, tokens + 5, dtype=torch.bool)
    places[0, 2 : 2 + tokens] = True
    return {
        "input_ids": torch.randint(3, VOCABULARY, (1, tokens + 5)),
        "images": torch.randn(1, 3, 3, 48, 64),
        "images_seq_mask": places,
        "images_spatial_crop": torch.tensor([[[2, 1]]]),
    }


@pytest.mark.parametrize("encoder", ["timm", "hf_vision"])
def test_pictures_reach_the_language_model_and_transformers_generates_from_them(encoder: str) -> None:
    model = builder(encoder=encoder).decoder(small_lm("tied")).build().eval()
    inputs = picture_inputs(model)
    x_BTD = model.prepare_inputs_embeds(**inputs)
    expected = hf_generate(language_model(model), x_BTD, torch.ones(x_BTD.shape[:2]))
    assert torch.equal(model.generate(**inputs, max_new_tokens=NEW), expected)
    dark = inputs | {"images": torch.zeros_like(inputs["images"])}
    assert not torch.equal(model.prepare_inputs_embeds(**dark), x_BTD)
    model.train()(**inputs, labels=inputs["input_ids"]).loss.backward()
    idle = {parameter for module in model.encoder.idle_modules() for parameter in module.parameters()}
    without = {name for name, parameter in model.named_parameters() if parameter.grad is None and parameter not in idle}
    assert without == set()


class Letters:
    """A tokenizer with a letter per token."""

    def decode(self, ids: list[int]) -> str:
        """Text of ids."""
        return "".join(chr(60 + token) for token in ids)


def test_streams_prefixes_and_taken_back_caches_work_as_with_every_decoder() -> None:
    model, ids = with_language_model("windows"), prompts(1)
    expected = model.generate(input_ids=ids, max_new_tokens=NEW, eos_token_id=())
    text = "".join(model.stream(Letters(), input_ids=ids, max_new_tokens=NEW, eos_token_id=()))
    assert text == Letters().decode(expected[0].tolist())
    begun = model.incremental_prefilling(input_ids=ids[:, :6], chunk_size=2).cache
    assert isinstance(begun, KVCache)
    for _ in range(2):
        assert torch.equal(model.generate(input_ids=ids, max_new_tokens=NEW, cache=begun, eos_token_id=()), expected)


@pytest.mark.parametrize("encoder", ["timm", "hf_vision"])
@pytest.mark.parametrize("name", ["tied", "experts"])
def test_a_model_is_saved_in_our_format_and_loaded(name: str, encoder: str, tmp_path: Path) -> None:
    model = builder(name, encoder=encoder).decoder(small_lm(name)).build().eval()
    vlkit.save_pretrained(model, tmp_path, max_shard_size="100KB")
    loaded = vlkit.from_pretrained(tmp_path)
    assert loaded.config == model.config
    assert loaded.state_dict().keys() == model.state_dict().keys()
    for key, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], tensor), key
    inputs = picture_inputs(model)
    # mapped weights lie as the file has them, and on some CPUs the last bit of a product depends on their alignment
    assert torch.equal(deepcopy(loaded)(**inputs).logits, model(**inputs).logits)
    assert torch.equal(loaded.generate(**inputs, max_new_tokens=3), model.generate(**inputs, max_new_tokens=3))
    if name == "tied":
        lm = language_model(loaded)
        assert lm.lm_head.weight is lm.model.embed_tokens.weight
    rounded = vlkit.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert rounded(**inputs).logits.isfinite().all()
    assert language_model(rounded).model.rotary_emb.inv_freq.dtype == torch.float32


def test_a_saved_folder_of_transformers_becomes_the_decoder(tmp_path: Path, offline: None) -> None:
    lm = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model(**CONTENTS["llama"])).eval()
    lm.save_pretrained(tmp_path)
    model = builder().decoder(HFCausalLM.from_pretrained(tmp_path)).build().eval()
    ids = prompts()
    assert torch.equal(model(ids).logits, lm(ids).logits)
    general: vlkit.VLM = vlkit.VLMBuilder(builder().config).decoder(HFCausalLM.from_pretrained(tmp_path)).build()
    assert type(general) is vlkit.VLM and torch.equal(general.eval()(ids).logits, lm(ids).logits)


@pytest.mark.parametrize("encoder", ["timm", "hf_vision"])
def test_parts_of_other_libraries_are_described(encoder: str) -> None:
    about = vlkit.describe(builder(encoder=encoder).config, image_sizes=[(100, 40)], prompt_tokens=5)
    model = builder(encoder=encoder).build()
    assert about.parameters.total == sum(parameter.numel() for parameter in model.parameters())
    assert about.parameters["encoder"].unused > 0
    assert about.flops.encoder_view == model.config.encoder.forward_flops(model.config.tile_size)
    assert "hf_causal_lm" in str(about)


def test_parameters_of_experts_are_not_taken_for_active() -> None:
    tied, untied, sparse = (
        vlkit.describe(builder(name).config).parameters["decoder"] for name in ("tied", "llama", "experts")
    )
    embedding = VOCABULARY * 32
    assert (tied.total, untied.active) == (tied.active, (untied.total or 0) - embedding)
    assert untied["head"].total == embedding and "head" not in [part.name for part in tied.parts]
    assert (sparse.active, sparse["other"].active, sparse["embedding"].active) == (None, None, 0)


def test_what_is_cached_is_what_is_described() -> None:
    model = builder("latent attention").build()
    cache = model.decoder.new_cache()
    with torch.no_grad():
        model(prompts(1), cache=cache)
    about = vlkit.describe(model.config, prompt_tokens=9, new_tokens=0, dtype=torch.float32)
    assert about.memory.cache == cache.nbytes


def test_wrong_neighbours_and_names_are_refused_before_anything_is_built() -> None:
    with pytest.raises(ConfigError, match="candidate_resolutions begins with 64x48"):
        _ = builder().encoder("timm", image_size=64).config
    with pytest.raises(ConfigError, match="did you mean 'test_vit3'"):
        builder().encoder("timm", model="test_vit33")
    assert {"offload", "resident"} <= set(cache_policies)
