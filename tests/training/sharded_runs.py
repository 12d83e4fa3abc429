"""The run of `runs.py` with weights that the processes share, which accelerate itself offers on accelerators only."""

import sys
from typing import Any

from accelerate import FullyShardedDataParallelPlugin
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType

from tests.training import runs
from vlkit.training import machine
from vlkit.training.sharding import is_sharded
from vlkit.training.trainer import Trainer

start, advance = machine.start, Trainer.advance


def start_sharded(**options: Any) -> Any:
    """As `machine.start`, and then as `accelerate launch` with FSDP2."""
    accelerator = start(**options)
    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2,
        auto_wrap_policy="transformer_based_wrap",
        transformer_cls_names_to_wrap=["DeepseekV2Layer"],
        cpu_ram_efficient_loading=False,
    )
    AcceleratorState._shared_state |= {"fsdp_plugin": plugin, "distributed_type": DistributedType.FSDP}
    PartialState._shared_state["distributed_type"] = DistributedType.FSDP
    return accelerator


def advance_sharded(self: Trainer) -> dict[str, float]:
    """As `Trainer.advance`, of a model that is in pieces."""
    assert is_sharded(self.model)
    return advance(self)


if __name__ == "__main__":
    machine.start = start_sharded
    Trainer.advance = advance_sharded  # type: ignore[method-assign]
    runs.main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
