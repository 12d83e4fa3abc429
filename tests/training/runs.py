"""A run small enough to be repeated: two colours to be told apart by a tiny model, also as a script for processes."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any
from unittest import mock

from PIL import Image

from vlkit.decoders import DeepseekV2Config, MLAConfig, MoEConfig
from vlkit.encoders import SigLIPConfig
from vlkit.files import write_json
from vlkit.layouts import Layout2DConfig
from vlkit.models.deepseek_vl2.config import DeepseekVLV2Config
from vlkit.projectors import DownsampleMlpGeluConfig
from vlkit.training import Recipe, Sample, TrainingResult, checkpoints, train
from vlkit.training.source import FromIterable

MODEL = DeepseekVLV2Config(
    encoder=SigLIPConfig(image_size=8, patch_size=4, width=16, heads=2, layers=2, mlp_ratio=2.0),
    projector=DownsampleMlpGeluConfig(),
    layout=Layout2DConfig(),
    decoder=DeepseekV2Config(
        vocab_size=270,
        hidden_size=16,
        num_hidden_layers=2,
        intermediate_size=24,
        attention=MLAConfig(
            num_attention_heads=2, kv_lora_rank=8, qk_nope_head_dim=4, qk_rope_head_dim=4, v_head_dim=4
        ),
        moe=MoEConfig(
            n_routed_experts=4,
            num_experts_per_tok=2,
            moe_intermediate_size=8,
            n_shared_experts=1,
            first_k_dense_replace=1,
            scoring_func="sigmoid",
            topk_method="noaux_tc",
            norm_topk_prob=True,
        ),
        max_position_embeddings=256,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    ),
    candidate_resolutions=((8, 8), (16, 8)),
)
COLORS = {"red": (220, 20, 20), "blue": (20, 20, 220), "dark green": (0, 90, 20)}


def samples(count: int = 9) -> FromIterable:
    """Pictures of one colour, and its name; widths differ, so that some are cut."""
    names = list(COLORS)
    return FromIterable(
        Sample(
            ({"role": "<|User|>", "content": "<image>\n?"}, {"role": "<|Assistant|>", "content": names[index % 3]}),
            (Image.new("RGB", (8 + 8 * (index % 2), 8), COLORS[names[index % 3]]),),
            f"sample {index}",
        )
        for index in range(count)
    )


def recipe(**fields: Any) -> Recipe:
    """Twelve steps of four samples, with a checkpoint after every fourth and a row after every third."""
    given = {
        "model": MODEL,
        "steps": 12,
        "batching": {"batch_size": 4},
        "optimizer": {"lr": 0.02},
        "schedule": {"type": "cosine", "warmup": 2},
        "evaluation": {"every": 6, "samples": 5},
        "log_every": 3,
        "save_every": 4,
        "seed": 3,
        "device": "cpu",
    }
    return Recipe.model_validate(given | fields)


def run(output: Path, **fields: Any) -> TrainingResult:
    """A run with these fields in place of the usual ones."""
    chosen = recipe(**fields)
    return train(chosen, output=output, source=samples(), held_out=samples() if chosen.evaluation else None)


def measured(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without the time that they took."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def main(output: str, die_at: int, fields: str) -> None:
    """Run in this process, which kills itself while it writes the checkpoint of a step, or prints the rows."""

    def write_or_die(path: Path, data: Any) -> None:
        if data["step"] == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        write_json(path, data)

    with mock.patch.object(checkpoints, "write_json", write_or_die):
        result = train(recipe(**json.loads(fields)), output=output, source=samples(), held_out=samples())
    if os.environ.get("RANK", "0") == "0":
        print(json.dumps(measured(result.history)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
