"""Training: recipes, the loop and its checkpoints; samples, sources and batches; what trains and what is frozen."""

from typing import TYPE_CHECKING

from vlkit.lazy import lazy_names

if TYPE_CHECKING:
    from vlkit.training.adapter_files import load_adapters, save_adapters
    from vlkit.training.adapter_reach import reached_layers
    from vlkit.training.batching import Batches
    from vlkit.training.batching_config import BatchingConfig
    from vlkit.training.data import AnySource, JsonLinesConfig, MixtureConfig, SourceConfig, sources
    from vlkit.training.expert_statistics import ExpertStatistics
    from vlkit.training.groups import Group, parameter_groups, trainable_table
    from vlkit.training.ingredients import Ingredients, gather
    from vlkit.training.json_lines import JsonLines
    from vlkit.training.launch import TrainingResult, train
    from vlkit.training.lora import attach_adapters, merge_adapters
    from vlkit.training.lora_config import LoraConfig
    from vlkit.training.optimizer import AdamWConfig
    from vlkit.training.order import Order
    from vlkit.training.overrides import parse_value, with_overrides
    from vlkit.training.parts import PartTraining
    from vlkit.training.plan import Plan, TrainingMemory, make_plan
    from vlkit.training.progress import Progress
    from vlkit.training.recipe import BalanceConfig, EvaluationConfig, Recipe
    from vlkit.training.recomputation import recomputed_blocks
    from vlkit.training.run_folder import RunFolder
    from vlkit.training.sample import Sample, SampleError
    from vlkit.training.schedule import ConstantSchedule, CosineSchedule, LinearSchedule, StepSchedule
    from vlkit.training.source import FromIterable, Mixture, SampleSource
    from vlkit.training.training_batch import Skipped, TrainingBatch

_HOMES = {
    "vlkit.training.adapter_files": ("load_adapters", "save_adapters"),
    "vlkit.training.adapter_reach": ("reached_layers",),
    "vlkit.training.batching": ("Batches",),
    "vlkit.training.batching_config": ("BatchingConfig",),
    "vlkit.training.data": ("AnySource", "JsonLinesConfig", "MixtureConfig", "SourceConfig", "sources"),
    "vlkit.training.expert_statistics": ("ExpertStatistics",),
    "vlkit.training.ingredients": ("Ingredients", "gather"),
    "vlkit.training.json_lines": ("JsonLines",),
    "vlkit.training.launch": ("TrainingResult", "train"),
    "vlkit.training.lora": ("attach_adapters", "merge_adapters"),
    "vlkit.training.lora_config": ("LoraConfig",),
    "vlkit.training.optimizer": ("AdamWConfig",),
    "vlkit.training.order": ("Order",),
    "vlkit.training.overrides": ("parse_value", "with_overrides"),
    "vlkit.training.groups": ("Group", "parameter_groups", "trainable_table"),
    "vlkit.training.parts": ("PartTraining",),
    "vlkit.training.plan": ("Plan", "TrainingMemory", "make_plan"),
    "vlkit.training.progress": ("Progress",),
    "vlkit.training.recipe": ("BalanceConfig", "EvaluationConfig", "Recipe"),
    "vlkit.training.recomputation": ("recomputed_blocks",),
    "vlkit.training.run_folder": ("RunFolder",),
    "vlkit.training.sample": ("Sample", "SampleError"),
    "vlkit.training.schedule": ("ConstantSchedule", "CosineSchedule", "LinearSchedule", "StepSchedule"),
    "vlkit.training.source": ("FromIterable", "Mixture", "SampleSource"),
    "vlkit.training.training_batch": ("Skipped", "TrainingBatch"),
}

__all__ = [
    "AdamWConfig",
    "AnySource",
    "BalanceConfig",
    "Batches",
    "BatchingConfig",
    "ConstantSchedule",
    "CosineSchedule",
    "EvaluationConfig",
    "ExpertStatistics",
    "FromIterable",
    "Group",
    "Ingredients",
    "JsonLines",
    "JsonLinesConfig",
    "LinearSchedule",
    "LoraConfig",
    "Mixture",
    "MixtureConfig",
    "Order",
    "PartTraining",
    "Plan",
    "Progress",
    "Recipe",
    "RunFolder",
    "Sample",
    "SampleError",
    "SampleSource",
    "Skipped",
    "SourceConfig",
    "StepSchedule",
    "TrainingBatch",
    "TrainingMemory",
    "TrainingResult",
    "attach_adapters",
    "gather",
    "load_adapters",
    "make_plan",
    "merge_adapters",
    "parameter_groups",
    "parse_value",
    "reached_layers",
    "recomputed_blocks",
    "save_adapters",
    "sources",
    "train",
    "trainable_table",
    "with_overrides",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
