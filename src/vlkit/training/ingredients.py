"""What a recipe asks for, found and checked before any weight is allocated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from vlkit.checkpoint import holds_weights
from vlkit.checkpoint.hub import resolve_folder
from vlkit.errors import ConfigError, TrainingError
from vlkit.models.auto import build, from_pretrained, load_processor, resolve_config
from vlkit.models.families import family_of
from vlkit.processing.processor import Processor
from vlkit.processing.tokenizer import Tokenizer
from vlkit.training.data import SourceConfig, sources
from vlkit.training.groups import Group, parameter_groups, trainable_table
from vlkit.training.lora import adapters_of, attach_adapters
from vlkit.training.part_weights import beginnings, load_parts, require_same_parts
from vlkit.training.recipe import Recipe
from vlkit.training.source import SampleSource
from vlkit.vlm import VLM
from vlkit.vlm_config import VLMConfig


@dataclass(frozen=True)
class Ingredients:
    """Everything a run needs, but for the weights.

    Args:
        config: of the model.
        make_model: gives the model, in float32 on the CPU.
        processor: of the model.
        source: what is learned from.
        held_out: what is only measured on; None: nothing.
        groups: parameters on "meta" that train and those that do not, as the recipe says.
    """

    config: VLMConfig
    make_model: Callable[[], VLM]
    processor: Processor[Any]
    source: SampleSource
    held_out: SampleSource | None
    groups: list[Group]

    @property
    def table(self) -> str:
        """What trains, as text."""
        return trainable_table(self.groups)


def gather(
    recipe: Recipe,
    *,
    source: SampleSource | None = None,
    held_out: SampleSource | None = None,
    model: VLM | None = None,
    processor: Processor[Any] | None = None,
    evaluated: bool = False,
) -> Ingredients:
    """Ingredients of a recipe; what is given from Python stands in for what the recipe leaves out.

    Args:
        recipe: of the run.
        source: in place of its `data`.
        held_out: in place of its `evaluation.data`.
        model: in place of its `model`.
        processor: in place of the one that belongs to the model.
        evaluated: whether a function of the user's measures too, so that there may be no samples to measure on.

    Raises:
        ConfigError: if something is missing, given twice, or does not fit.
    """
    require_one("model", recipe.model, model)
    require_one("data", recipe.data, source)
    if model is None:
        config = config_of(recipe)
        require_same_parts(config, recipe.parts)
        groups = groups_of(recipe, build(config, device="meta"))
    else:
        _require_float32(model)
        _require_no_beginnings(recipe)
        config, groups = model.config, groups_of(recipe, model)
    measured_on = recipe.evaluation.data if recipe.evaluation else None
    if recipe.evaluation is None and (held_out is not None or evaluated):
        raise ConfigError("something to measure, but no evaluation", remedy="add the table [evaluation] to the recipe")
    if recipe.evaluation is not None and not (evaluated and measured_on is None and held_out is None):
        require_one("evaluation.data", measured_on, held_out)
    return Ingredients(
        config=config,
        make_model=(lambda: make_model(recipe)) if model is None else (lambda: model),
        processor=processor or make_processor(recipe, config),
        source=source or _opened(recipe.data),
        held_out=held_out or (None if measured_on is None else _opened(measured_on)),
        groups=groups,
    )


def config_of(recipe: Recipe) -> VLMConfig:
    """Config of the recipe's model.

    Raises:
        ConfigError: if it names none, or it is not valid.
    """
    if recipe.model is None:
        raise ConfigError("model is missing", remedy="name it in the recipe")
    return resolve_config(recipe.model)


def make_model(recipe: Recipe) -> VLM:
    """Model of a recipe in float32: fresh weights that follow from the seed, or a checkpoint's, all or by part."""
    if _is_checkpoint(recipe.model):
        model = from_pretrained(str(recipe.model), dtype=torch.float32)
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            model = build(config_of(recipe), dtype=torch.float32)
    load_parts(model, recipe.parts)
    return model


def make_processor(recipe: Recipe, config: VLMConfig) -> Processor[Any]:
    """Processor of the recipe's model whose labels leave out what the user says.

    The tokenizer is the recipe's, or else that of the checkpoint that the decoder's weights come from.
    """
    if _is_checkpoint(recipe.model) and recipe.tokenizer is None:
        made = load_processor(str(recipe.model))
    else:
        named = recipe.tokenizer or beginnings(recipe.parts).get("decoder")
        tokenizer = None if named is None else Tokenizer.from_folder(resolve_folder(named, weights=False))
        made = family_of(config).processor_class().for_model(config, tokenizer)
    settings = made.config.replace(mask_prompt=True)
    return type(made)(made.tokenizer, settings, geometry=made.geometry, max_pixels=made.max_pixels)


def groups_of(recipe: Recipe, model: VLM) -> list[Group]:
    """Groups of a model's parameters as the recipe says, those of the adapters that it asks for among them."""
    if not adapters_of(model):
        attach_adapters(model, recipe.parts, seed=recipe.seed)
    return parameter_groups(model, recipe.parts, lr=recipe.optimizer.lr, weight_decay=recipe.optimizer.weight_decay)


def require_one(name: str, named: Any, given: Any) -> None:
    """Refuse what is missing, or both in the recipe and given from Python.

    Raises:
        ConfigError: naming it.
    """
    if (named is None) == (given is None):
        raise ConfigError(
            f"{name} is {'missing' if named is None else 'in the recipe and given from Python too'}",
            rule="it comes from one of the two",
            remedy=f"name it in the recipe ({name}), or pass it to train()",
        )


def _opened(config: SourceConfig | None) -> SampleSource:
    assert config is not None
    return sources.build(config)


def _is_checkpoint(model: Any) -> bool:
    return isinstance(model, str) and holds_weights(model)


def _require_no_beginnings(recipe: Recipe) -> None:
    for name, checkpoint in beginnings(recipe.parts).items():
        raise ConfigError(
            f"weights {checkpoint!r:.80} for the {name} of a model that is given from Python",
            rule="such a model has its weights",
            remedy=f"leave weights out of parts.{name}",
        )


def _require_float32(model: VLM) -> None:
    kinds = {parameter.dtype for parameter in model.parameters()} - {torch.float32}
    if kinds:
        raise TrainingError(
            f"the model has weights of {', '.join(sorted(map(str, kinds)))}",
            rule='weights are float32 while they train; precision = "bf16" computes in bfloat16',
            remedy="model.float()",
        )
