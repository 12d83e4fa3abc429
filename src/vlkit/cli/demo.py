"""`vlkit demo`: one picture through every part of a small model, from pixels to tokens to text."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vlkit.cli.generate import conversation, tagged
from vlkit.cli.layout import draw, require_png, save_png
from vlkit.cli.terminal import printable

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from vlkit.models.deepseek_vl2.model import DeepseekVLV2

SEED, TILE, CHUNK, NEW_TOKENS = 0, 112, 128, 32


def demo(
    picture: Annotated[
        Path | None, typer.Argument(help="Any picture.", show_default="one that comes with vlkit")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="PNG file to write.")] = Path("vlkit-demo.png"),
    prompt: Annotated[str, typer.Option("--prompt", "-p", help="A question.")] = "What do you see?",
) -> None:
    """Follow a picture through a small model with random weights, step by step; needs no download."""
    from vlkit.processing import load

    require_png(output)
    with as_file(files("vlkit") / "assets" / "demo.jpg") as bundled:
        name, image = (picture or bundled).name, load(picture or bundled)
    typer.echo("A small DeepSeek-VL2 with random weights: each step is real, but the text at the end means nothing.\n")
    with _repeatable():
        steps = Steps()
        model = assemble(steps)
        answer = follow(model, image, prompt, steps)
    typer.echo(f"\nAnswer (random weights: the text means nothing):\n  {answer}")
    save_png(draw(image, model.config, title=f"{name}, {model.config.layout.type} layout"), output)
    typer.echo(f"\nWhich token shows which pixels is drawn in {output}. Try next:\n")
    given = "PHOTO" if picture is None else shlex.quote(str(picture))
    typer.echo(f"  vlkit layout {given} --layout 1D\n  vlkit describe deepseek-vl2-tiny --image-size 1024x768")
    typer.echo(f"  vlkit generate --model deepseek-ai/deepseek-vl2-tiny --image {given} --prompt 'What is this?'")


@contextmanager
def _repeatable() -> Iterator[None]:
    """Context with random numbers of its own, and one thread, which is fastest for tensors as small as these."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            yield
    finally:
        torch.set_num_threads(threads)


class Steps:
    """Prints what happened in each step and how long it took."""

    def begin(self) -> None:
        """Begin a step."""
        self._began = time.perf_counter()

    def done(self, name: str, result: str) -> None:
        """Report a step that is over; the next one begins."""
        seconds = time.perf_counter() - self._began
        typer.echo(f"  {name:<10}{seconds * 1000:8.1f} ms   {printable(result)}")
        self.begin()


def assemble(steps: Steps) -> DeepseekVLV2:
    """The preset "mini" with larger tiles, and a vocabulary of bytes."""
    from vlkit.models.deepseek_vl2.builder import DeepseekVLV2Builder
    from vlkit.processing import Tokenizer
    from vlkit.tiling import official_resolutions

    steps.begin()
    model = (
        DeepseekVLV2Builder("mini")
        .encoder("siglip", image_size=TILE, patch_size=8)
        .candidate_resolutions(*official_resolutions(TILE))
        .layout("2D", global_view="head")
        .decoder("deepseek_v2", vocab_size=len(Tokenizer.of_bytes()))
        .build()
        .eval()
    )
    config, count = model.config, sum(parameter.numel() for parameter in model.parameters())
    parts = (config.encoder.type, config.projector.type, config.layout.type, config.decoder.type)
    steps.done("assemble", f"{' -> '.join(parts)}, {count:,} parameters")
    return model


def follow(model: DeepseekVLV2, image: Image.Image, prompt: str, steps: Steps) -> str:
    """Answer to a question about a picture, with every step reported."""
    import torch

    from vlkit.models.deepseek_vl2.processor import DeepseekVLV2Processor

    steps.begin()
    config, processor = model.config, DeepseekVLV2Processor.for_model(model.config)
    asked = conversation(tagged(prompt, processor.config.image_token, pictures=1), None)
    tiling = config.tiling(image.size)
    plan = config.layout.plan(tiling.grid, config.grid)
    steps.done(
        "tiling", f"{image.width}x{image.height} fitted to {tiling.resolution}: {tiling.grid} tiles, global view"
    )
    batch = processor(conversations=asked, images=[image])
    pixels = batch.images[0]
    steps.done("pixels", f"pixels{_shape(pixels)}, the global view first")
    with torch.no_grad():
        x_NYXW = model.encoder(pixels)
        steps.done("vision", f"x_NYXW{_shape(x_NYXW)}, a grid of features per view")
        x_NYXD = model.projector(x_NYXW)
        steps.done(
            "projector", f"x_NYXD{_shape(x_NYXD)}, {config.projector.merge}x{config.projector.merge} merged to one"
        )
        x_LD = model.layout(x_NYXD, [tiling.grid])
        features = x_NYXD.shape[:3].numel()
        steps.done("layout", f"x_LD{_shape(x_LD)}: {features} features, {len(plan) - features} separators")
        x_BTD = model.decoder.embed(batch.input_ids).masked_scatter(batch.images_seq_mask[..., None], x_LD)
        text = int((~batch.images_seq_mask).sum())
        steps.done("prompt", f"x_BTD{_shape(x_BTD)}: {text} tokens of text around {len(x_LD)} of the picture")
        out = model.incremental_prefilling(inputs_embeds=x_BTD, chunk_size=CHUNK, cache="resident")
    assert out.cache is not None
    kib = out.cache.nbytes / 1024
    steps.done("prefill", f"{x_BTD.shape[1]} positions in chunks of {CHUNK}; {kib:.0f} KiB of cached latents")
    ids_BT = model.generate(
        input_ids=batch.input_ids,
        images_seq_mask=batch.images_seq_mask,
        cache=out.cache,
        max_new_tokens=NEW_TOKENS,
        temperature=1.0,
        seed=SEED,
        eos_token_id=(),
    )
    steps.done("decode", f"ids_BT{_shape(ids_BT)}, one after the other")
    return repr(printable(processor.decode(ids_BT[0])))


def _shape(tensor: Tensor) -> str:
    return str(list(tensor.shape))
