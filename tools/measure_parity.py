"""Prints how far vlkit is from the numbers of the official implementation in `tests/golden`, stage by stage.

Run as `python tools/measure_parity.py [folder]`; VLKIT_GOLDEN may name a fuller copy of the data.
"""

# ruff: noqa: T201
from __future__ import annotations

import os
import sys
from collections import defaultdict
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

import vlkit
from vlkit.decoders import DeepseekV2Config

GOLDEN = Path(__file__).parents[1] / "tests" / "golden"
STAGES = {
    "vision_features": "vision features",
    "projector_output": "projector output",
    "inputs_embeds": "embeddings with image tokens",
    "hidden_states": "hidden states of all layers",
    "routing_weights": "routing weights",
    "logits": "logits",
    "loss": "loss",
    "chunked_logits": "logits after chunked prefill",
    "generated_scores": "logits while generating",
}
"""Stages in the order of the forward pass, and how the table calls them."""
CHUNK = 7
"""Positions per chunk in the golden data."""


def differences(case: Path) -> dict[str, float]:
    """Largest absolute difference of each stage of one case, of what is stored, padding aside.

    Raises:
        AssertionError: if an integer, such as a chosen expert or a generated token, is not the official one.
    """
    model = vlkit.from_pretrained(case / "sharded" if (case / "sharded").is_dir() else case)
    assert isinstance(model.config.decoder, DeepseekV2Config)
    given = load_file(case / "io.safetensors")
    images = {name: given[name] for name in ("images", "images_seq_mask", "images_spatial_crop")}
    ids, mask_BT, labels = given["input_ids"], given["attention_mask"], given["labels"]
    rows = [[(int(down), int(across)) for across, down in row if across] for row in given["images_spatial_crop"]]
    views = [sum(1 + down * across for down, across in row) for row in rows]
    found: dict[str, float] = {}

    def note(stage: str, ours: Tensor, theirs: Tensor) -> None:
        found[stage] = max(found.get(stage, 0.0), float((ours - theirs).abs().max()))

    with torch.no_grad():
        pixels = torch.cat([row[:count] for row, count in zip(given["images"], views)])
        x_NYXW = model.encoder(pixels)
        note("vision_features", x_NYXW.flatten(1, 2), given["vision_features"])
        note("projector_output", model.projector(x_NYXW).flatten(1, 2), given["projector_output"])
        out = model(ids, mask_BT, labels=labels, **images, output_hidden_states=True, output_routing=True)
        note("inputs_embeds", out.inputs_embeds[mask_BT], given["inputs_embeds"][mask_BT])
        for ours, theirs in zip(out.hidden_states, given.get("hidden_states", [])):
            note("hidden_states", ours[mask_BT], theirs[mask_BT])
        for layer, routing in out.routings.items():
            kept_M = mask_BT.flatten()
            order = routing.ids_MA.argsort(dim=-1)
            chosen, weights = routing.ids_MA.gather(1, order), routing.weights_MA.gather(1, order)
            assert torch.equal(chosen[kept_M], given[f"moe_topk_idx.{layer}"][kept_M]), f"experts of layer {layer}"
            note("routing_weights", weights[kept_M], given[f"moe_topk_weight.{layer}"][kept_M])
        note("logits", out.logits[mask_BT], given["logits"][mask_BT])
        note("loss", out.loss, given["loss"])

    prefilled = model.incremental_prefilling(
        chunk_size=CHUNK, cache="resident", input_ids=ids, attention_mask=mask_BT, **images
    )
    note("chunked_logits", prefilled.logits[:, -1], given["chunked_last_logits"])
    prompt = {"inputs_embeds": out.inputs_embeds, "attention_mask": mask_BT}
    steps = given["generated_ids"].shape[1]
    generated = model.generate(**prompt, max_new_tokens=steps, eos_token_id=())
    assert torch.equal(generated, given["generated_ids"]), "generated tokens"
    if "generate_scores" not in given:
        return found
    with torch.no_grad():
        answer = model.decoder.embed(generated[:, :-1])
        whole_BT = torch.cat([mask_BT, torch.ones_like(generated[:, :-1], dtype=torch.bool)], dim=1)
        scores = model(
            inputs_embeds=torch.cat([out.inputs_embeds, answer], dim=1), attention_mask=whole_BT, logits_to_keep=steps
        ).logits
    note("generated_scores", scores, given["generate_scores"])
    return found


def main(golden: Path) -> None:
    """Print the table in Markdown."""
    columns: dict[str, dict[str, float]] = defaultdict(dict)
    cases = sorted(path for path in golden.iterdir() if (path / "io.safetensors").is_file() and path.name[0] == "a")
    for case in cases:
        for stage, value in differences(case).items():
            columns[stage][case.name] = value
    names = [case.name.split("_")[0] for case in cases]
    print("| stage | " + " | ".join(names) + " |")
    print("| --- |" + " --- |" * len(names))
    for stage, title in STAGES.items():
        cells = [f"{columns[stage][case.name]:.1e}" if case.name in columns[stage] else "-" for case in cases]
        print(f"| {title} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(os.environ.get("VLKIT_GOLDEN", GOLDEN)))
