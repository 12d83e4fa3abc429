"""What is computed, moved and asked for, counted: performance that no clock can blur."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

import vlkit
from tests.small_models import draw_weights
from vlkit.decoders import Decoder, DeepseekV2Config, MHAConfig, MLAConfig, decoders
from vlkit.layouts import Layout, Layout2DConfig
from vlkit.nn.moe import Compute, Experts, MoEConfig
from vlkit.nn.router import Routing
from vlkit.notation import Grid

PROMPT = 600
"""Positions before the step that is looked at: many more than any width, so that what grows with them stands out."""

ATTENTIONS: dict[str, MHAConfig | MLAConfig] = {
    "multi-head": MHAConfig(num_attention_heads=4),
    "grouped": MHAConfig(num_attention_heads=4, num_key_value_heads=2),
    "latent": MLAConfig(num_attention_heads=4, kv_lora_rank=16, qk_nope_head_dim=16, qk_rope_head_dim=8, v_head_dim=16),
}
EXPERTS = MoEConfig(
    n_routed_experts=8, num_experts_per_tok=2, moe_intermediate_size=16, n_shared_experts=1, first_k_dense_replace=1
)
WAYS: tuple[Compute, ...] = ("fused", "grouped", "loop")


def config(attention: str, compute: Compute = "auto") -> DeepseekV2Config:
    return DeepseekV2Config(
        vocab_size=72,
        hidden_size=32,
        num_hidden_layers=2,
        intermediate_size=48,
        attention=ATTENTIONS[attention],
        moe=EXPERTS.replace(compute=compute),
        max_position_embeddings=1024,
    )


def decoder(attention: str, compute: Compute = "auto", dtype: torch.dtype = torch.float32) -> Decoder:
    built = decoders.build(config(attention, compute)).to(dtype).eval()
    draw_weights(built, 0)
    return built


class Made(TorchDispatchMode):
    """Operations, and the tensors that they made in memory of their own."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: Counter[str] = Counter()
        self.fresh: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.calls[func.overloadpacket.__name__] += 1
        given = {leaf.untyped_storage().data_ptr() for leaf in leaves((args, kwargs))}
        self.fresh += [leaf for leaf in leaves(out) if leaf.untyped_storage().data_ptr() not in given]
        return out

    @property
    def largest(self) -> int:
        """Numbers in the largest of these tensors."""
        return max(tensor.numel() for tensor in self.fresh)


def leaves(value: Any) -> list[Tensor]:
    return [leaf for leaf in torch.utils._pytree.tree_leaves(value) if isinstance(leaf, Tensor)]


class Questions(TorchFunctionMode):
    """Counts how often the host asks for numbers, which on a GPU waits for all that was begun."""

    ASKING = ("item", "tolist", "__bool__", "__int__", "__float__", "__index__", "nonzero", "cpu", "numpy", "unique")

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        boolean_index = name == "__getitem__" and any(leaf.dtype == torch.bool for leaf in leaves(args[1]))
        self.asked[name] += name in self.ASKING or boolean_index
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("attention", ATTENTIONS)
@torch.no_grad()
def test_a_token_takes_the_bytes_of_its_latent_or_its_heads(attention: str, dtype: torch.dtype) -> None:
    model, cache = decoder(attention, dtype=dtype), decoder(attention).new_cache()
    model(torch.randn(2, 5, 32, dtype=dtype), cache=cache)
    per_token = {"multi-head": 2 * 4 * 8, "grouped": 2 * 2 * 8, "latent": 16 + 8}[attention] * dtype.itemsize
    for layer in cache.layers:
        assert sum(tensor.nbytes for tensor in layer.tensors) == 2 * 5 * per_token
    assert model.config.cached_values() * dtype.itemsize == len(cache.layers) * per_token


