"""The strategies draw what they say, and what they draw is taken by the library."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vlkit.config import Config, Width
from vlkit.encoders import SigLIPConfig
from vlkit.layouts import PlainConfig
from vlkit.notation import Grid
from vlkit.processing import load
from vlkit.projectors import AnyProjector, DownsampleMlpGeluConfig
from vlkit.testing.strategies import (
    Conversation,
    configs,
    conversations,
    cuts,
    grids,
    images,
    left_padded,
    register_configs,
    tile_grids,
)

CANDIDATES = ((8, 8), (16, 8), (8, 24))


class HolderConfig(Config):
    """Has a field of each kind that the strategy knows."""

    projector: AnyProjector
    widths: tuple[Width, ...] = (1,)
    pair: tuple[int, str] = (1, "")
    layout: PlainConfig | None = None
    factor: float = 1.0


@given(configs(DownsampleMlpGeluConfig))
def test_configs_are_valid_and_come_from_the_fields(config: DownsampleMlpGeluConfig) -> None:
    assert DownsampleMlpGeluConfig.model_validate(config.model_dump()) == config


@settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow], max_examples=10)
@given(configs(SigLIPConfig, {"heads": st.just(2), "width": st.sampled_from([4, 6])}))
def test_single_fields_can_be_given(config: SigLIPConfig) -> None:
    assert config.heads == 2 and config.width in (4, 6)


@given(configs(HolderConfig, {"projector": st.just("linear")}))
def test_nested_fields_are_drawn(config: HolderConfig) -> None:
    assert config.projector.type == "linear"
    assert all(width >= 1 for width in config.widths)


class AnyConfig(Config):
    """Has fields of types that are not known."""

    anything: Any
    whatever: Any = None


@given(configs(AnyConfig, {"anything": st.just("some")}))
def test_a_field_without_a_strategy_keeps_its_default_or_asks_for_one(config: AnyConfig) -> None:
    assert (config.anything, config.whatever) == ("some", None)
    with pytest.raises(NotImplementedError, match=r"no strategy for typing\.Any; pass one in fields="):
        configs(AnyConfig)


class TreeConfig(Config):
    """Holds others of its kind."""

    left: "TreeConfig | None" = None
    right: "TreeConfig | None" = None


@given(configs(TreeConfig))
def test_a_config_may_hold_others_of_its_kind(config: TreeConfig) -> None:
    assert TreeConfig.model_validate_json(config.model_dump_json()) == config


class RareConfig(Config):
    """Takes few values."""

    name: str


class RareHolderConfig(Config):
    """Holds one of those."""

    rare: RareConfig


def test_a_class_can_have_a_strategy_of_its_own() -> None:
    register_configs(RareConfig, st.just(RareConfig(name="rare")))

    @settings(max_examples=5)
    @given(configs(RareHolderConfig))
    def run(config: RareHolderConfig) -> None:
        assert config.rare.name == "rare"

    run()


@given(grids(5, smallest=2), tile_grids(most_tiles=6), tile_grids(CANDIDATES))
def test_grids_are_within_their_limits(grid: Grid, tiles: Grid, candidate: Grid) -> None:
    assert 2 <= min(grid) <= max(grid) <= 5
    assert 1 <= tiles.area <= 6
    assert candidate in (Grid(1, 1), Grid(1, 2), Grid(3, 1))


@given(left_padded(3, 4), cuts(7))
def test_sequences_are_padded_on_the_left_and_cut_into_chunks(mask: Any, chunks: list[int]) -> None:
    assert mask[:, -1].all() and (mask[:, 1:] >= mask[:, :-1]).all()
    assert sum(chunks) == 7 and min(chunks) >= 1


@given(images(largest=9))
def test_images_of_any_mode_are_loaded(image: Any) -> None:
    assert 1 <= min(image.size) <= max(image.size) <= 9
    assert load(image).size == image.size


@given(conversations(pictures=images(largest=3), most_images=2))
def test_conversations_have_a_picture_for_each_tag_and_end_with_an_answer(conversation: Conversation) -> None:
    questions, answers = conversation.messages[::2], conversation.messages[1::2]
    assert {message["role"] for message in questions} == {"<|User|>"}
    assert {message["role"] for message in answers} == {"<|Assistant|>"} and len(answers) == len(questions)
    assert sum(message["content"].count("<image>") for message in questions) == len(conversation.images) <= 2
    assert not any("<image>" in message["content"] for message in answers)


@given(st.data(), st.booleans())
def test_the_last_answer_is_there_if_wanted(data: st.DataObject, answered: bool) -> None:
    strategy = conversations(answered=answered, roles="plain", most_images=0, image_token="<pic>")
    conversation = data.draw(strategy)
    assert {message["role"] for message in conversation.messages} == {"user", "assistant"}
    assert answered or conversation.messages[-1]["content"] == ""


def test_a_processor_takes_what_is_drawn() -> None:
    import vlkit

    config = vlkit.presets["mini"]
    processor = vlkit.DeepseekVLV2Processor.for_model(config)

    @settings(max_examples=10)
    @given(conversations(pictures=images(largest=30), most_images=2))
    def run(conversation: Conversation) -> None:
        inputs = processor(conversations=conversation.messages, images=conversation.images, inference_mode=False)
        assert int(inputs["images_seq_mask"].sum()) == sum(
            config.image_tokens(image.size, images=len(conversation.images)) for image in conversation.images
        )

    run()
