"""Contents of small configs of transformers' causal language models, one for each way in which these differ."""

from typing import Any

from vlkit.decoders import HFCausalLM, HFCausalLMConfig

VOCABULARY, PAD, END = 48, 2, 1
COMMON: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": END,
    "pad_token_id": PAD,
}
LATENT = {
    "num_key_value_heads": 4, "q_lora_rank": 8, "kv_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 8,
    "v_head_dim": 6, "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8,
    "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1,
}  # fmt: skip
EXPERTS = {"num_experts_per_tok": 2, "router_aux_loss_coef": 0.03}

CONTENTS: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama", **COMMON},
    "tied": {"model_type": "qwen3", **COMMON, "head_dim": 6, "tie_word_embeddings": True},
    "scaled embeddings, capped logits": {"model_type": "gemma2", **COMMON, "head_dim": 8, "sliding_window": 5},
    "windows in some layers": {"model_type": "gemma3_text", **COMMON, "head_dim": 8, "sliding_window": 5,
                               "layer_types": ["sliding_attention", "full_attention"]},
    "windows": {"model_type": "mistral", **COMMON, "sliding_window": 5},
    "scaled logits": {"model_type": "cohere", **COMMON, "logit_scale": 0.25},
    "experts": {"model_type": "mixtral", **COMMON, **EXPERTS, "num_local_experts": 4},
    "experts and shared ones": {"model_type": "qwen2_moe", **COMMON, **EXPERTS, "num_experts": 4,
                                "moe_intermediate_size": 8, "shared_expert_intermediate_size": 8},
    "latent attention": {"model_type": "deepseek_v3", **COMMON, **LATENT},
    "partly rotated": {"model_type": "gpt_neox", **COMMON},
    "absolute positions": {"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64,
                           "vocab_size": VOCABULARY, "bos_token_id": 0, "eos_token_id": END, "pad_token_id": PAD},
    "no positions": {"model_type": "bloom", "hidden_size": 32, "n_layer": 2, "n_head": 4, "vocab_size": VOCABULARY,
                     "bos_token_id": 0, "eos_token_id": END, "pad_token_id": PAD},
    "a body in the body": {"model_type": "opt", **COMMON, "ffn_dim": 40, "word_embed_proj_dim": 32},
}  # fmt: skip
"""What is special about a model: its content."""
ROTARY = [name for name in CONTENTS if name not in ("absolute positions", "a body in the body")]
"""Those where only distances between positions matter."""


def small_lm(name: str, **fields: Any) -> HFCausalLM:
    """New decoder in evaluation mode whose layers all matter."""
    decoder = HFCausalLM(HFCausalLMConfig(config=CONTENTS[name] | fields)).eval()
    for parameter in decoder.parameters():
        parameter.data.add_(0.2 * parameter.data.new_empty(parameter.shape).normal_())
    return decoder
