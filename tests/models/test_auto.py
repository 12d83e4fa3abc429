"""The door to all models: what is saved comes back, and what names no config is refused."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn

import vlkit
from tests.models.saved import config_in, same_weights
from tests.refusal import refused
from tests.small_models import Case, batch_of, cases, random_model, sample, samples, small_configs
from tests.strategies import seeds
from vlkit.checkpoint import WeightFiles
from vlkit.decoders import DeepseekV2Config
from vlkit.errors import CheckpointError, ConfigError
from vlkit.models.deepseek_vl2.keys import EMBEDDING, HEAD
from vlkit.models.family import NATIVE
from vlkit.notation import Grid

MINI = vlkit.presets["mini"]


def logits_of(model: vlkit.VLM, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Logits with the weights in memory of their own: mapped ones lie as the file has them, and the last bit of a
    product depends on their alignment on some CPUs."""
    logits = deepcopy(model)(**batch).logits
    assert logits is not None
    return logits


@given(small_configs(official=True), seeds, st.data())
def test_what_is_saved_in_the_official_layout_comes_back(
    tmp_path_factory: pytest.TempPathFactory, config: vlkit.DeepseekVLV2Config, seed: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("official")
    dtype = data.draw(st.sampled_from([torch.float32, torch.bfloat16, torch.float16]))
    model = random_model(config, seed, dtype=dtype)
    vlkit.save_pretrained(model, folder, max_shard_size=data.draw(st.sampled_from(["1GB", "9KB"])))
    content = config_in(folder)
    assert content == config.to_hf() | {"torch_dtype": str(dtype).removeprefix("torch.")}
    assert content["architectures"] == ["DeepseekVLV2ForCausalLM"]
    again = vlkit.from_pretrained(folder)
    assert (again.config, again.dtype, again.training) == (config, dtype, False)
    assert same_weights(again, model)
    batch = batch_of([data.draw(samples(config))], config)
    assert torch.equal(logits_of(again, batch), model(**batch).logits)


@given(cases(most=1))
def test_what_the_official_layout_cannot_express_comes_back_from_vlkits_own(
    tmp_path_factory: pytest.TempPathFactory, case: Case
) -> None:
    folder = tmp_path_factory.mktemp("own")
    vlkit.save_pretrained(case.model, folder)
    again = vlkit.from_pretrained(str(folder))
    assert same_weights(again, case.model)
    if NATIVE in config_in(folder):
        with pytest.raises(ConfigError, match="cannot be written to an official"):
            case.model.config.to_hf()
        assert again.config == case.model.config == vlkit.resolve_config(folder)
        assert torch.equal(logits_of(again, case.batch), case.model(**case.batch).logits)


def test_a_stem_of_convolutions_comes_back_from_vlkits_own_layout(tmp_path: Path) -> None:
    encoder = MINI.encoder.replace(image_size=32, patch_size=4, stem=(5, 6, 7))
    config = MINI.replace(encoder=encoder, candidate_resolutions=((32, 32),))
    model = random_model(config, 0, dtype=torch.float32)
    vlkit.save_pretrained(model, tmp_path)
    assert NATIVE in config_in(tmp_path)
    with pytest.raises(ConfigError, match=r"encoder\.stem \(5, 6, 7\) cannot be written to an official"):
        config.to_hf()
    again = vlkit.from_pretrained(tmp_path)
    assert again.config == config
    assert same_weights(again, model)
    assert "encoder.patch_embed.convs.2.weight" in again.state_dict()


def with_tied_head(**fields: Any) -> vlkit.DeepseekVLV2:
    assert isinstance(MINI.decoder, DeepseekV2Config)
    tied = MINI.decoder.replace(tie_word_embeddings=True)
    return random_model(MINI.replace(decoder=tied, **fields), 0, dtype=torch.float32)


def test_a_tied_head_is_written_for_the_official_code_and_read_once(tmp_path: Path) -> None:
    model = with_tied_head()
    vlkit.save_pretrained(model, tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    assert config_in(tmp_path)["language_config"]["tie_word_embeddings"] is True
    assert torch.equal(tensors[HEAD], tensors[EMBEDDING])
    again = vlkit.from_pretrained(tmp_path)
    assert same_weights(again, model)
    assert not [name for name, _ in again.named_parameters() if "lm_head" in name]


def test_a_folder_without_the_tied_head_is_read_too(tmp_path: Path) -> None:
    model = with_tied_head()
    vlkit.save_pretrained(model, tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors[HEAD]
    save_file(tensors, tmp_path / "model.safetensors")
    assert same_weights(vlkit.from_pretrained(tmp_path), model)


@pytest.mark.parametrize("change", [lambda head: head + 1, lambda head: head[:-1]])
def test_a_head_of_its_own_is_not_passed_over(tmp_path: Path, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    vlkit.save_pretrained(with_tied_head(), tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    save_file(tensors | {HEAD: change(tensors[HEAD])}, tmp_path / "model.safetensors")
    with pytest.raises(
        CheckpointError, match=r"lm_head.weight' in [\s\S]*embed_tokens[\s\S]*tie_word_embeddings to fal"
    ):
        vlkit.from_pretrained(tmp_path)


def test_in_vlkits_own_layout_a_tied_head_is_stored_once(tmp_path: Path) -> None:
    model = with_tied_head(projector={"type": "linear", "use_bias": False})
    vlkit.save_pretrained(model, tmp_path)
    assert not [name for name in WeightFiles.open(tmp_path).shapes if "lm_head" in name]
    assert same_weights(vlkit.from_pretrained(tmp_path), model)


def test_a_model_can_be_saved_where_it_came_from(tmp_path: Path) -> None:
    first = vlkit.build("mini")
    vlkit.save_pretrained(first, tmp_path, max_shard_size="500KB")
    model = vlkit.from_pretrained(tmp_path)
    with torch.no_grad():
        model.decoder.get_parameter("norm.weight").mul_(3)
    vlkit.save_pretrained(model, tmp_path)
    again = vlkit.from_pretrained(tmp_path, dtype=torch.float64)
    assert again.dtype == torch.float64
    assert same_weights(again, model.double())
    assert not same_weights(again, first.double())


def test_the_processor_goes_along(tmp_path: Path, golden: Path) -> None:
    processor = vlkit.DeepseekVLV2Processor.from_pretrained(golden / "a8_processor" / "processor")
    vlkit.save_pretrained(vlkit.build("mini"), tmp_path, processor=processor)
    again = vlkit.DeepseekVLV2Processor.from_pretrained(tmp_path)
    ask = [{"role": "<|User|>", "content": "a question"}, {"role": "<|Assistant|>", "content": ""}]
    assert torch.equal(*(p(conversations=ask, images=[])["input_ids"] for p in (processor, again)))


def test_a_module_of_ones_own_is_asked_for_on_loading(tmp_path: Path) -> None:
    model = vlkit.DeepseekVLV2Builder("mini").projector(nn.Linear(64, 96)).build()
    vlkit.save_pretrained(model, tmp_path)
    with pytest.raises(ConfigError, match=r"'supplied' has no module[\s\S]*\.projector\(module\)"):
        vlkit.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("deepseek-vl2-tinny", r"neither a preset nor a file; did you mean 'deepseek-vl2-tiny'\?[\s\S]*name a preset"),
        ("deepseek-vl2.tiny", "did you mean 'deepseek-vl2-tiny'"),
        ("models/deepseek.json", "neither a preset nor a file"),
        (3, "a int is no config"),
        (None, "a NoneType is no config"),
        ([("encoder", "siglip")], "a list is no config"),
        ({"encodr": "siglip"}, r"no field 'encodr'; did you mean 'encoder'\?"),
        ({"vlkit": {"layout": "3D"}}, r"layout.type: '3D' is not one of the layouts; known: '1D', '2D'"),
    ],
)
def test_what_names_no_config_is_refused(spec: Any, message: str) -> None:
    for use in (vlkit.resolve_config, vlkit.build, vlkit.describe):
        with refused(message):
            use(spec)


def test_a_misspelt_file_is_reported_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "model.toml").write_text("")
    with refused(r"mdoel.toml' is neither a preset nor a file; did you mean '.*model\.toml'\?"):
        vlkit.resolve_config(tmp_path / "mdoel.toml")
    with refused("is neither a preset nor a file"):
        vlkit.resolve_config(tmp_path)


def test_loading_tells_its_progress_and_gives_a_model_that_can_train(tmp_path: Path) -> None:
    vlkit.save_pretrained(vlkit.build("mini"), tmp_path)
    told: list[tuple[int, int]] = []
    model = vlkit.from_pretrained(tmp_path, progress=lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] == WeightFiles.open(tmp_path).nbytes
    batch = batch_of([sample(model.config, [2, 3], [Grid(1, 1)], 0)], model.config)
    model.train()(**batch, labels=batch["input_ids"]).loss.backward()
    assert not model.decoder.get_parameter("layers.1.mlp.router.e_score_correction_bias").requires_grad
    assert model.decoder.get_parameter("embed_tokens.weight").grad is not None
