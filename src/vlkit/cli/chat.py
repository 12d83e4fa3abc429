"""`vlkit chat`: a conversation with a checkpoint, about pictures that are added on the way."""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlkit.cli import options
from vlkit.cli.generate import open_model, open_processor
from vlkit.cli.terminal import console, show_error, write
from vlkit.errors import InputError, VlkitError, did_you_mean

if TYPE_CHECKING:
    from vlkit.cache import CachePolicyConfig
    from vlkit.processing import Picture, ProcessorOutput
    from vlkit.processing.processor import Processor
    from vlkit.vlm import VLM

COMMANDS = ("/image", "/reset", "/exit")


def chat(
    model: options.Model,
    image: options.Images = None,
    system: options.System = None,
    max_new_tokens: options.MaxNewTokens = 512,
    temperature: options.Temperature = 0.0,
    top_p: options.TopP = None,
    repetition_penalty: options.RepetitionPenalty = 1.0,
    seed: options.Seed = None,
    dtype: options.ModelDtype = None,
    device: options.Device = None,
    cache: options.Cache = "resident",
    chunk_size: options.ChunkSize = 1024,
    revision: options.Revision = None,
) -> None:
    """Talk with a checkpoint. /image FILE adds a picture to the next question, /reset forgets all, /exit ends.

    Lines are read from standard input, so that a file of questions can be piped in. Ctrl-C ends an answer.
    """
    from vlkit.cache import cache_policies
    from vlkit.generation import SamplingConfig
    from vlkit.processing import load

    sampling = SamplingConfig(temperature=temperature, top_p=top_p, repetition_penalty=repetition_penalty, seed=seed)
    policy, place = cache_policies.resolve(cache), options.torch_device(device)
    pictures = [load(path) for path in image or ()]
    processor, _ = open_processor(model, revision=revision)
    loaded = open_model(model, revision=revision, dtype=dtype, device=place)
    settings = {**sampling.model_dump(), "max_new_tokens": max_new_tokens, "chunk_size": chunk_size}
    talk = Chat(loaded, processor, system=system, cache=policy, settings=settings)
    for picture in pictures:
        talk.show(picture)
    if sys.stdin.isatty():
        console(stderr=True).print(
            f"{', '.join(COMMANDS[:-1])} or {COMMANDS[-1]}; pictures count for the next question"
        )
    while (line := _read_line()) not in (None, "/exit"):
        try:
            _obey(talk, line or "")
        except VlkitError as error:
            show_error(error)


def _read_line() -> str | None:
    """Next line without outer spaces; None at the end of the input."""
    try:
        return input("> " if sys.stdin.isatty() else "").strip()
    except (EOFError, KeyboardInterrupt):
        if sys.stdin.isatty():
            write("\n")
        return None


def _obey(talk: Chat, line: str) -> None:
    command, _, argument = line.partition(" ")
    if command == "/image":
        talk.show(Path(argument.strip()).expanduser())
    elif command == "/reset":
        talk.reset()
    elif command.startswith("/"):
        raise InputError(f"there is no command {command!r:.80}; {did_you_mean(command, COMMANDS)}")
    elif line:
        try:
            for piece in talk.ask(line):
                write(piece)
        except KeyboardInterrupt:
            pass
        write("\n")


class Chat:
    """A conversation whose beginning stays in the KV cache from turn to turn.

    Args:
        model: the model.
        processor: its processor.
        system: system message.
        cache: policy of the KV cache.
        settings: of `generate_ids`.
    """

    def __init__(
        self,
        model: VLM,
        processor: Processor[Any],
        *,
        system: str | None,
        cache: str | CachePolicyConfig,
        settings: dict[str, Any],
    ) -> None:
        self._model, self._processor, self._settings = model, processor, settings
        self._system = [{"role": "system", "content": system}] if system else []
        self._cache = model.open_cache(cache)
        self.reset()

    def reset(self) -> None:
        """Forget turns and pictures."""
        self.turns: list[dict[str, str]] = [*self._system]
        self._pictures: list[Any] = []
        self._new = 0
        self._cached: tuple[list[int], list[Any]] = ([], [])
        self._cache.crop(0)

    def show(self, picture: Picture) -> None:
        """Add a picture, in any form that the processor takes, to the next question."""
        from vlkit.processing import load

        self._pictures.append(load(picture))
        self._new += 1

    def ask(self, question: str) -> Generator[str, None, None]:
        """The answer, piece by piece; an answer that is not read to its end is kept as far as it was read.

        Raises:
            InputError: if the question holds an image tag.
            ContextLengthError: if the conversation is longer than the model's positions.
        """
        tag = self._processor.config.image_token
        if tag in question:
            raise InputError(f"the question holds {tag}", rule="pictures are added with /image FILE")
        asked = {"role": "<|User|>", "content": "\n".join([*[tag] * self._new, question])}
        turns = [*self.turns, asked, {"role": "<|Assistant|>", "content": ""}]
        batch = self._processor(conversations=turns, images=self._pictures)
        self._keep_common_beginning(batch)
        pieces = self._model.stream(
            self._processor.tokenizer, cache=self._cache, **self._settings, **batch.to(self._model.device)
        )
        said: list[str] = []
        try:
            for piece in pieces:
                said.append(piece)
                yield piece
        finally:
            if said:
                answer = "".join(said).replace(tag, "")
                self.turns = [*self.turns, asked, {"role": "<|Assistant|>", "content": answer}]
                self._new = 0

    def _keep_common_beginning(self, batch: ProcessorOutput) -> None:
        """Cut the cache to the positions that the next prompt shares; a picture that is cut anew shares none."""
        ids, tilings = batch.input_ids[0].tolist(), batch.tilings[0]
        old_ids, old_tilings = self._cached
        common = 0
        if tilings[: len(old_tilings)] == old_tilings:
            pairs = enumerate(zip(old_ids, ids, strict=False))
            common = next((place for place, (old, new) in pairs if old != new), min(len(old_ids), len(ids)))
        self._cache.crop(common)
        self._cached = (ids, tilings)
