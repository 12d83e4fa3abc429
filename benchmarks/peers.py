"""The peers: decoders of transformers and vision transformers of timm, with random weights.

They are imported as the tests import them, beside a torch that torchvision may not have been compiled for.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.frame import UnavailableError
from vlkit.bench import repeated_random
from vlkit.builder import fresh_weights
from vlkit.decoders import DeepseekV2Config
from vlkit.encoders import SigLIPConfig
from vlkit.nn.attention import MHAConfig
from vlkit.nn.linear import LACKS_HALF

EXPERTS = ("eager", "grouped_mm")
"""Ways in which transformers computes experts: a loop over those that are chosen, and its default."""


def slow_in_half(device: torch.device) -> bool:
    """Whether products in half precision are slow there, so that the peers are better off in float32."""
    return device.type == "cpu" and LACKS_HALF


class TransformersDecoder:
    """The decoder of transformers that computes what one of ours does; attention is torch's fused one.

    With latent attention that is `deepseek_v2`; with multi-head attention the language model of `deepseek_ocr2`, the
    only one there with experts of this kind, and a head beside it.

    Args:
        config: of our decoder.
        experts: how experts are computed.
        dtype: type of the weights.
        device: where they are.
    """

    def __init__(
        self, config: DeepseekV2Config, *, experts: str, dtype: torch.dtype, device: torch.device | str
    ) -> None:
        self._library = _imported("transformers")
        latent = not isinstance(config.attention, MHAConfig)
        with repeated_random(), fresh_weights(dtype, device):
            model = _latent(config) if latent else _multi_head(config)
            self.head = None if latent else torch.empty(config.vocab_size, config.hidden_size).normal_(std=0.02)
        self.model: Any = model.eval()
        self.vocabulary, self.device = config.vocab_size, torch.device(device)
        self.set_experts(experts)

    def set_experts(self, way: str) -> None:
        """Choose how experts are computed."""
        self.model.set_experts_implementation(way)

    @torch.no_grad()
    def run(self, inputs: Tensor, cache: Any = None) -> tuple[Tensor, Any]:
        """Logits of the last position, and the cache.

        Args:
            inputs: ids int64[B, T] or embeddings float[B, T, D].
            cache: of earlier positions.
        """
        cache = self._library.DynamicCache(config=self.model.config) if cache is None else cache
        given: dict[str, Any] = {"inputs_embeds" if inputs.is_floating_point() else "input_ids": inputs}
        given |= {"cache": cache, "use_cache": True}
        if self.head is None:
            return self.model(**given, logits_to_keep=1).logits, cache
        return F.linear(self.model(**given).last_hidden_state[:, -1:], self.head), cache

    def static_cache(self, capacity: int) -> Any:
        """Empty cache of a fixed number of positions."""
        return self._library.StaticCache(config=self.model.config, max_cache_len=capacity)

    def compile(self, backend: str) -> None:
        """Compile the following passes, on a GPU into CUDA graphs."""
        mode = "reduce-overhead" if self.device.type == "cuda" and backend == "inductor" else None
        self.model.forward = torch.compile(self.model.forward, backend=backend, mode=mode)

    def run_with_loop(self, inputs: Tensor, cache: Any = None) -> tuple[Tensor, Any]:
        """As `run`, with experts one by one, so that a cache is filled in the same way whatever is measured then."""
        way = self.model.config._experts_implementation
        self.set_experts("eager")
        out = self.run(inputs, cache)
        self.set_experts(way)
        return out


def _latent(config: DeepseekV2Config) -> Any:
    from transformers.models.deepseek_v2 import DeepseekV2Config as TheirConfig
    from transformers.models.deepseek_v2 import DeepseekV2ForCausalLM

    attention = config.attention.model_dump(exclude={"type", "mode"})
    return DeepseekV2ForCausalLM(
        TheirConfig(**_common(config), **attention, num_key_value_heads=attention["num_attention_heads"])
    )


def _multi_head(config: DeepseekV2Config) -> Any:
    from transformers.models.deepseek_ocr2.configuration_deepseek_ocr2 import DeepseekOcr2TextConfig
    from transformers.models.deepseek_ocr2.modeling_deepseek_ocr2 import DeepseekOcr2TextModel

    assert isinstance(config.attention, MHAConfig)
    kinds = ["sparse" if config.is_moe_layer(index) else "dense" for index in range(config.num_hidden_layers)]
    heads: dict[str, Any] = {
        "num_attention_heads": config.attention.num_attention_heads,
        "num_key_value_heads": config.attention.kv_heads,
    }
    return DeepseekOcr2TextModel(DeepseekOcr2TextConfig(**_common(config), **heads, mlp_layer_types=kinds))


def _common(config: DeepseekV2Config) -> dict[str, Any]:
    """Settings that both have under the same names."""
    assert config.moe is not None
    names = ("vocab_size", "hidden_size", "num_hidden_layers", "intermediate_size", "max_position_embeddings")
    own = {name: getattr(config, name) for name in (*names, "rms_norm_eps")}
    experts = (
        "n_routed_experts", "num_experts_per_tok", "moe_intermediate_size", "n_shared_experts", "topk_method",
        "n_group", "topk_group", "routed_scaling_factor",
    )  # fmt: skip
    own |= {name: getattr(config.moe, name) for name in experts}
    latent = not isinstance(config.attention, MHAConfig)
    own |= {"first_k_dense_replace": config.moe.first_k_dense_replace, "norm_topk_prob": False} if latent else {}
    return own | {"rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta}}


def timm_siglip(config: SigLIPConfig, *, dtype: torch.dtype, device: torch.device | str) -> Any:
    """timm's vision transformer of the released encoder's sizes, or of other ones, with the same activation."""
    timm = _imported("timm")
    own = config.model_dump(include={"patch_size", "width", "layers", "heads", "mlp_ratio", "activation"})
    sizes = {
        "img_size": config.image_size, "patch_size": own["patch_size"], "embed_dim": own["width"],
        "depth": own["layers"], "num_heads": own["heads"], "mlp_ratio": own["mlp_ratio"],
        "act_layer": own["activation"],
    }  # fmt: skip
    with repeated_random(), fresh_weights(dtype, device):
        return timm.create_model("vit_so400m_patch14_siglip_384", num_classes=0, **sizes).eval()


def _imported(library: str) -> Any:
    import importlib

    from tests.torchvision_operators import declare_missing_operators

    declare_missing_operators()
    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise UnavailableError(f"{library} is not installed: {error}") from None
