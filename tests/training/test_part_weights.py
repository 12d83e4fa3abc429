"""Parts that begin with the weights of a checkpoint."""

from pathlib import Path

import pytest
import torch

import vlkit
from tests.training.runs import MODEL, recipe, samples
from vlkit.errors import CheckpointError, ConfigError
from vlkit.models.deepseek_vl2.processor import DeepseekVLV2Processor
from vlkit.projectors import LinearConfig
from vlkit.training import train
from vlkit.training.ingredients import gather, make_model, make_processor

KINDS = ("encoder", "projector", "layout", "decoder")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoint of the same parts with other weights."""
    folder = tmp_path_factory.mktemp("trained") / "checkpoint"
    torch.manual_seed(77)
    vlkit.save_pretrained(vlkit.build(MODEL), folder, processor=DeepseekVLV2Processor.for_model(MODEL))
    return folder


def beginning(folder: Path, *names: str) -> dict[str, dict[str, str]]:
    return {name: {"weights": str(folder)} for name in names}


@pytest.mark.parametrize("names", [(), ("encoder",), ("projector", "layout"), KINDS])
def test_named_parts_are_those_of_the_checkpoint_and_the_others_as_fresh_as_without(
    trained: Path, names: tuple[str, ...]
) -> None:
    fresh, theirs = make_model(recipe()), vlkit.from_pretrained(trained, dtype=torch.float32)
    model = make_model(recipe(parts=beginning(trained, *names)))
    for name in KINDS:
        wanted = getattr(theirs if name in names else fresh, name).state_dict()
        found = getattr(model, name).state_dict()
        assert list(found) == list(wanted) and all(torch.equal(found[key], wanted[key]) for key in wanted)
    assert any(
        not torch.equal(one, other) for one, other in zip(fresh.encoder.parameters(), theirs.encoder.parameters())
    )


def test_a_part_can_be_exchanged_in_a_trained_model(trained: Path, tmp_path: Path) -> None:
    parts = {"encoder": {"weights": str(trained), "train": False}, "decoder": {"weights": str(trained)}}
    settings = recipe(model=MODEL.replace(projector=LinearConfig()), parts=parts, steps=2, evaluation=None)
    result = train(settings, output=tmp_path / "run", source=samples())
    theirs = vlkit.from_pretrained(trained, dtype=torch.float32)
    kept, learned = result.model.encoder.state_dict(), result.model.decoder.state_dict()
    assert all(torch.equal(kept[key], weights) for key, weights in theirs.encoder.state_dict().items())
    changed = [not torch.equal(learned[key], weights) for key, weights in theirs.decoder.state_dict().items()]
    assert any(changed)


def test_the_tokenizer_is_that_of_the_decoders_checkpoint(tmp_path: Path) -> None:
    config = vlkit.resolve_config("vlkit-reader")
    bytes_only = make_processor(recipe(model=config), config)
    taken = make_processor(recipe(model=config, parts={"decoder": {"weights": "vlkit-reader"}}), config)
    named = make_processor(recipe(model=config, tokenizer="vlkit-reader"), config)
    text = "Read the text."
    wanted = vlkit.load_processor("vlkit-reader").tokenizer.encode(text)
    assert taken.tokenizer.encode(text) == named.tokenizer.encode(text) == wanted
    assert len(bytes_only.tokenizer.encode(text)) > len(wanted)


def test_another_config_another_place_and_nothing_are_refused_before_weights_are_read(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vlkit.training.part_weights.from_pretrained", None)
    wider = MODEL.replace(encoder=MODEL.encoder.replace(heads=4))
    with pytest.raises(ConfigError, match=r"the encoder of .* is another one: heads was 2, is 4"):
        gather(recipe(model=wider, parts=beginning(trained, "encoder")), source=samples(), held_out=samples())
    with pytest.raises(ConfigError, match=r"for 'decoder.lm_head'") as refused:
        gather(recipe(parts=beginning(trained, "decoder.lm_head")), source=samples(), held_out=samples())
    assert "name it for 'decoder'" in str(refused.value)
    with pytest.raises(CheckpointError, match="there is no folder"):
        gather(recipe(parts=beginning(trained / "nowhere", "encoder")), source=samples(), held_out=samples())


def test_only_the_config_is_fetched_before_the_parts_are_found_to_fit(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def resolved(name: str, *, weights: bool = True) -> Path:
        asked.append(weights)
        return trained

    monkeypatch.setattr("vlkit.training.part_weights.resolve_folder", resolved)
    gather(recipe(parts=beginning(Path("owner/name"), "encoder")), source=samples(), held_out=samples())
    assert asked == [False]


def test_a_model_given_from_python_has_its_weights(trained: Path) -> None:
    settings = recipe(model=None, parts=beginning(trained, "encoder"))
    with pytest.raises(ConfigError, match="for the encoder of a model that is given from Python"):
        gather(settings, source=samples(), held_out=samples(), model=vlkit.build(MODEL))
