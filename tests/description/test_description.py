"""A description warns of what goes wrong, admits what it does not know, and costs nothing itself."""

import json
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

import vlkit
from tests.description.live_bytes import LiveBytes
from vlkit.decoders import Decoder, DecoderConfig, decoders
from vlkit.description import describe
from vlkit.errors import ConfigError, InputError, RegistryError, VlkitError
from vlkit.layouts import Layout1DConfig, Layout2DConfig
from vlkit.notation import Grid, Size

MINI = vlkit.presets["mini"]


@pytest.mark.parametrize(
    ("count", "crop", "cut", "warns"),
    [
        (2, None, True, False),
        (3, None, False, True),
        (3, True, True, False),
        (3, False, False, False),
        (1, False, False, False),
    ],
)
def test_pictures_are_cut_as_upstream_unless_asked(count: int, crop: bool | None, cut: bool, warns: bool) -> None:
    told = describe(MINI, image_sizes=[(200, 100)] * count, crop=crop)
    assert told.crop == cut
    assert {picture.tiles.area > 1 for picture in told.pictures} == {cut}
    assert any("not cut into tiles" in warning for warning in told.warnings) == warns


def test_warns_of_pictures_that_fill_the_context_or_show_nothing() -> None:
    large, thin = (384, 3456), (1, 9000)
    told = vlkit.describe("deepseek-vl2-small", image_sizes=[large, thin])
    half, nothing = "over half of the decoder's 4,096 positions", "so thin that nothing is left"
    assert [warning for warning in told.warnings if half in warning and warning.startswith("384x3456:")]
    assert [warning for warning in told.warnings if nothing in warning and warning.startswith("1x9000:")]
    assert vlkit.describe("deepseek-vl2-small", image_sizes=[(1152, 1152)]).warnings == ()


def test_warns_of_a_layout_that_the_official_code_cannot_build() -> None:
    assert any("'1D'" in warning for warning in describe(MINI.replace(layout=Layout1DConfig())).warnings)
    assert describe(MINI.replace(layout=Layout2DConfig())).warnings == ()


class Plain(nn.Module):
    """An encoder as a user might write it."""

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.mean(1)[:, :8, :8, None].expand(-1, -1, -1, 5)


def test_supplied_parts_are_unknown_and_not_free() -> None:
    builder: vlkit.VLMBuilder[vlkit.VLM] = vlkit.VLMBuilder(MINI).encoder(
        Plain(), width=5, image_size=(56, 56), grid=(8, 8)
    )
    told = describe(builder.config, image_sizes=[(100, 100)], prompt_tokens=5)
    assert told.parameters["encoder"].total is None and told.parameters.total is None
    assert told.flops.encoder is None and told.pictures[0].flops is None
    assert told.flops.projector is not None and told.flops.prefill is not None
    assert told.memory.weights is None and told.memory.vision is None and told.memory.peak is None


def test_supplied_projector_is_unknown_and_not_free() -> None:
    config = MINI.replace(projector={"type": "supplied", "downsample": 2})
    told = describe(config, image_sizes=[(56, 56)])
    assert told.flops.projector is None and told.flops.encoder is not None
    assert told.parameters.total is None and told.parameters["encoder"].total == 138_816


def test_identity_projector_is_free_and_not_unknown() -> None:
    config = MINI.replace(projector="identity", decoder=MINI.decoder.replace(hidden_size=64))
    assert describe(config, image_sizes=[(56, 56)]).flops.projector == 0


class OwnDecoderConfig(DecoderConfig):
    type: Literal["own"] = "own"

    @property
    def dim(self) -> int:
        return 96

    @property
    def num_layers(self) -> int:
        return 1

    @property
    def vocabulary(self) -> int:
        return 10


class OwnDecoder(Decoder):
    def __init__(self, config: DecoderConfig) -> None:
        super().__init__(config)
        self.table = nn.Embedding(config.vocabulary, config.dim)
        self.mixer = nn.GRU(config.dim, config.dim, bias=False)


def test_a_decoder_of_ones_own_is_counted_and_its_costs_are_unknown() -> None:
    with decoders.scratch():
        decoders.register(OwnDecoderConfig)(OwnDecoder)
        told = describe(MINI.replace(decoder=OwnDecoderConfig()), image_sizes=[(56, 56)])
    decoder = told.parameters["decoder"]
    assert {kind.name: kind.total for kind in decoder.parts} == {"embedding": 960, "other": 6 * 96 * 96}
    assert decoder.active == decoder.total == 960 + 6 * 96 * 96
    assert told.flops.prefill is told.flops.decode is None
    assert told.memory.cache_per_token is told.memory.prefill is told.memory.peak is told.memory.read_per_token is None
    assert told.memory.weights is not None and told.flops.encoder is not None


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool])
def test_integer_weights_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(ConfigError, match="floating-point"):
        describe(MINI, dtype=dtype)


@pytest.mark.parametrize(
    "what",
    [
        {"prompt_tokens": -1},
        {"new_tokens": -1},
        {"image_sizes": [(0, 5)]},
        {"image_sizes": [(5, -5)]},
        {"image_sizes": (1024, 768)},
        {"image_sizes": [(1, 2, 3)]},
        {"image_sizes": [(1.5, 2)]},
        {"image_sizes": ["ab"]},
    ],
)
def test_sizes_and_counts_that_cannot_be_are_refused(what: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        describe(MINI, **what)


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(RegistryError, match="'offload'"):
        describe(MINI, cache="ofload")
    with pytest.raises(VlkitError, match="did you mean 'decoder'"):
        describe(MINI).parameters["decoders"]


def test_dictionary_is_json_with_every_field() -> None:
    told = vlkit.describe("deepseek-vl2-tiny", image_sizes=[(1024, 768)], prompt_tokens=64)
    as_json = told.to_dict()
    assert json.loads(json.dumps(as_json)) == as_json
    assert as_json["parameters"]["total"] == told.parameters.total
    assert as_json["pictures"][0]["resolution"] == [1152, 768] and as_json["pictures"][0]["tiles"] == [2, 3]
    assert as_json["context"]["total"] == told.context.total
    assert as_json["memory"]["peak"] == told.memory.peak and as_json["flops"]["decode"] == told.flops.decode
    assert as_json.keys() == vars(told).keys()


def test_nothing_is_allocated_and_no_random_number_is_drawn() -> None:
    before = torch.get_rng_state()
    with LiveBytes() as live:
        vlkit.describe("deepseek-vl2", image_sizes=[(1024, 768)] * 2, prompt_tokens=64)
    assert live.peak < 1e6
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.empty(0).device.type == "cpu"


def test_equal_questions_get_equal_answers() -> None:
    one, other = (describe(MINI, image_sizes=[[100, 100]], prompt_tokens=3) for _ in range(2))  # type: ignore[list-item]
    assert one == other and hash(one) == hash(other)
    assert one.tile_size == Size(56, 56) and one.grid == Grid(4, 4)
