"""Adapters: where they are, that they change nothing at first, and that merged weights are the same model."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import vlkit
from tests.small_models import batch_of, random_model, sample
from tests.strategies import normal
from tests.training import runs
from vlkit.decoders import DeepseekV2Config, MHAConfig, MLAConfig, MoEConfig
from vlkit.encoders import SigLIPConfig
from vlkit.errors import CheckpointError, ConfigError
from vlkit.layouts import Layout2DConfig
from vlkit.models.deepseek_vl2.config import DeepseekVLV2Config
from vlkit.models.deepseek_vl2.model import DeepseekVLV2
from vlkit.notation import Grid
from vlkit.projectors import DownsampleMlpGeluConfig
from vlkit.training import LoraConfig, PartTraining
from vlkit.training.adapter_files import load_adapters, save_adapters
from vlkit.training.adapter_reach import reached_layers
from vlkit.training.groups import parameter_groups
from vlkit.training.lora import adapter_tensors, adapters_of, attach_adapters, merge_adapters, without_adapters

pytest.importorskip("peft")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

MLA = MLAConfig(num_attention_heads=2, kv_lora_rank=6, qk_nope_head_dim=4, qk_rope_head_dim=4, v_head_dim=3)
EXPERTS = MoEConfig(n_routed_experts=4, num_experts_per_tok=2, moe_intermediate_size=6, n_shared_experts=1)


def config(attention: Any = MLA) -> DeepseekVLV2Config:
    return DeepseekVLV2Config(
        encoder=SigLIPConfig(image_size=(4, 4), patch_size=2, width=8, heads=2, layers=1, mlp_ratio=2.0, pool="map"),
        projector=DownsampleMlpGeluConfig(depth=2, mlp_ratio=1, downsample_ratio=2),
        layout=Layout2DConfig(),
        decoder=DeepseekV2Config(
            vocab_size=48,
            hidden_size=8,
            num_hidden_layers=2,
            intermediate_size=10,
            attention=attention,
            moe=EXPERTS.replace(first_k_dense_replace=1),
            max_position_embeddings=64,
        ),
        candidate_resolutions=((4, 4),),
    )


def small(attention: Any = MLA, seed: int = 0) -> DeepseekVLV2:
    return random_model(config(attention), seed)


def inputs_of(model: DeepseekVLV2) -> dict[str, Tensor]:
    return batch_of([sample(model.config, [3, 4], [Grid(1, 1)], 5)], model.config)


def everywhere(**fields: Any) -> dict[str, PartTraining]:
    return {part: PartTraining(lora=LoraConfig(rank=2, **fields)) for part in ("encoder", "projector", "decoder")}


def disturb(model: nn.Module, seed: int = 7) -> None:
    with torch.no_grad():
        for number, tensor in enumerate(adapter_tensors(model).values()):
            tensor.copy_(normal(seed + number, *tensor.shape))


@pytest.mark.parametrize("attention", [MLA, MLA.replace(mode="absorb"), MHAConfig(num_attention_heads=2)])
def test_adapters_change_nothing_at_first_and_every_one_of_them_learns(attention: Any) -> None:
    model = small(attention)
    inputs = inputs_of(model)
    before = model(**inputs).logits
    attach_adapters(model, everywhere())
    torch.testing.assert_close(model(**inputs).logits, before, rtol=0, atol=0)
    groups = parameter_groups(model, everywhere(), lr=1e-3, weight_decay=0.1)
    trained = {name for group in groups if group.trains for name in group.names}
    assert trained == adapter_tensors(model).keys() | {n for n, _ in model.named_parameters() if n.startswith("layout")}
    disturb(model)
    model(**inputs).logits.square().sum().backward()
    assert [name for name, each in adapter_tensors(model).items() if each.grad is None or not each.grad.any()] == []


def test_all_reaches_every_linear_layer_but_those_that_are_read_or_idle() -> None:
    model = small()
    names = {name for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    found = {name for part in reached_layers(model, everywhere()).values() for name in part}
    left = names - found
    assert {name for name in left if not name.startswith("encoder.attn_pool")} == {
        "decoder.lm_head",
        "decoder.layers.0.self_attn.kv_b_proj",
        "decoder.layers.1.self_attn.kv_b_proj",
    }
    assert not any("experts.gate_up" in name for name in found)


@pytest.mark.parametrize(
    ("reach", "ends"),
    [
        ("attention", {"q_proj", "kv_a_proj_with_mqa", "o_proj"}),
        ("mlp", {"gate_proj", "up_proj", "down_proj"}),
        (("o_proj", "shared_experts.up_proj"), {"o_proj", "up_proj"}),
    ],
)
def test_reach_names_layers(reach: Any, ends: set[str]) -> None:
    parts = {"decoder": PartTraining(lora=LoraConfig(reach=reach))}
    assert {name.rpartition(".")[2] for name in reached_layers(small(), parts)["decoder"]} == ends


@pytest.mark.parametrize("ending", ["gate_up_proj", "experts", "lm_head", "kv_b_proj", "q_prj"])
def test_what_cannot_be_reached_is_refused(ending: str) -> None:
    parts = {"decoder": PartTraining(lora=LoraConfig(reach=(ending,)))}
    with pytest.raises(ConfigError, match="stacked"):
        reached_layers(small(), parts)


def test_parts_have_ranks_of_their_own_and_parts_inside_parts_their_own_way() -> None:
    model = small()
    parts = {
        "decoder": PartTraining(lora=LoraConfig(rank=2)),
        "decoder.layers.1": PartTraining(lora=LoraConfig(rank=3, reach="attention")),
        "decoder.layers.0.mlp": PartTraining(train=False),
    }
    attach_adapters(model, parts)
    ranks = {name: len(tensor) for name, tensor in adapter_tensors(model).items() if "lora_A" in name}
    assert {rank for name, rank in ranks.items() if name.startswith("decoder.layers.0")} == {2}
    assert {rank for name, rank in ranks.items() if name.startswith("decoder.layers.1")} == {3}
    assert not any("mlp" in name for name in ranks)


def test_a_model_with_adapters_gets_no_second_ones() -> None:
    model = small()
    attach_adapters(model, everywhere())
    with pytest.raises(ConfigError, match="already"):
        attach_adapters(model, everywhere())


def test_first_numbers_follow_from_the_seed_and_nothing_else_changes() -> None:
    first, second = small(), small()
    state = torch.random.get_rng_state()
    attach_adapters(first, everywhere(), seed=3)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(99)
    attach_adapters(second, everywhere(), seed=3)
    for one, other in zip(adapter_tensors(first).values(), adapter_tensors(second).values(), strict=True):
        assert torch.equal(one, other)


def test_merged_weights_are_the_same_model_and_can_be_saved(tmp_path: Path) -> None:
    model = small()
    inputs, names = inputs_of(model), model.state_dict().keys()
    attach_adapters(model, everywhere(alpha=3.0))
    disturb(model)
    expected = model(**inputs).logits
    merge_adapters(model)
    assert model.state_dict().keys() == names
    torch.testing.assert_close(model(**inputs).logits, expected, rtol=1e-9, atol=1e-9)
    vlkit.save_pretrained(model, tmp_path)
    torch.testing.assert_close(vlkit.from_pretrained(tmp_path)(**inputs).logits, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("merged", [True, False])
def test_saving_in_between_leaves_no_trace(tmp_path: Path, merged: bool) -> None:
    model = small()
    inputs = inputs_of(model)
    plain = model(**inputs).logits
    attach_adapters(model, everywhere())
    disturb(model)
    before, learned = {name: tensor.clone() for name, tensor in model.state_dict().items()}, model(**inputs).logits
    with without_adapters(model, merged=merged):
        assert not adapters_of(model)
        vlkit.save_pretrained(model, tmp_path)
    after = model.state_dict()
    assert list(after) == list(before) and all(torch.equal(after[name], before[name]) for name in before)
    saved = vlkit.from_pretrained(tmp_path)(**inputs).logits
    torch.testing.assert_close(saved, learned if merged else plain, rtol=1e-9, atol=1e-9)


def test_adapters_travel_alone(tmp_path: Path) -> None:
    model, other = small(), small()
    attach_adapters(model, everywhere(alpha=5.0))
    disturb(model)
    save_adapters(model, everywhere(alpha=5.0), tmp_path)
    assert load_adapters(other, tmp_path) == everywhere(alpha=5.0)
    inputs = inputs_of(model)
    assert torch.equal(other(**inputs).logits, model(**inputs).logits)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapters.json", "model.safetensors"]


def test_adapters_of_another_model_are_refused(tmp_path: Path) -> None:
    model = small()
    attach_adapters(model, everywhere())
    save_adapters(model, everywhere(), tmp_path)
    with pytest.raises(CheckpointError, match=r"shape|only the"):
        load_adapters(small(MHAConfig(num_attention_heads=2)), tmp_path)
    with pytest.raises(CheckpointError, match="no adapters"):
        save_adapters(small(), everywhere(), tmp_path / "none")


def test_reach_is_known_before_weights_are() -> None:
    model = vlkit.build(config(), device="meta")
    attach_adapters(model, everywhere())
    assert adapters_of(model)


LORA_RUN: dict[str, Any] = {
    "parts": {
        "encoder": {"train": False},
        "decoder": {"lora": {"rank": 2}, "lr": 0.05},
        "decoder.layers.1.mlp.experts": {},
    },
    "steps": 4,
    "save_every": 2,
    "log_every": 1,
    "evaluation": None,
}


def test_a_run_with_adapters_goes_on_where_it_was_and_ends_merged(tmp_path: Path) -> None:
    whole = runs.run(tmp_path / "whole", **LORA_RUN)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    for name in ("model", "checkpoints/step-000004"):
        shutil.rmtree(tmp_path / "cut" / name)
    resumed = runs.run(tmp_path / "cut", **LORA_RUN)
    assert not adapters_of(whole.model) and whole.history[-1]["loss"] < whole.history[0]["loss"]
    assert runs.measured(resumed.history) == runs.measured(whole.history)
    saved = vlkit.from_pretrained(tmp_path / "cut" / "model").state_dict()
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(saved[name], tensor), name


def test_checkpoints_of_a_run_keep_the_weights_beside_the_adapters(tmp_path: Path) -> None:
    runs.run(tmp_path, **LORA_RUN)
    first, last = (tmp_path / "checkpoints" / name for name in ("step-000002", "step-000004"))
    one, other = (vlkit.from_pretrained(folder) for folder in (first, last))
    changed = {name for name, tensor in one.state_dict().items() if not torch.equal(tensor, other.state_dict()[name])}
    assert {name.partition(".")[0] for name in changed} == {"projector", "layout", "decoder"}
    assert {name for name in changed if name.startswith("decoder")} == {
        "decoder.layers.1.mlp.experts.gate_up_proj",
        "decoder.layers.1.mlp.experts.down_proj",
        "decoder.layers.1.mlp.router.e_score_correction_bias",
    }
    load_adapters(other, last / "adapters")
    merge_adapters(other)
    merged = vlkit.from_pretrained(tmp_path / "model").state_dict()
    for name, tensor in other.state_dict().items():
        torch.testing.assert_close(merged[name], tensor, rtol=0, atol=0)
