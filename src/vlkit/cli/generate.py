"""`vlkit generate`: one answer of a checkpoint, streamed."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vlkit.cli import options
from vlkit.cli.grounding import draw_answer, require_drawable
from vlkit.cli.terminal import loading, write
from vlkit.errors import ContextLengthError, InputError

if TYPE_CHECKING:
    from vlkit.processing.processor import Processor
    from vlkit.vlm import VLM
    from vlkit.vlm_config import VLMConfig


def generate(
    model: options.Model,
    prompt: Annotated[str, typer.Option("--prompt", "-p", help="The question; - reads standard input.")],
    image: options.Images = None,
    system: options.System = None,
    stop: Annotated[list[str] | None, typer.Option(help="Text that ends the answer; repeat it for more.")] = None,
    max_new_tokens: options.MaxNewTokens = 512,
    temperature: options.Temperature = 0.0,
    top_k: options.TopK = None,
    top_p: options.TopP = None,
    repetition_penalty: options.RepetitionPenalty = 1.0,
    no_repeat_ngram_size: options.NoRepeatNgramSize = None,
    seed: options.Seed = None,
    dtype: options.ModelDtype = None,
    device: options.Device = None,
    cache: options.Cache = "resident",
    chunk_size: options.ChunkSize = 1024,
    revision: options.Revision = None,
    draw_boxes: Annotated[Path | None, typer.Option(help="PNG file for the picture with the answer's boxes.")] = None,
    font: Annotated[Path | None, typer.Option(help="Font file for names that are not in ASCII.")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Answer a question about pictures with a checkpoint; the answer goes to standard output as it comes.

    Write `<image>` in the prompt where each picture belongs; without any, all pictures come first.
    """
    from vlkit.cache import cache_policies
    from vlkit.generation import SamplingConfig
    from vlkit.processing import load

    sampling = SamplingConfig(
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        repetition_penalty=repetition_penalty,
        no_repeat_ngram_size=no_repeat_ngram_size,
        seed=seed,
    )
    policy, place = cache_policies.resolve(cache), options.torch_device(device)
    if draw_boxes is not None:
        require_drawable(draw_boxes, len(image or ()), font)
    processor, config = open_processor(model, revision=revision)
    text = sys.stdin.read() if prompt == "-" else prompt
    asked = tagged(text, processor.config.image_token, pictures=len(image or ()))
    batch = processor(conversations=conversation(asked, system), images=list(image or ()))
    require_room(config, batch.num_image_tokens[0], length=batch.input_ids.shape[1], new=max_new_tokens)

    loaded = open_model(model, revision=revision, dtype=dtype, device=place)
    started, kv_cache = time.perf_counter(), loaded.open_cache(policy)
    pieces = loaded.stream(
        processor.tokenizer,
        stop=stop or (),
        max_new_tokens=max_new_tokens,
        cache=kv_cache,
        chunk_size=chunk_size,
        **sampling.model_dump(),
        **batch.to(place),
    )
    answer = ""
    for piece in pieces:
        answer += piece
        if not as_json:
            write(piece)
    seconds = round(time.perf_counter() - started, 3)
    if not as_json:
        write("\n")
    boxes: dict[str, Any] = {}
    if draw_boxes is not None and image:
        picture = load(image[0], max_pixels=processor.max_pixels, upright=processor.upright)
        boxes = draw_answer(answer, picture, draw_boxes, font=font)
    if not as_json:
        return
    report = {
        "text": answer,
        "prompt_tokens": batch.input_ids.shape[1],
        "image_tokens": batch.num_image_tokens[0],
        "new_tokens": kv_cache.length + 1 - batch.input_ids.shape[1],
        "seconds": seconds,
        **boxes,
    }
    typer.echo(json.dumps(report, indent=2, ensure_ascii=False))


def open_processor(model: str, *, revision: str | None) -> tuple[Processor[Any], VLMConfig]:
    """Processor and config of a checkpoint; of one on the hub only its small files are fetched."""
    from vlkit.checkpoint.hub import resolve_folder
    from vlkit.models.auto import load_processor, resolve_config

    folder = resolve_folder(model, revision=revision, weights=False)
    return load_processor(folder), resolve_config(folder)


def open_model(model: str, *, revision: str | None, dtype: options.Dtype | None, device: Any) -> VLM:
    """Model of a checkpoint, with a progress bar if somebody looks."""
    from vlkit.models.auto import from_pretrained

    with loading(Path(model).name) as report:
        return from_pretrained(
            model, revision=revision, dtype=options.torch_dtype(dtype), device=device, progress=report
        )


def tagged(prompt: str, image_token: str, *, pictures: int) -> str:
    """Prompt with one tag per picture: its own, or all of them in front if it has none.

    Raises:
        InputError: if it has tags, but not as many as there are pictures.
    """
    tags = prompt.count(image_token)
    if tags == 0:
        return "\n".join([*[image_token] * pictures, prompt])
    if tags != pictures:
        raise InputError(
            f"{tags} {image_token} in the prompt for {pictures} pictures",
            rule=f"every {image_token} stands for one picture",
            remedy="write one where each picture belongs, or none at all",
        )
    return prompt


def conversation(prompt: str, system: str | None) -> list[dict[str, str]]:
    """Conversation in the official form, up to the answer."""
    first = [{"role": "system", "content": system}] if system else []
    return [*first, {"role": "<|User|>", "content": prompt}, {"role": "<|Assistant|>", "content": ""}]


def require_room(config: VLMConfig, image_tokens: list[int], *, length: int, new: int) -> None:
    """Refuse what is longer than the model's positions, while no weights are loaded yet."""
    limit = config.decoder.max_positions
    if limit is not None and length + new - 1 > limit:
        raise ContextLengthError(
            f"the prompt has {length} tokens, {sum(image_tokens)} of them for {len(image_tokens)} pictures, and "
            f"{new} new ones are asked for",
            rule=f"this model has {limit} positions",
            remedy="lower --max-new-tokens, shorten the prompt, or give fewer or smaller pictures",
        )
