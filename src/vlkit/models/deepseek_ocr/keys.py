"""Names of the official checkpoints and what they are here."""

from __future__ import annotations

from vlkit.checkpoint.keymap import KeyMap
from vlkit.checkpoint.rules import Rule, Stack, Unsqueeze

LAYER = "model.layers.{layer}.mlp"
OURS = "decoder.layers.{layer}.mlp"

KEYMAP = KeyMap(
    [
        Rule("model.sam_model.{rest}", "encoder.sam.{rest}"),
        Rule("model.vision_model.embeddings.position_ids", None),
        Rule("model.vision_model.{rest}", "encoder.clip.{rest}"),
        Rule("model.projector.{rest}", "projector.{rest}"),
        Rule("model.image_newline", "layout.image_newline", Unsqueeze()),
        Rule("model.view_seperator", "layout.view_separator", Unsqueeze()),
        Rule("model.layers.{layer}.self_attn.rotary_emb.inv_freq", None),
        Rule(f"{LAYER}.experts.{{expert}}.gate_proj.weight", f"{OURS}.experts.gate_up_proj", Stack("expert"), (0, 2)),
        Rule(f"{LAYER}.experts.{{expert}}.up_proj.weight", f"{OURS}.experts.gate_up_proj", Stack("expert"), (1, 2)),
        Rule(f"{LAYER}.experts.{{expert}}.down_proj.weight", f"{OURS}.experts.down_proj", Stack("expert")),
        Rule(f"{LAYER}.gate.{{rest}}", f"{OURS}.router.{{rest}}"),
        Rule("lm_head.weight", "decoder.lm_head.weight"),
        Rule("model.{rest}", "decoder.{rest}"),
    ]
)
"""Rules from special to general; the typo `view_seperator` of the released files lives here only."""

HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"

TIED_KEYMAP = KeyMap([Rule(HEAD, None), *KEYMAP.rules])
"""For `tie_word_embeddings`: the official code wants the head in the file, here it is the embedding."""
