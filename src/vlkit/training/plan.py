"""What a run would do, told before anything is allocated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vlkit.processing.batching import Sample as Encoded
from vlkit.training.encoding import encode
from vlkit.training.ingredients import Ingredients
from vlkit.training.recipe import Recipe
from vlkit.training.sample import SampleError
from vlkit.vlm_config import VLMConfig

KEPT = 1.5
"""What a block keeps for the backward pass, as a multiple of the most that it holds at once without one (measured on
small models: 1.4 to 1.7)."""
LOOKED_AT = 16
"""Samples that the number of tokens is estimated from."""


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes of one process that holds the whole model.

    Args:
        weights: in float32.
        gradients: of what trains.
        moments: both moments of AdamW.
        activations: what the backward pass of one batch needs, an estimate; None where a part does not tell.
    """

    weights: int
    gradients: int
    moments: int
    activations: int | None

    @property
    def total(self) -> int:
        """All together."""
        return self.weights + self.gradients + self.moments + (self.activations or 0)


@dataclass(frozen=True)
class Plan:
    """A run before it begins; as text, what `vlkit train --dry-run` shows.

    Args:
        recipe: of the run.
        table: what trains.
        samples: in the source; None: without end.
        tokens_per_sample: mean of the first ones, and how many of them are image tokens.
        memory: of one process.
    """

    recipe: Recipe
    table: str
    samples: int | None
    tokens_per_sample: tuple[float, float]
    memory: TrainingMemory

    def __str__(self) -> str:
        recipe, (tokens, pictures) = self.recipe, self.tokens_per_sample
        learned = recipe.steps * recipe.accumulation * recipe.batching.batch_size
        epochs = "" if self.samples is None else f", {learned / self.samples:.2f} times all {self.samples:,}"
        batches = f"{recipe.accumulation} batches" if recipe.accumulation > 1 else "one batch"
        lines = [
            self.table,
            "",
            f"steps        {recipe.steps:,} of {batches} of {recipe.batching.batch_size} samples",
            f"samples      {learned:,}{epochs}",
            f"tokens       about {learned * tokens:,.0f}: {tokens:.0f} per sample, {pictures:.0f} of them for pictures",
            f"schedule     {recipe.schedule.type}, warm-up of {recipe.schedule.warmup:,} steps",
            f"precision    {recipe.precision}",
        ]
        memory = self.memory
        kept = "unknown" if memory.activations is None else f"about {_bytes(memory.activations)}"
        lines += [
            f"memory       about {_bytes(memory.total)} in one process: weights {_bytes(memory.weights)}, gradients "
            f"{_bytes(memory.gradients)},",
            f"             moments {_bytes(memory.moments)}, activations {kept}",
        ]
        return "\n".join(lines)


def make_plan(recipe: Recipe, found: Ingredients) -> Plan:
    """Plan of a run; the first samples are made and encoded, and nothing else is done.

    Raises:
        SampleError: if one of them cannot be used and none may be skipped.
    """
    encoded = _first(recipe, found)
    lengths = [len(sample.input_ids) for sample in encoded]
    pictures = sum(sum(sample.num_image_tokens) for sample in encoded)
    count = max(len(encoded), 1)
    training = sum(group.count for group in found.groups if group.trains)
    return Plan(
        recipe=recipe,
        table=found.table,
        samples=found.source.count,
        tokens_per_sample=(sum(lengths) / count, pictures / count),
        memory=TrainingMemory(
            weights=4 * sum(group.count for group in found.groups),
            gradients=4 * training,
            moments=8 * training,
            activations=_activations(recipe, found.config, encoded),
        ),
    )


def _first(recipe: Recipe, found: Ingredients) -> list[Encoded]:
    encoded = []
    for index in range(LOOKED_AT if found.source.count is None else min(LOOKED_AT, found.source.count)):
        try:
            longest = recipe.batching.max_length
            encoded.append(encode(found.processor, found.source.sample(index), max_length=longest))
        except SampleError:
            if recipe.batching.bad_samples == "refuse":
                raise
    return encoded


def _activations(recipe: Recipe, config: VLMConfig, encoded: Sequence[Encoded]) -> int | None:
    """Numbers that are kept for the backward pass of a batch, taken from the layers' own estimates."""
    if not encoded:
        return None
    size, share = 4 if recipe.precision == "fp32" else 2, recipe.batching.batch_size / len(encoded)
    longest = max(len(sample.input_ids) for sample in encoded)
    decoder, encoder = config.decoder, config.encoder
    layer, view = decoder.activation_bytes(longest, longest, size), encoder.activation_bytes(config.tile_size, size)
    if not layer or not view:
        return None
    views = share * sum(_views(sample) for sample in encoded)
    blocks: int = getattr(encoder, "blocks_run", getattr(encoder, "layers", 1))
    patches = encoder.grid_out(config.tile_size)
    features = size * encoder.feature_dim * patches.rows * patches.cols
    rows = recipe.batching.batch_size
    kept: float
    if recipe.gradient_checkpointing:
        kept = rows * (decoder.num_layers * longest * decoder.dim * size + layer) + views * (blocks * features + view)
    else:
        kept = KEPT * (rows * decoder.num_layers * layer + views * blocks * view)
    counted = share * sum(int((sample.labels != -100).sum()) for sample in encoded)
    return int(kept + 3 * 4 * counted * decoder.vocabulary)


def _views(sample: Any) -> int:
    return len(sample.images) + (0 if sample.global_views is None else len(sample.global_views))


def _bytes(count: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
