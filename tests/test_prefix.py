"""A prefix goes to a file and back, bit for bit, under any policy; files that do not fit are refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

import vlkit
from tests.cache.kinds import ATTENTIONS, DIM, LOSSLESS, ROUNDED, decoder, logits_of, moved
from tests.strategies import normal, seeds
from vlkit.cache import KVCache
from vlkit.checkpoint.header import read_metadata
from vlkit.decoders import DeepseekV2
from vlkit.errors import CheckpointError, InputError, RegistryError
from vlkit.prefix import KEY, load_prefix, save_prefix

POLICIES = LOSSLESS | ROUNDED


def filled(model: DeepseekV2, policy: Any = "resident", *, seed: int = 0, padded: bool = True) -> KVCache:
    cache, mask_BT = model.new_cache(policy), torch.arange(7) >= torch.tensor([0, 3])[:, None]
    with torch.no_grad():
        logits_of(model, normal(seed, 2, 7, DIM).float(), [4, 3], cache, mask_BT if padded else None)
    return cache


@given(st.sampled_from(sorted(POLICIES)), st.sampled_from(sorted(ATTENTIONS)), st.booleans(), st.booleans(), seeds)
@torch.no_grad()
def test_a_prefix_from_a_file_goes_on_as_the_one_that_was_saved(
    tmp_path_factory: pytest.TempPathFactory, policy: str, attention: str, padded: bool, forked: bool, seed: int
) -> None:
    model, path = decoder(attention), tmp_path_factory.mktemp("prefix") / "p.safetensors"
    with moved():
        cache = filled(model, POLICIES[policy], seed=seed, padded=padded)
        cache = cache.fork(2) if forked else cache
        save_prefix(cache, path, decoder=model)
        loaded = load_prefix(path, decoder=model, cache=POLICIES[policy])
        assert (loaded.length, loaded.samples) == (7, 4 if forked else 2)
        x_BTD = normal(seed + 1, cache.samples, 4, DIM).float()
        found, expected = (logits_of(model, x_BTD, [3, 1], each) for each in (loaded, cache))
        # a fork lies in two pieces, and on some CPUs the last bit of a product depends on where its numbers lie
        rtol, atol = (1e-5, 1e-6) if forked else (0.0, 0.0)
        torch.testing.assert_close(found, expected, rtol=rtol, atol=atol)


@pytest.mark.parametrize("policy", LOSSLESS.values(), ids=LOSSLESS)
@torch.no_grad()
def test_a_lossless_prefix_goes_on_under_another_policy(policy: Any, tmp_path: Path) -> None:
    model, x_BTD = decoder("grouped"), torch.randn(2, 2, DIM)
    save_prefix(filled(model), tmp_path / "p.safetensors", decoder=model)
    found = logits_of(model, x_BTD, [2], load_prefix(tmp_path / "p.safetensors", decoder=model, cache=policy))
    assert torch.equal(found, logits_of(model, x_BTD, [2], filled(model)))


@torch.no_grad()
def test_a_document_is_read_once_and_asked_in_another_run(tmp_path: Path) -> None:
    model, document = vlkit.build("mini", dtype=torch.bfloat16).eval(), torch.arange(4, 40)[None]
    out = model.incremental_prefilling(input_ids=document, chunk_size=10, cache="disk")
    assert out.cache is not None
    save_prefix(out.cache, tmp_path / "document.safetensors", decoder=model.decoder)
    question = torch.cat([document, torch.tensor([[7, 8, 9]])], dim=1)
    cache = load_prefix(tmp_path / "document.safetensors", decoder=model.decoder, cache="offload")
    found = model.generate(input_ids=question, max_new_tokens=5, cache=cache)
    assert torch.equal(found, model.generate(input_ids=question, max_new_tokens=5, cache=out.cache))


def test_the_file_is_a_safetensors_file_that_holds_what_is_kept(tmp_path: Path) -> None:
    model, path = decoder("latent, absorbed"), tmp_path / "p.safetensors"
    cache = filled(model)
    save_prefix(cache, path, decoder=model)
    tensors = load_file(path)
    assert sorted(tensors) == ["layers.0.kept.0", "layers.1.kept.0", "layers.2.kept.0", "mask"]
    assert torch.equal(tensors["layers.1.kept.0"], cache.layers[1].tensors[0])
    assert json.loads(read_metadata(path)[KEY])["kept"] == 7
    save_prefix(filled(model, "quantized"), path, decoder=model)
    assert load_file(path)["layers.1.kept.0"].dtype == torch.uint8
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, path = decoder("grouped"), tmp_path / "p.safetensors"
    save_prefix(filled(model), path, decoder=model)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CheckpointError, match=r"cannot be written: No space left on device[\s\S]*stays as it was"):
        save_prefix(filled(model, seed=5), path, decoder=model)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_empty_cache_is_no_prefix(tmp_path: Path) -> None:
    model = decoder("grouped")
    with pytest.raises(InputError, match="an empty cache"):
        save_prefix(model.new_cache(), tmp_path / "p.safetensors", decoder=model)


@pytest.mark.parametrize(
    ("other", "policy", "message"),
    [
        (decoder("multi-head"), "resident", r"vectors per token and width of .*\{6: 12\}"),
        (decoder("grouped", torch.float64), "resident", r"is torch.float32 .*\n.*torch.float64"),
        (decoder("grouped"), "quantized", r"quantization of .*: exact\n[\s\S]*policy that the prefix was saved under"),
        (
            DeepseekV2(decoder("grouped").config.replace(rope_theta=5000.0)),
            "resident",
            r"config of the decoder \(digest\)",
        ),
        (DeepseekV2(decoder("grouped").config.replace(num_hidden_layers=2)), "resident", r"layers of .*: 3\n.*: 2"),
    ],
    ids=["widths", "dtype", "codec", "config", "layers"],
)
def test_a_prefix_of_another_decoder_or_policy_is_refused(
    tmp_path: Path, other: DeepseekV2, policy: str, message: str
) -> None:
    model = decoder("grouped")
    save_prefix(filled(model), tmp_path / "p.safetensors", decoder=model)
    with pytest.raises(CheckpointError, match=message):
        load_prefix(tmp_path / "p.safetensors", decoder=other, cache=policy)


def test_another_quantization_and_an_unknown_policy_are_refused(tmp_path: Path) -> None:
    model, path = decoder("grouped"), tmp_path / "p.safetensors"
    save_prefix(filled(model, "quantized"), path, decoder=model)
    for policy in ("resident", {"type": "quantized", "dtype": "int4"}, {"type": "quantized", "group_size": 3}):
        with pytest.raises(CheckpointError, match="quantization"):
            load_prefix(path, decoder=model, cache=policy)
    with pytest.raises(RegistryError):
        load_prefix(path, decoder=model, cache="residnt")


def damaged(tensors: dict[str, torch.Tensor], how: str) -> dict[str, torch.Tensor]:
    """The tensors of a file, one of them not as it should be."""
    name = "layers.1.kept.0"
    match how:
        case "missing":
            return {key: tensor for key, tensor in tensors.items() if key != name}
        case "surplus":
            return tensors | {"layers.3.kept.0": tensors[name].clone()}
        case "positions":
            return tensors | {name: tensors[name][..., :6, :].contiguous()}
        case "samples":
            return tensors | {name: tensors[name][:1].contiguous()}
        case "dtype":
            return tensors | {name: tensors[name].half()}
        case _:
            return tensors | {"mask": tensors["mask"][:, :3].contiguous()}


@pytest.mark.parametrize("how", ["missing", "surplus", "positions", "samples", "dtype", "mask"])
def test_tensors_that_do_not_fit_each_other_are_refused_by_name(tmp_path: Path, how: str) -> None:
    model, path = decoder("grouped"), tmp_path / "p.safetensors"
    save_prefix(filled(model), path, decoder=model)
    metadata = read_metadata(path)
    save_file(damaged(load_file(path), how), path, metadata=metadata)
    name = {"surplus": "layers.3.kept.0", "mask": "mask"}.get(how, "layers.1.kept.0")
    with pytest.raises(CheckpointError, match=name):
        load_prefix(path, decoder=model)


@pytest.mark.parametrize(
    "fields",
    [{"version": 2}, {"samples": 0}, {"kept": -1}, {"layers": [[{"outer": [1] * 9, "width": 1}]] * 3}, {"kept": "x"}],
    ids=["version", "samples", "negative", "dimensions", "type"],
)
def test_a_header_that_says_nonsense_is_refused(tmp_path: Path, fields: dict[str, Any]) -> None:
    model, path = decoder("grouped"), tmp_path / "p.safetensors"
    save_prefix(filled(model), path, decoder=model)
    contents = json.loads(read_metadata(path)[KEY]) | fields
    save_file(load_file(path), path, metadata={KEY: json.dumps(contents)})
    with pytest.raises(CheckpointError, match="is no prefix: Contents is not valid"):
        load_prefix(path, decoder=model)


@given(cut=st.integers(0, 2000))
def test_a_file_cut_off_anywhere_is_refused(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    model, path = decoder("grouped"), tmp_path_factory.mktemp("prefix") / "p.safetensors"
    save_prefix(filled(model), path, decoder=model)
    whole = path.read_bytes()
    path.write_bytes(whole[: min(cut, len(whole) - 1)])
    with pytest.raises(CheckpointError):
        load_prefix(path, decoder=model)


def test_other_files_are_refused(tmp_path: Path) -> None:
    model, path = decoder("grouped"), tmp_path / "p.safetensors"
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_prefix(path, decoder=model)
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="is no prefix"):
        load_prefix(path, decoder=model)


def test_a_decoder_that_does_not_tell_its_widths_can_have_prefixes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = decoder("grouped")
    monkeypatch.setattr(type(model.config), "cached_vectors", lambda self: {})
    save_prefix(filled(model), tmp_path / "p.safetensors", decoder=model)
    assert load_prefix(tmp_path / "p.safetensors", decoder=model).length == 7
