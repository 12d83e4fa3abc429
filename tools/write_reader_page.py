"""Write what the recipe, the log and the results of the reader say into its page, and draw the results.

The page says `<!-- results -->`, and what is known of it stands between that and `<!-- end -->`; so with `parts`,
`pictures`, `training` and `sureness`.

    python tools/write_reader_page.py    # after examples/reader/ship.py and examples/reader/evaluate.py
"""

import json
import re
import runpy
from pathlib import Path
from typing import Any

import vlkit
from vlkit.printed_text.composing import PageConfig
from vlkit.training import Recipe
from vlkit.training.ingredients import config_of

ROOT = Path(__file__).parents[1]
READER, ASSETS = ROOT / "examples" / "reader", ROOT / "docs" / "assets"
PAGE = ROOT / "docs" / "models" / "vlkit-reader.md"
MARKED = re.compile(r"(<!-- (parts|pictures|training|results|sureness) -->\n).*?(<!-- end -->)", re.DOTALL)
NOTHING = "*Not measured yet.*"
ACCURACY, CURVE = "reader-accuracy.png", "reader-curve.png"
MINUTE = 60
TABLES = runpy.run_path(str(READER / "reader_tables.py"))


def written(page: str) -> str:
    """Text of the page with all that is known."""
    sections = {"parts": parts, "pictures": pictures, "training": training, "results": results, "sureness": sureness}
    return MARKED.sub(lambda found: f"{found[1]}\n{sections[found[2]]().strip()}\n\n{found[3]}", page)


def parts() -> str:
    """Table of the parts."""
    config = config_of(_recipe())
    model = vlkit.build(config, device="meta")
    encoder, decoder, experts, attention = config.encoder, config.decoder, config.decoder.moe, config.decoder.attention
    told = {
        "encoder": f"`siglip`: tiles of {config.tile_size} pixels in patches of {encoder.patch_size} embedded by "
        f"{len(encoder.stem)} small convolutions, "
        f"{encoder.layers} layers of width {encoder.width}, {encoder.heads} heads",
        "projector": f"`{config.projector.type}`: to {config.grid} tokens per tile",
        "layout": f"`{config.layout.type}`: a global view and the tiles in rows, as DeepSeek-VL2 has it",
        "decoder": f"`deepseek_v2`: {decoder.num_hidden_layers} layers of width {decoder.hidden_size}, "
        f"{attention.num_attention_heads} heads of latent attention ({attention.kv_lora_rank} numbers per token in the "
        f"cache, and {attention.qk_rope_head_dim} for its place), {experts.n_routed_experts} routed experts "
        f"({experts.num_experts_per_tok} per token) and {experts.n_shared_experts} shared one behind the first layer, "
        f"{decoder.vocab_size} tokens",
    }
    counts = {name: sum(weights.numel() for weights in getattr(model, name).parameters()) for name in told}
    rows = [f"| {name} | {text} | {counts[name]:,} |" for name, text in told.items()]
    return "\n".join(["| part | is | parameters |", "| --- | --- | ---: |", *rows, f"| | | {sum(counts.values()):,} |"])


def pictures() -> str:
    """Table of the settings of the pages."""
    chosen = _recipe().data.pages
    rows = []
    for name, field in PageConfig.model_fields.items():
        meaning = " ".join((field.description or "").split())
        rows.append(f"| `{name}` | {_plain(getattr(chosen, name))} | {meaning} |")
    return "\n".join(["| setting | here | meaning |", "| --- | --- | --- |", *rows])


def training() -> str:
    """How long, on what, how rounded, and the curve."""
    file, recipe = READER / "shipped.json", _recipe()
    if not file.is_file():
        return NOTHING
    told = json.loads(file.read_text(encoding="utf-8"))
    runs = "one run" if told["runs"] == 1 else f"{told['runs']} runs, each going on from the one before"
    end = "" if told["finished"] else " The run was stopped early, and this is its last checkpoint."
    share = {kind: 100 * found["computed in it"]["equal"] for kind, found in told["types"].items()}
    other = next(kind for kind in share if kind != told["type"])
    return "\n".join(
        [
            f"- `examples/reader/recipe.toml`, seed {recipe.seed}: {told['step']:,} steps in {runs}, "
            f"{told['samples']:,} pictures, {told['tokens']:,} tokens.{end}",
            f"- {told['seconds'] / MINUTE:.0f} minutes on {told['machine']}.",
            f"- Shipped in {told['type']}, {told['bytes'] / 1e6:.1f} MB: {share[told['type']]:.1f} % of "
            f"{told['questions']} answers are those of the weights in float32, to the last character; in {other} it "
            f"would be {share[other]:.1f} %.\n",
            f"![Loss, and what was read and found on the way](../assets/{CURVE}){{ .figure }}",
        ]
    )


def results() -> str:
    """Tables and picture of what is read and found."""
    found = _results()
    if found is None:
        return NOTHING
    picture = f"![What is read and found, by the tiles of the picture](../assets/{ACCURACY}){{ .figure }}"
    return TABLES["results_text"](found) + "\n" + picture


def sureness() -> str:
    """Tables of what the sureness is worth."""
    found = _results()
    return NOTHING if found is None else TABLES["sureness_text"](found)


def draw() -> None:
    """Picture of the results, if there are any."""
    found = _results()
    if found is not None:
        TABLES["accuracy_picture"](found).save(ASSETS / ACCURACY, optimize=True)


def _recipe() -> Recipe:
    return Recipe.from_file(READER / "recipe.toml")


def _results() -> dict[str, Any] | None:
    file = READER / "results.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def _plain(value: Any) -> str:
    """A setting as people write it."""
    if not isinstance(value, tuple):
        return str(value)
    inner = all(isinstance(each, tuple) for each in value)
    return ", ".join(" x ".join(map(str, each)) if inner else str(each) for each in value)


def main() -> None:
    """Write the page and draw."""
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    draw()


if __name__ == "__main__":
    main()
