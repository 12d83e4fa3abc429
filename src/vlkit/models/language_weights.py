"""Published weights of language models: their names and what they are here.

keymap = LANGUAGE_KEYMAPS["llama"]
load_into(decoder, WeightFiles.open(folder), keymap)
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from vlkit.checkpoint.keymap import KeyMap
from vlkit.checkpoint.rules import Rule

LANGUAGE_KEYMAPS: Mapping[str, KeyMap] = MappingProxyType(
    {
        "llama": KeyMap(
            [
                Rule("model.layers.{layer}.self_attn.rotary_emb.inv_freq", None),
                Rule("lm_head.weight", "lm_head.weight"),
                Rule("model.{rest}", "{rest}"),
            ]
        ),
    }
)
"""Key maps by architecture: "llama" for `DeepseekV2Config.dense`, in files of LLaMA, Mistral and their like."""
