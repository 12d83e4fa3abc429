"""Golden c6 and c7: checkpoints with the official names and config give the numbers of the official code."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import vlkit
from tests.models.saved import same_weights
from vlkit.checkpoint.loading import named_tensors
from vlkit.models.deepseek_vl import hf_fields
from vlkit.models.deepseek_vl.keys import KEYMAP

LANGUAGE = {
    "vocab_size": 9,
    "hidden_size": 28,
    "num_hidden_layers": 1,
    "intermediate_size": 8,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}
"""A decoder for c6, which has none."""


def near(ours: Tensor, theirs: Tensor) -> None:
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= 2e-5 * theirs.abs().max()


def declare_towers(case: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Add the small towers of a case to those that the official code knows by name, as the case itself did."""
    names = ("patch_size", "width", "layers", "heads")
    siglip, sam = case.pop("siglip"), case.pop("sam", None)
    sizes = {name: siglip[name] for name in (*names, "mlp_ratio")}
    monkeypatch.setitem(hf_fields.SIGLIP_TOWERS, "siglip_tiny", sizes)
    if sam is not None:
        sizes = {name: sam[name] for name in (*names, "downsample_channels")}
        sizes |= {"global_layers": sam["global_attn_indexes"], "neck_width": sam["prompt_embed_dim"]}
        monkeypatch.setitem(hf_fields.SAM_TOWERS, "sam_tiny", sizes | {"mlp_ratio": 4.0, "window_size": 14})


def load(folder: Path, content: dict[str, Any], weights: dict[str, Tensor]) -> vlkit.DeepseekVL:
    """Model of a folder in the official layout."""
    (folder / "config.json").write_text(json.dumps(content))
    save_file(weights, folder / "model.safetensors")
    model = vlkit.from_pretrained(folder)
    assert isinstance(model, vlkit.DeepseekVL)
    return model


@torch.no_grad()
def test_one_tower_and_decoder(golden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = golden / "c7_vl_single"
    content, io = json.loads((case / "config.json").read_text()), load_file(case / "io.safetensors")
    declare_towers(content, monkeypatch)
    model = load(tmp_path, content, load_file(case / "model.safetensors"))
    assert model.config == vlkit.DeepseekVLConfig.from_hf(model.config.to_hf())

    x_NYXW = model.encoder(io["pixel_values"].flatten(0, 1))
    near(x_NYXW.flatten(1, 2), io["vision_features"])
    near(model.projector(x_NYXW).flatten(1, 2), io["aligner_output"])

    used = io["images_emb_mask"].any(dim=-1)
    assert used.tolist() == [[True, True], [True, False]], "one row has a dummy picture, which is not encoded here"
    inputs = {
        "input_ids": io["input_ids"],
        "images": io["pixel_values"],
        "images_seq_mask": io["images_seq_mask"],
        "images_spatial_crop": used[..., None].long().expand(-1, -1, 2),
    }
    real = io["attention_mask"]
    assert real.sum(dim=1).tolist() == [46, 31], "one row is padded on the left"
    near(model.prepare_inputs_embeds(**inputs), io["inputs_embeds"])
    out = model(**inputs, attention_mask=real, output_hidden_states=True)
    near(out.hidden_states[-1][real], io["last_hidden_state"][real])
    near(out.logits[real], io["logits"][real])

    vlkit.save_pretrained(model, tmp_path / "saved")
    saved, official = load_file(tmp_path / "saved" / "model.safetensors"), load_file(case / "model.safetensors")
    assert saved.keys() == official.keys()
    assert all(torch.equal(tensor, official[name]) for name, tensor in saved.items())
    assert same_weights(vlkit.from_pretrained(tmp_path / "saved"), model)


@torch.no_grad()
def test_two_towers_and_aligner(golden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = golden / "c6_vl_hybrid"
    parts, io = json.loads((case / "config.json").read_text()), load_file(case / "io.safetensors")
    declare_towers(parts, monkeypatch)
    content = {
        "model_type": "multi_modality",
        "vision_config": parts["vision"],
        "aligner_config": parts["aligner"],
        "language_config": LANGUAGE,
    }
    config = vlkit.DeepseekVLConfig.from_hf(content)
    assert config == vlkit.DeepseekVLConfig.from_hf(config.to_hf())
    random = KEYMAP.to_theirs(named_tensors(vlkit.build(config)))
    official = load_file(case / "model.safetensors")
    assert {name for name in random if not name.startswith("language_model.")} == official.keys()
    weights = {name: tensor.detach().clone() for name, tensor in random.items()} | official
    model = load(tmp_path, content, weights)

    x_NYXW = model.encoder(io["images"])
    near(x_NYXW.flatten(1, 2), torch.cat([io["high_features"], io["low_features"]], dim=-1))
    near(model.projector(x_NYXW).flatten(1, 2), io["aligner_output"])
