"""The builder: immutable, in any order, with parts by tag, config or module."""

import subprocess
import sys
from itertools import permutations
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import vlkit
from tests.refusal import refused
from tests.small_models import batch_of, sample
from vlkit.cropping import CropNever, Cropping
from vlkit.decoders import DeepseekV2, DeepseekV2Config, MHAConfig
from vlkit.encoders import SigLIPConfig
from vlkit.errors import ConfigError, RegistryError
from vlkit.layouts import Layout1DConfig, Layout2D, Layout2DConfig
from vlkit.notation import Grid
from vlkit.projectors import Linear, LinearConfig, MlpGeluConfig, Projector
from vlkit.vlm import VLM
from vlkit.vlm_config import VLMConfig

START = vlkit.DeepseekVLV2Builder("mini")
STEPS: dict[str, Any] = {
    "encoder": lambda builder: builder.encoder("siglip", layers=1),
    "projector": lambda builder: builder.projector("linear", token_pooling=True),
    "layout": lambda builder: builder.layout("1D", global_view="tail"),
    "decoder": lambda builder: builder.decoder("deepseek_v2", num_hidden_layers=2),
}


def test_the_order_of_steps_does_not_matter_and_the_start_stays() -> None:
    expected = vlkit.presets["mini"].replace(
        encoder=vlkit.presets["mini"].encoder.replace(layers=1),
        projector=LinearConfig(token_pooling=True),
        layout=Layout1DConfig(global_view="tail"),
        decoder=vlkit.presets["mini"].decoder.replace(num_hidden_layers=2),
    )
    for order in permutations(STEPS):
        builder = START
        for step in order:
            builder = STEPS[step](builder)
        assert builder.config == expected
    assert START.config == vlkit.presets["mini"]


def test_parts_need_not_fit_each_other_between_the_steps() -> None:
    wide = START.encoder("siglip", image_size=28)
    with pytest.raises(ConfigError, match="begins with 56x56"):
        _ = wide.config
    with refused("begins with 56x56"):
        wide.build()
    fitting = wide.candidate_resolutions((28, 28), (56, 28))
    assert fitting.config.tile_grids == (Grid(1, 1), Grid(1, 2))


@given(st.integers(1, 4), st.integers(1, 3))
def test_the_same_tag_changes_only_what_is_given_and_another_starts_anew(layers: int, depth: int) -> None:
    encoder = START.config.encoder
    assert isinstance(encoder, SigLIPConfig)
    builder = START.encoder("siglip", layers=layers).projector("mlp_gelu", depth=depth)
    assert builder.config.encoder == encoder.replace(layers=layers)
    assert builder.config.projector == MlpGeluConfig(depth=depth)
    assert builder.projector("mlp_gelu", use_bias=False).config.projector == MlpGeluConfig(depth=depth, use_bias=False)
    assert builder.projector("linear").projector("mlp_gelu").config.projector == MlpGeluConfig()
    assert builder.projector({"type": "mlp_gelu"}).config.projector == MlpGeluConfig()
    assert builder.projector(LinearConfig(), token_pooling=True).config.projector == LinearConfig(token_pooling=True)


@pytest.mark.parametrize(
    ("step", "message", "error"),
    [
        (lambda b: b.encoder("siglop"), r"'siglop' is not one of the encoders; did you mean 'siglip'\?", RegistryError),
        (lambda b: b.encoder("siglip", layer=3), r"layer: .*no field 'layer'; did you mean 'layers'\?", ConfigError),
        (lambda b: b.encoder("siglip", layers=0), r"layers: .*greater than or equal to 1 \(got 0\)", ConfigError),
        (lambda b: b.projector(MHAConfig()), r"MHAConfig.* names none of the projectors", RegistryError),
        (lambda b: b.projector(3), r"int 3 names none of the projectors", RegistryError),
        (lambda b: b.encoder(nn.Identity()), r"width: Field required[\s\S]*grid: Field required", ConfigError),
        (lambda b: b.encoder(nn.Identity(), widht=3), r"no field 'widht'; did you mean 'width'\?", ConfigError),
        (lambda b: b.layout(nn.Identity()), r"layout Identity is a plain module[\s\S]*derives from vlkit", ConfigError),
        (lambda b: b.decoder(nn.Identity()), r"decoder Identity is a plain module[\s\S]*derive from it", ConfigError),
        (lambda b: b.layout(Layout2D(Layout2DConfig(), dim=4), global_view="tail"), r"keeps its config", ConfigError),
        (lambda b: b.candidate_resolutions().config, "candidate_resolutions: ", ConfigError),
        (lambda b: b.encoder("supplied", width=3, image_size=(56, 56), grid=(2, 2)).build(), "no module", ConfigError),
        (
            lambda b: b.projector("supplied").build(),
            r"no module[\s\S]*\.projector\(module\)",
            ConfigError,
        ),
        (lambda b: b.build(dtype=torch.int8), r"dtype torch.int8[\s\S]*floating-point", ConfigError),
    ],
)
def test_each_step_is_checked(step: Any, message: str, error: Any) -> None:
    with pytest.raises(error, match=message):
        step(START)


def test_an_unknown_preset_is_named_with_the_nearest() -> None:
    with refused(r"'deepseek-vl2-tini' is not a preset; did you mean 'deepseek-vl2-tiny'\?"):
        vlkit.DeepseekVLV2Builder("deepseek-vl2-tini")


