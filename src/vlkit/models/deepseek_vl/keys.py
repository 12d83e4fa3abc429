"""Names of the official checkpoints and what they are here."""

from __future__ import annotations

from vlkit.checkpoint.keymap import KeyMap
from vlkit.checkpoint.rules import Rule

HIGH, LOW = "vision_model.vision_tower_high.vision_tower", "vision_model.vision_tower_low.vision_tower"
MOST_CONVOLUTIONS = 8
"""Most convolutions behind SAM's neck that a config can have."""

KEYMAP = KeyMap(
    [
        *(
            Rule(f"{HIGH}.downsamples.{number}.weight", f"encoder.high.net_{number + 2}.weight")
            for number in range(MOST_CONVOLUTIONS)
        ),
        Rule(f"{HIGH}.{{rest}}", "encoder.high.{rest}"),
        Rule(f"{LOW}.{{rest}}", "encoder.low.{rest}"),
        Rule("vision_model.high_layer_norm.{rest}", "encoder.high_layer_norm.{rest}"),
        Rule("vision_model.low_layer_norm.{rest}", "encoder.low_layer_norm.{rest}"),
        Rule("vision_model.vision_tower.{rest}", "encoder.{rest}"),
        Rule("aligner.{rest}", "projector.{rest}"),
        Rule("language_model.model.layers.{layer}.self_attn.rotary_emb.inv_freq", None),
        Rule("language_model.lm_head.weight", "decoder.lm_head.weight"),
        Rule("language_model.model.{rest}", "decoder.{rest}"),
    ]
)
"""Rules from special to general, for models with one tower and with two."""

HEAD, EMBEDDING = "language_model.lm_head.weight", "language_model.model.embed_tokens.weight"

TIED_KEYMAP = KeyMap([Rule(HEAD, None), *KEYMAP.rules])
"""For `tie_word_embeddings`: the file may hold the head, here it is the embedding."""
