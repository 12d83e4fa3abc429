"""The peers compute the same function as vlkit's parts: with the same weights they give the same numbers."""

from typing import Any

import pytest
import torch
from torch import nn

from benchmarks.decoders import toys
from benchmarks.peers import EXPERTS, TransformersDecoder, timm_siglip
from vlkit.decoders import DeepseekV2Config, decoders
from vlkit.encoders import SigLIPConfig, encoders

ORDER = 2e-5
"""float32 sums in another order."""


def give(ours: nn.Module, theirs: nn.Module, names: Any) -> None:
    """Give their module our weights; `names` turns our names into theirs."""
    theirs.load_state_dict({names(name): tensor for name, tensor in ours.state_dict().items()})


@pytest.mark.filterwarnings("ignore")  # the peers' own
@pytest.mark.parametrize("experts", EXPERTS)
@pytest.mark.parametrize("number", [0, 1], ids=["latent", "multi-head"])
@torch.no_grad()
def test_decoders_give_the_same_logits_in_prefill_and_decoding(number: int, experts: str) -> None:
    config = toys()[number].decoder
    assert isinstance(config, DeepseekV2Config)
    ours = decoders.build(config).eval()
    theirs = TransformersDecoder(config, experts=experts, dtype=torch.float32, device="cpu")
    state = {name.replace("mlp.router", "mlp.gate"): tensor for name, tensor in ours.state_dict().items()}
    if theirs.head is None:
        theirs.model.load_state_dict({name if "lm_head" in name else f"model.{name}": t for name, t in state.items()})
    else:
        theirs.head = state.pop("lm_head.weight")
        theirs.model.load_state_dict(state)
    cache, their_cache = ours.new_cache(), None
    for ids_BT in torch.randint(config.vocab_size, (1, 12)).split([9, 1, 1, 1], dim=1):
        expected = ours.logits(ours(ours.embed(ids_BT), cache=cache).x_BTD[:, -1:])
        found, their_cache = theirs.run(ids_BT, their_cache)
        torch.testing.assert_close(found, expected, rtol=0, atol=ORDER)


@pytest.mark.filterwarnings("ignore")  # the peers' own
@torch.no_grad()
def test_encoders_give_the_same_features() -> None:
    config = SigLIPConfig(image_size=28, patch_size=7, width=32, layers=2, heads=4, mlp_ratio=2)
    ours = encoders.build(config).eval()
    theirs = timm_siglip(config, dtype=torch.float32, device="cpu")
    theirs.load_state_dict(ours.state_dict(), strict=False)
    pixels = torch.rand(2, 3, 28, 28)
    torch.testing.assert_close(theirs.forward_features(pixels), ours(pixels).flatten(1, 2), rtol=0, atol=ORDER)


def test_experts_are_looped_over_only_while_a_cache_is_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    config = toys()[0].decoder
    assert isinstance(config, DeepseekV2Config)
    model = TransformersDecoder(config, experts="grouped_mm", dtype=torch.float32, device="cpu")
    seen: list[str] = []
    monkeypatch.setattr(model, "run", lambda *_: seen.append(model.model.config._experts_implementation))
    model.run_with_loop(torch.zeros(1, 1, dtype=torch.long))
    assert (seen, model.model.config._experts_implementation) == (["eager"], "grouped_mm")