class MeanColour(nn.Module):
    """Plain encoder: the mean colour of four by two fields of a 56x56 tile."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, pixels: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(pixels, (4, 2)).movedim(1, -1) * self.scale


class Halved(nn.Module):
    """Plain projector: means of two by two features, widened."""

    def __init__(self) -> None:
        super().__init__()
        self.widen = nn.Linear(3, 96)

    def forward(self, x_NYXW: Tensor) -> Tensor:
        pooled = nn.functional.avg_pool2d(x_NYXW.movedim(-1, 1), 2).movedim(1, -1)
        return self.widen(pooled)


def run(model: VLM) -> Tensor:
    config = model.config
    assert isinstance(config, vlkit.DeepseekVLV2Config)
    batch = batch_of([sample(config, [2, 3], [Grid(1, 2)], 0), sample(config, [4], [], 1)], config)
    logits = model(**batch).logits
    assert model.generate(**batch, max_new_tokens=2).shape[0] == 2
    return logits


def test_plain_modules_become_encoder_and_projector() -> None:
    encoder, projector = MeanColour(), Halved()
    model = START.encoder(encoder, width=3, image_size=(56, 56), grid=(4, 2)).projector(projector, downsample=2).build()
    assert [model.get_submodule(kind) for kind in ("encoder", "projector")] == [encoder, projector]
    assert model.config.grid == (2, 1)
    assert model.config.image_tokens((56, 56)) == 2 * 2 + 1 + 2 * 2
    run(model)[0, -1].sum().backward()
    assert encoder.scale.grad is not None
    assert projector.widen.weight.grad is not None


def test_a_module_gives_way_to_a_tag() -> None:
    supplied = START.projector(Halved(), downsample=2)
    assert supplied.config.grid == (4, 4)
    assert type(supplied.projector("linear").build(device="meta").projector) is Linear


def test_modules_of_the_contracts_bring_their_config() -> None:
    class Doubled(Projector):
        def __init__(self, in_dim: int, out_dim: int) -> None:
            super().__init__(LinearConfig(), in_dim=in_dim, out_dim=out_dim)
            self.layer = nn.Linear(in_dim, out_dim)

        def forward(self, x_NYXW: Tensor) -> Tensor:
            return 2 * self.layer(x_NYXW)

    mini = vlkit.presets["mini"]
    encoder, layout = vlkit.build("mini").encoder, Layout2D(Layout2DConfig(global_view="tail"), dim=96)
    assert isinstance(mini.decoder, DeepseekV2Config)
    decoder = DeepseekV2(mini.decoder.replace(num_hidden_layers=1))
    projector = Doubled(64, 96)
    model = START.decoder(decoder).layout(layout).encoder(encoder).projector(projector).build()
    assert (model.encoder, model.projector, model.layout, model.decoder) == (encoder, projector, layout, decoder)
    assert model.config == mini.replace(projector=LinearConfig(), layout=layout.config, decoder=decoder.config)
    assert run(model).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_are_made_in_the_type_and_place_asked_for(dtype: torch.dtype) -> None:
    for model in (START.build(dtype=dtype, device="meta"), vlkit.build("mini", dtype=dtype, device="meta")):
        assert {weight.dtype for weight in model.parameters()} == {dtype}
        assert {weight.device.type for weight in model.parameters()} == {"meta"}
    assert torch.get_default_dtype() == torch.float32
    assert torch.empty(()).device.type == "cpu"


def test_weights_that_are_nowhere_are_not_drawn() -> None:
    code = """
import sys, torch, vlkit
state = torch.get_rng_state()
model = vlkit.build("mini", device="meta")
assert all(parameter.is_meta for parameter in model.parameters())
assert torch.equal(state, torch.get_rng_state())
assert "torch._dynamo" not in sys.modules
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    with torch.device("meta"):
        assert all(parameter.is_meta for parameter in vlkit.build("mini").parameters())
    assert not any(parameter.is_meta for parameter in vlkit.build("mini").parameters())


def test_the_default_type_comes_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        assert torch.get_default_dtype() == torch.float64
        raise RuntimeError("out of luck")

    monkeypatch.setattr(nn.Linear, "__init__", fail)
    for build in (START.build, lambda **options: vlkit.build("mini", **options)):
        with pytest.raises(RuntimeError, match="out of luck"):
            build(dtype=torch.float64)
        assert torch.get_default_dtype() == torch.float32


def test_the_general_builder_makes_the_general_model() -> None:
    mini = vlkit.presets["mini"]
    config = VLMConfig.model_validate({name: getattr(mini, name) for name in VLMConfig.model_fields})
    model: VLM = vlkit.VLMBuilder(config).decoder("deepseek_v2", num_hidden_layers=1).build()
    assert type(model) is VLM
    assert type(model.config) is VLMConfig
    assert isinstance(model.config.decoder, DeepseekV2Config)
    assert model.config.decoder.num_hidden_layers == 1
    assert type(START.build(device="meta")) is vlkit.DeepseekVLV2


def test_cropping_and_global_view_are_steps_as_well() -> None:
    start = vlkit.DeepseekVLV2Builder("mini")
    config = start.cropping(policy={"type": "never"}).cropping(fit="stretch").global_view(56, 56).config
    assert (config.cropping.policy, config.cropping.fit, config.global_view_size) == (CropNever(), "stretch", (56, 56))
    assert config.tiling((500, 100)).grid == (1, 1)
    assert start.cropping(Cropping(policy=CropNever())).config.tiling((500, 100)).grid == (1, 1)
    assert start.config.tiling((500, 100)).grid != (1, 1)
    with pytest.raises(ConfigError, match=r"global_view_size 57x56, encoder 'siglip' takes 56x56"):
        _ = start.global_view(57, 56).config
