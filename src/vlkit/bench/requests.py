"""The request that a model is timed with: pictures, text and answer, and what each stage of it takes at least."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from vlkit.bench.floor import Work
from vlkit.description import Description, describe
from vlkit.description.unknown import multiply
from vlkit.errors import ContextLengthError, InputError
from vlkit.notation import Size
from vlkit.processing.image import load
from vlkit.vlm_config import VLMConfig


@dataclass(frozen=True)
class Request:
    """One sample.

    Args:
        image_sizes: width and height of each picture.
        prompt_tokens: tokens of the text.
        new_tokens: tokens of the answer, 2 or more: the first one ends the prefill, the others are decoded.
        cache: tag of the cache policy.
        chunk_size: positions per pass of the prefill; None: all at once.

    Raises:
        InputError: if there is no prompt, or no token to decode.
    """

    image_sizes: tuple[Size, ...] = (Size(1024, 768),)
    prompt_tokens: int = 64
    new_tokens: int = 64
    cache: str = "resident"
    chunk_size: int | None = None

    def __post_init__(self) -> None:
        if self.new_tokens < 2:
            raise InputError(
                f"new_tokens {self.new_tokens}",
                rule="decoding is timed on the tokens behind the first one",
                remedy="ask for 2 or more",
            )
        if self.prompt_tokens < 0 or not (self.prompt_tokens or self.image_sizes):
            raise InputError(
                f"{len(self.image_sizes)} pictures and {self.prompt_tokens} tokens of text",
                rule="a prompt has at least one token",
            )

    def describe(
        self, config: VLMConfig, dtype: torch.dtype | None = None, *, new_tokens: int | None = None
    ) -> Description:
        """What the request costs a model, by arithmetic.

        Args:
            config: the whole model.
            dtype: type of weights, activations and cache; None: bfloat16.
            new_tokens: tokens of the answer; None: the request's.

        Raises:
            ContextLengthError: if the decoder has fewer positions.
        """
        about = describe(
            config,
            image_sizes=self.image_sizes,
            prompt_tokens=self.prompt_tokens,
            new_tokens=self.new_tokens if new_tokens is None else new_tokens,
            dtype=dtype or torch.bfloat16,
            cache=self.cache,
        )
        if about.context.exceeded:
            raise ContextLengthError(
                f"the request takes {about.context.positions} positions",
                rule=f"the decoder has {about.context.limit} (max_position_embeddings)",
                remedy="ask for fewer tokens or smaller pictures, or raise max_position_embeddings",
            )
        return about

    def work(self, config: VLMConfig, dtype: torch.dtype) -> Mapping[str, Work]:
        """Least work of each stage that multiplies matrices; for decoding that of a token halfway.

        Bytes are the weights, each read once (of the experts only those that one token uses), and in decoding the
        cache. What moves between parts, activations and scores are left out.
        """
        about = self.describe(config, dtype, new_tokens=self.new_tokens // 2 + 1)
        parameters, flops, size = about.parameters, about.flops, dtype.itemsize
        encoder, projector, decoder = (parameters[name] for name in ("encoder", "projector", "decoder"))
        used = None if encoder.total is None else encoder.total - encoder.unused
        vision = {
            "vision": Work(flops.encoder, multiply(size, used)),
            "projector": Work(flops.projector, multiply(size, projector.total)),
        }
        return (vision if self.image_sizes else {}) | {
            "prefill": Work(flops.prefill, multiply(size, decoder.active)),
            "decode": Work(flops.decode, about.memory.read_per_token),
        }

    def pictures(self) -> list[bytes]:
        """JPEG files of these sizes: a colour gradient with some noise, the same ones every time."""
        return [_jpeg(size, seed) for seed, size in enumerate(self.image_sizes)]


def _jpeg(size: Size, seed: int) -> bytes:
    noise = torch.rand(3, size.height, size.width, generator=torch.Generator().manual_seed(seed))
    down, across = torch.linspace(0, 1, size.height)[:, None], torch.linspace(0, 1, size.width)[None]
    smooth = torch.stack([down.expand(-1, size.width), across.expand(size.height, -1), (down + across) / 2])
    file = io.BytesIO()
    load(((0.9 * smooth + 0.1 * noise) * 255).to(torch.uint8)).save(file, format="JPEG", quality=90)
    return file.getvalue()
