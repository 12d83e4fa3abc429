"""Single attention layers against the official implementation (golden a7)."""

from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from tests.parity import cases, numbers, settings, weights
from tests.tolerances import ATTENTION
from vlkit.nn.attention import MHA, MHAConfig, padded_causal_mask
from vlkit.nn.mla import MLA, MLAConfig
from vlkit.nn.rope import AnyRopeScaling, Rope

MLA_FIELDS = ("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
CASES = [(case, mode) for case in cases("a7_rope") for mode in (("expand", "absorb") if "mla" in case else ("mha",))]


def official(case: str, mode: str) -> tuple[MLA | MHA, Rope]:
    """Layer of an official `language_config` with its weights, and its rotary tables."""
    config = settings("a7_rope", case)
    scaling = TypeAdapter[AnyRopeScaling | None](AnyRopeScaling | None).validate_python(config["rope_scaling"])
    shared: dict[str, Any] = {name: config[name] for name in ("num_attention_heads", "attention_bias")}
    layer: MLA | MHA
    if mode == "mha":
        heads = MHAConfig(**shared, num_key_value_heads=config["num_key_value_heads"])
        layer, width = MHA(heads, dim=config["hidden_size"]), heads.rope_dim(config["hidden_size"])
    else:
        latent = MLAConfig.model_validate(shared | {name: config[name] for name in MLA_FIELDS} | {"mode": mode})
        factor = scaling.softmax_factor if scaling else 1.0
        layer, width = MLA(latent, dim=config["hidden_size"], softmax_factor=factor), latent.qk_rope_head_dim
    layer.load_state_dict(weights("a7_rope", case))
    length = config["max_position_embeddings"]
    return layer, Rope(dim=width, theta=config["rope_theta"], max_positions=length, scaling=scaling)


@pytest.mark.parametrize("positions", ["arange", "from_mask", "odd"])
@pytest.mark.parametrize(("case", "mode"), CASES)
def test_outputs_are_the_official_ones_wherever_there_is_no_padding(case: str, mode: str, positions: str) -> None:
    tensors = numbers("a7_rope", case)
    layer, rope = official(case, mode)
    real_BT = tensors["attention_mask"].bool()
    # official latent attention scales by the number of keys, official multi-head attention by the positions
    longest = None if mode == "mha" else real_BT.shape[1]
    rotation = rope(tensors[f"position_ids.{positions}"], longest=longest)
    mask_BTS = padded_causal_mask(real_BT, real_BT.shape[1])
    found = layer(tensors["hidden_states"], rotation=rotation, mask_BTS=mask_BTS)
    torch.testing.assert_close(found[real_BT], tensors[f"output.{positions}"][real_BT], rtol=0, atol=ATTENTION)
