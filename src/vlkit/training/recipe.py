"""All that decides what a training run does."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from vlkit.config import Config, Count
from vlkit.errors import ConfigError
from vlkit.training.batching_config import BatchingConfig
from vlkit.training.data import AnySource
from vlkit.training.optimizer import AdamWConfig
from vlkit.training.parts import PartTraining
from vlkit.training.schedule import AnySchedule, CosineSchedule
from vlkit.vlm_config import VLMConfig


class BalanceConfig(Config):
    """How the load of experts is balanced; the weight of the balance loss is the model's (`aux_loss_alpha`)."""

    speed: float = Field(default=0.001, ge=0, le=1)
    """Change per step of the correction bias of `noaux_tc` routers; 0 leaves it as it is."""
    statistics: bool = True
    """Whether the metrics tell how evenly the experts are used."""


class EvaluationConfig(Config):
    """Measuring on samples that are not learned from."""

    data: AnySource | None = None
    """Where they come from; None: given from Python."""
    every: int = Field(default=500, ge=1)
    """Steps from one evaluation to the next; the last step has one too."""
    samples: int = Field(default=256, ge=1, le=2**24)
    """Number of samples, from the first on; fewer if there are fewer."""


class Recipe(Config):
    """A training run: model, data, and how the one learns from the other."""

    model: str | dict[str, Any] | None = None
    """Preset with fresh weights, folder of a checkpoint to go on from, config file, or a config as a table; None: a
    model is given from Python."""
    tokenizer: str | None = None
    """Folder of a tokenizer for a model with fresh weights, or a checkpoint's; None: that of the checkpoint that the
    decoder's weights come from, or one token per byte."""
    data: AnySource | None = None
    """What is learned from; None: a source is given from Python."""
    batching: BatchingConfig = BatchingConfig()
    """How samples become batches."""
    parts: dict[str, PartTraining] = Field(default_factory=dict)
    """Which parts train, at which rate and decay, and where adapters are; parts that are not named train."""
    optimizer: AdamWConfig = AdamWConfig()
    """AdamW's rates and moments."""
    schedule: AnySchedule = CosineSchedule()
    """Learning rate over the run; of type "cosine" unless it names another."""
    steps: int = Field(ge=1, le=2**30)
    """Optimisation steps."""
    accumulation: Count = 1
    """Batches per step."""
    clip: float = Field(default=1.0, ge=0)
    """Largest norm of the gradient; 0: whatever it is."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Type that the passes compute in where that is safe; the weights are float32 always."""
    gradient_checkpointing: bool = False
    """Whether the backward pass runs every block of encoder and decoder again, to save memory."""
    balance: BalanceConfig = BalanceConfig()
    """Balance of the experts."""
    evaluation: EvaluationConfig | None = None
    """Measuring on the way; None: none."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """Decides fresh weights, the order of the samples, and all other chance."""
    device: Literal["auto", "cpu"] = "auto"
    """Where the model trains; "auto": on a GPU if there is one."""
    log_every: int = Field(default=10, ge=1)
    """Steps per row of the metrics."""
    save_every: int = Field(default=500, ge=1)
    """Steps per checkpoint; the last step has one too."""
    keep: int = Field(default=2, ge=1)
    """Checkpoints that stay."""

    @field_validator("model", mode="before")
    @classmethod
    def _as_table(cls, model: Any) -> Any:
        return model.model_dump(mode="json", exclude_defaults=True) if isinstance(model, VLMConfig) else model

    @field_validator("schedule", mode="before")
    @classmethod
    def _cosine_unless_named(cls, schedule: Any) -> Any:
        return {"type": "cosine", **schedule} if isinstance(schedule, dict) else schedule

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        if self.schedule.warmup > self.steps:
            raise ConfigError(
                f"schedule.warmup {self.schedule.warmup} in {self.steps} steps",
                rule="the warm-up is a part of the steps",
                remedy="shorten it, or train longer",
            )
        if self.tokenizer is not None and self.model is None:
            raise ConfigError(f"tokenizer {self.tokenizer!r} without a model", rule="it is that of the recipe's model")
        return self


FREE = frozenset({"log_every", "save_every", "keep", "device"})
"""Fields that may differ when a run is resumed: they change no weight."""