@pytest.mark.parametrize("tokens", [1, 7])
@pytest.mark.parametrize("compute", WAYS)
@torch.no_grad()
def test_experts_multiply_their_own_tokens_only(compute: Compute, tokens: int) -> None:
    experts, x_MD = Experts(8, 16, 24, compute=compute), torch.randn(tokens, 16)
    draw_weights(experts, 0)
    ids_MA = torch.stack([torch.tensor([1, 4, 6])[torch.randperm(3)[:2]] for _ in range(tokens)])
    routing = Routing(ids_MA, torch.rand(tokens, 2), torch.rand(tokens, 8))
    expected, active = experts(x_MD, routing), ids_MA.unique()
    idle = torch.ones(8, dtype=torch.bool).index_fill(0, active, False)
    experts.gate_up_proj[idle], experts.down_proj[idle] = float("nan"), float("nan")
    with FlopCounterMode(display=False) as counter, Made() as made:
        found = experts(x_MD, routing)
    assert torch.equal(found, expected), "an expert without tokens is touched"
    products = {"fused": made.calls["_grouped_mm"], "grouped": made.calls["mm"], "loop": made.calls["mm"]}[compute]
    assert products == 2 * {"fused": 1, "grouped": len(active), "loop": 8}[compute]
    if compute != "fused":  # whose operations torch does not count
        assert counter.get_total_flops() == 2 * tokens * 2 * 3 * 16 * 24


@pytest.mark.parametrize("attention", ATTENTIONS)
@torch.no_grad()
def test_decoding_makes_nothing_as_large_as_the_earlier_positions(attention: str) -> None:
    model = decoder(attention)
    cache = model.new_cache()
    model(torch.randn(1, PROMPT, 32), cache=cache)
    kept = [tensor.data_ptr() for layer in cache.layers for tensor in layer.tensors]
    with Made() as made:
        model.logits(model(torch.randn(1, 1, 32), cache=cache).x_BTD)
    assert made.largest < PROMPT, f"a tensor of {made.largest} numbers"
    assert [tensor.data_ptr() for layer in cache.layers for tensor in layer.tensors] == kept


@torch.no_grad()
def test_decoding_expands_no_latent() -> None:
    model, rows = decoder("latent"), []
    for layer in model.get_submodule("layers").children():
        layer.get_submodule("self_attn.kv_b_proj").register_forward_pre_hook(
            lambda _, inputs: rows.append(inputs[0].shape[1])
        )
    cache = model.new_cache()
    model(torch.randn(1, PROMPT, 32), cache=cache)
    assert rows == [PROMPT, PROMPT]
    model(torch.randn(1, 1, 32), cache=cache)
    assert rows == [PROMPT, PROMPT]


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_operations_of_decoding_are_those_that_the_config_tells(attention: str) -> None:
    model, settings = decoder(attention, "grouped"), config(attention)
    cache = model.new_cache()
    with torch.no_grad():
        model(torch.randn(1, PROMPT, 32), cache=cache)
        with FlopCounterMode(display=False) as counter:
            model(torch.randn(1, 1, 32), cache=cache)
    told = settings.forward_flops(1, PROMPT + 1)
    attended = settings.num_layers * attended_flops(ATTENTIONS[attention])
    assert told - attended <= counter.get_total_flops() <= told


def attended_flops(attention: MHAConfig | MLAConfig) -> int:
    """Operations of one layer's scores and values, which torch does not count in every kernel."""
    if isinstance(attention, MLAConfig):
        return 2 * (PROMPT + 1) * attention.num_attention_heads * 2 * (attention.kv_lora_rank + 8)
    return 2 * (PROMPT + 1) * attention.num_attention_heads * 2 * 8


@pytest.mark.parametrize("attention", ATTENTIONS)
@torch.no_grad()
def test_a_step_runs_on_tensors_without_numbers(attention: str) -> None:
    with torch.device("meta"):
        model = decoders.build(config(attention, "fused")).to(torch.bfloat16).eval()
        cache = model.new_cache()
        for positions in (9, 1, 1):
            ids_BT = torch.zeros(2, positions, dtype=torch.long)
            x_BTD = model(model.embed(ids_BT), cache=cache).x_BTD
            assert model.logits(x_BTD[:, -1:]).shape == (2, 1, 72)


@pytest.mark.parametrize(("eos", "per_step"), [((), 0), ((71,), 1)])
def test_generation_asks_once_per_step_if_a_row_can_end_and_never_otherwise(
    eos: tuple[int, ...], per_step: int
) -> None:
    preset = vlkit.presets["mini"]
    moe = preset.decoder.moe.replace(compute="fused")
    model = vlkit.build(preset.replace(decoder=preset.decoder.replace(moe=moe))).eval()
    steps = vlkit.generate.generate_ids(model, input_ids=torch.randint(600, (1, 9)), max_new_tokens=6, eos_token_id=eos)
    next(steps)
    with Questions() as questions:
        for _ in range(4):
            next(steps)
    assert questions.asked.total() == 4 * per_step


