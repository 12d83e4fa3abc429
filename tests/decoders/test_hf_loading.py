"""Checkpoints of transformers' language models: folders as transformers saves them, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.decoders.hf_contents import CONTENTS, VOCABULARY
from vlkit.decoders import HFCausalLM, HFCausalLMConfig
from vlkit.errors import CheckpointError, ConfigError
from vlkit.foreign.extras import load_extra

transformers = load_extra("transformers")

pytestmark = pytest.mark.usefixtures("offline")


def saved(folder: Path, name: str = "tied", **fields: Any) -> Any:
    """A model of transformers in evaluation mode, and its folder."""
    config = transformers.AutoConfig.for_model(**CONTENTS[name] | fields)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    model.save_pretrained(folder)
    return model


def edit(file: Path, **fields: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def some_ids() -> Tensor:
    return torch.randint(3, VOCABULARY, (2, 7))


@pytest.mark.parametrize("name", ["tied", "experts", "absolute positions", "scaled embeddings, capped logits"])
def test_a_folder_is_loaded_and_its_config_is_kept(name: str, tmp_path: Path) -> None:
    theirs, ids = saved(tmp_path, name), some_ids()
    ours = HFCausalLM.from_pretrained(tmp_path)
    assert not ours.training and ours.config.config["model_type"] == CONTENTS[name]["model_type"]
    with torch.no_grad():
        logits = ours.logits(ours(ours.embed(ids)).x_BTD)
        assert torch.equal(logits, theirs(input_ids=ids).logits)
    again = HFCausalLMConfig.model_validate_json(ours.config.model_dump_json())
    assert again == ours.config and again.facts == HFCausalLMConfig(config=CONTENTS[name]).facts
    ours.lm.save_pretrained(tmp_path / "again")
    assert HFCausalLM.from_pretrained(tmp_path / "again").config == ours.config


def test_the_type_is_that_of_the_file_or_the_one_asked_for(tmp_path: Path) -> None:
    saved(tmp_path).to(torch.bfloat16).save_pretrained(tmp_path)
    for asked, dtype in ((None, torch.bfloat16), (torch.float16, torch.float16)):
        ours = HFCausalLM.from_pretrained(tmp_path, dtype=asked)
        assert {parameter.dtype for parameter in ours.parameters()} == {dtype}
        assert ours.lm.model.rotary_emb.inv_freq.dtype == torch.float32


def test_ends_of_text_are_those_of_the_generation_config(tmp_path: Path) -> None:
    saved(tmp_path)
    edit(tmp_path / "generation_config.json", eos_token_id=[5, 6], pad_token_id=7)
    config = HFCausalLM.from_pretrained(tmp_path).config
    assert (config.stop_ids, config.padding_id) == ((5, 6), 7)


def test_code_of_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    saved(tmp_path)
    (tmp_path / "evil.py").write_text("raise SystemExit")
    code = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}
    edit(tmp_path / "config.json", auto_map=code)
    assert "auto_map" not in HFCausalLM.from_pretrained(tmp_path).config.config
    edit(tmp_path / "config.json", model_type="evil")
    with pytest.raises(ConfigError, match=r"model_type is 'evil'[\s\S]*code of a checkpoint is never run"):
        HFCausalLM.from_pretrained(tmp_path)


def test_the_text_part_of_a_composite_model_must_be_there(tmp_path: Path) -> None:
    saved(tmp_path, "windows in some layers")
    text = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gemma3", "text_config": text}))
    ours = HFCausalLM.from_pretrained(tmp_path)
    assert ours.config.config["model_type"] == "gemma3_text"
    assert type(ours.lm).__name__ == "Gemma3ForCausalLM"


def test_checkpoints_that_are_no_safe_or_no_whole_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="has no readable"):
        HFCausalLM.from_pretrained(tmp_path / "nowhere")
    model = saved(tmp_path)
    edit(tmp_path / "config.json", num_hidden_layers=3, layer_types=["full_attention"] * 3)
    with pytest.raises(CheckpointError, match=r"lacks 11 weights, 'model\.layers\.2\."):
        HFCausalLM.from_pretrained(tmp_path)
    edit(tmp_path / "config.json", num_hidden_layers=2, layer_types=["full_attention"] * 2, hidden_size=16)
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        HFCausalLM.from_pretrained(tmp_path)
    edit(tmp_path / "config.json", hidden_size=32, quantization_config={"quant_method": "bitsandbytes"})
    with pytest.raises(ConfigError, match=r"config\.quantization_config"):
        HFCausalLM.from_pretrained(tmp_path)
    edit(tmp_path / "config.json", quantization_config=None)
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        HFCausalLM.from_pretrained(tmp_path)


def test_a_hub_id_that_is_not_in_the_cache_is_refused_without_a_network() -> None:
    with pytest.raises(CheckpointError, match=r"vlkit/no-such-model has no readable config\.json"):
        HFCausalLM.from_pretrained("vlkit/no-such-model", revision="main")
