"""One picture's whole way at the real sizes of deepseek-vl2-tiny: from a JPEG file to 64 new tokens, stage by stage.

A picture of 1024x768 becomes seven views of 384x384 and 1,415 tokens; 64 tokens of text follow. All weights are random
and in bfloat16. The peers do what can be compared: timm's `vit_so400m_patch14_siglip_384` encodes as many views, and
transformers' language model of `deepseek_ocr2`, which has the same sizes, prefills as many positions and decodes as
many tokens; both in float32 as well where products in bfloat16 are slow. Tiling, projector and layout have no peer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

import vlkit
from benchmarks.frame import Case, Measured, Options, Side, main
from benchmarks.peers import TransformersDecoder, slow_in_half, timm_siglip
from vlkit.bench import Request, measure_stages, repeated_random
from vlkit.decoders import DeepseekV2Config
from vlkit.encoders import SigLIPConfig
from vlkit.models.deepseek_vl2.presets import MINI_DENSE, TINY
from vlkit.notation import Size
from vlkit.vlm_config import VLMConfig

DTYPE = torch.bfloat16


def cases(options: Options) -> list[Case]:
    """The one case, or the same at toy size."""
    config: VLMConfig = toy() if options.dry else TINY
    request = Request((Size(100, 75),), 8, 4) if options.dry else Request((Size(1024, 768),), 64, 64)
    about = request.describe(config, DTYPE)
    views = sum(picture.views for picture in about.pictures)
    facts = {
        "views": views,
        "image_tokens": about.context.image_tokens,
        "positions": about.context.prefill,
        "new_tokens": request.new_tokens,
        "weight_bytes": about.memory.weights,
    }
    sides: dict[str, Side] = {"vlkit": lambda options: ours(config, request, views, options)}
    for dtype in (DTYPE, torch.float32) if slow_in_half(options.device) else (DTYPE,):
        suffix = "" if dtype == DTYPE else ", float32"
        sides[f"timm{suffix}"] = partial(their_vision, config, views, dtype)
        sides[f"transformers{suffix}"] = partial(
            their_decoder, config, about.context.prefill, request.new_tokens, dtype
        )
    return [
        Case(
            "picture",
            "a picture of 1024x768 and 64 tokens of text",
            sides,
            peers=tuple(sides)[1:],
            work=request.work(config, DTYPE),
            facts=facts,
        )
    ]


def toy() -> VLMConfig:
    """A small model with the same parts."""
    decoder = MINI_DENSE.decoder
    assert isinstance(decoder, DeepseekV2Config)
    moe: dict[str, Any] = {"n_routed_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 48}
    return MINI_DENSE.replace(decoder=decoder.replace(moe=moe | {"n_shared_experts": 1, "first_k_dense_replace": 1}))


def ours(config: VLMConfig, request: Request, views: int, options: Options) -> Measured:
    """All stages, request after request until they are steady, then those that count; then vision as timm's."""
    with repeated_random():
        model = vlkit.build(config, dtype=DTYPE, device=options.device).eval()
    runs = max(options.runs - 2, 1)
    seconds = dict(measure_stages(model, request, runs=runs, warmup=0 if options.dry else 4))
    seconds["vision in the request"] = seconds.pop("vision")
    return Measured(seconds | {"vision": steady_vision(model.encoder, config, views, DTYPE, options)})


def their_vision(config: VLMConfig, views: int, dtype: torch.dtype, options: Options) -> Measured:
    """timm's encoder on as many views at once."""
    assert isinstance(config.encoder, SigLIPConfig)
    encoder = timm_siglip(config.encoder, dtype=dtype, device=options.device)
    return Measured({"vision": steady_vision(encoder.forward_features, config, views, dtype, options)})


def steady_vision(
    encode: Callable[[Tensor], Any], config: VLMConfig, views: int, dtype: torch.dtype, options: Options
) -> list[float]:
    """Seconds of an encoder on as many views at once, again and again."""
    width, height = config.tile_size
    pixels = torch.rand(views, 3, height, width, generator=torch.Generator().manual_seed(0))
    pixels = pixels.to(options.device, dtype)
    with torch.no_grad():
        return options.steady(lambda: encode(pixels))


def their_decoder(config: VLMConfig, positions: int, new_tokens: int, dtype: torch.dtype, options: Options) -> Measured:
    """The decoder of transformers on as many embeddings, then on its most likely token, again and again."""
    decoder = config.decoder
    assert isinstance(decoder, DeepseekV2Config)
    way = "eager" if options.device.type == "cpu" else "grouped_mm"
    model = TransformersDecoder(decoder, experts=way, dtype=dtype, device=options.device)
    embeds_BTD = torch.randn(1, positions, decoder.dim, generator=torch.Generator().manual_seed(0))
    embeds_BTD = embeds_BTD.to(options.device, dtype)
    clock, seconds = options.clock, dict[str, list[float]](prefill=[], decode=[])

    def request() -> None:
        start = clock.now()
        logits, cache = model.run(embeds_BTD)
        ids_BT = logits.argmax(-1)
        first = clock.now()
        for _ in range(new_tokens - 1):
            ids_BT = model.run(ids_BT, cache)[0].argmax(-1)
        seconds["prefill"].append(first - start)
        seconds["decode"].append((clock.now() - first) / (new_tokens - 1))

    counted = len(options.steady(request))
    return Measured({stage: times[-counted:] for stage, times in seconds.items()})


if __name__ == "__main__":
    main("whole_path", cases, __doc__)