def picture_inputs(model: vlkit.VLM, text: int) -> dict[str, Any]:
    """A prompt with a picture of two tiles in front of so many tokens of text."""
    across, down = 2, 1
    size, config = model.config.tile_size, model.config
    tokens = config.layout.count(Grid(down, across), config.grid)
    places_BT = torch.zeros(1, tokens + text, dtype=torch.bool)
    places_BT[:, :tokens] = True
    return {
        "input_ids": torch.randint(4, 600, (1, tokens + text), generator=torch.Generator().manual_seed(0)),
        "images": torch.rand(1, 3, 3, size.height, size.width),
        "images_seq_mask": places_BT,
        "images_spatial_crop": torch.tensor([[[across, down]]]),
    }


def spied(model: vlkit.VLM) -> tuple[list[int], list[int]]:
    """Views of each pass of the encoder, and positions of each pass of the decoder, as they come."""
    views: list[int] = []
    positions: list[int] = []
    model.encoder.register_forward_pre_hook(lambda _, inputs: views.append(len(inputs[0])))
    model.decoder.register_forward_pre_hook(lambda _, inputs: positions.append(inputs[0].shape[1]))
    return views, positions


def test_each_view_is_encoded_once_and_each_position_runs_once() -> None:
    model = vlkit.build("mini").eval()
    inputs, (views, positions) = picture_inputs(model, text=5), spied(model)
    model.generate(**inputs, max_new_tokens=4, eos_token_id=(), chunk_size=60)
    length = inputs["input_ids"].shape[1]
    assert views == [3]
    assert sum(positions) == length + 3 and positions[-3:] == [1, 1, 1]
    assert max(positions) == 60


def test_what_a_cache_holds_is_not_run_again() -> None:
    model = vlkit.build("mini").eval()
    inputs = picture_inputs(model, text=5)
    cache = model.incremental_prefilling(**inputs, cache="resident").cache
    more = {"input_ids": torch.cat([inputs["input_ids"], torch.tensor([[7, 8, 9]])], dim=1)}
    more["images_seq_mask"] = torch.nn.functional.pad(inputs["images_seq_mask"], (0, 3))
    views, positions = spied(model)
    model.generate(**inputs | more, cache=cache, max_new_tokens=3, eos_token_id=())
    assert (views, positions) == ([], [3, 1, 1])


@pytest.mark.parametrize("chunk_size", [None, 4])
def test_the_head_runs_on_the_last_position_only(monkeypatch: pytest.MonkeyPatch, chunk_size: int | None) -> None:
    model = vlkit.build("mini").eval()
    rows: list[int] = []
    logits = model.decoder.logits

    def spy(x_BTD: Tensor) -> Tensor:
        rows.append(x_BTD.shape[1])
        return logits(x_BTD)

    monkeypatch.setattr(model.decoder, "logits", spy)
    model.incremental_prefilling(input_ids=torch.randint(600, (1, 11)), chunk_size=chunk_size or 11, cache="resident")
    assert [count for count in rows if count] == [1]


def test_a_layout_gathers_once_whatever_the_number_of_pictures() -> None:
    layout = Layout(Layout2DConfig(), dim=4)

    @torch.no_grad()
    def made_by(pictures: int) -> list[Tensor]:
        grids = [Grid(1 + number % 2, 1 + number % 3) for number in range(pictures)]
        features = torch.randn(pictures + sum(grid.area for grid in grids), 3, 3, 4)
        layout(features, grids)
        with Made() as made:
            layout(features, grids)
        return [tensor for tensor in made.fresh if tensor.numel() >= features.numel() and tensor.is_floating_point()]

    assert len(made_by(1)) == len(made_by(12)) == 1, "the tokens; the features themselves are read where they are"


def test_plans_are_made_once() -> None:
    first = Layout2DConfig().plan(Grid(5, 7), Grid(11, 13))
    assert Layout2DConfig().plan(Grid(5, 7), Grid(11, 13)) is first
