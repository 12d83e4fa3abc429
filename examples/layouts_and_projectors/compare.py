"""Layouts and projectors on reading printed text: `python examples/layouts_and_projectors/compare.py OUTPUT`.

Twenty runs of a few minutes on one core; a study that was stopped goes on with the same command.
"""

import sys
from pathlib import Path

from vlkit.comparison import compare
from vlkit.comparison.running import StudyProgress

HERE = Path(__file__).parent


def show(progress: StudyProgress) -> None:
    """One line at the beginning of each run."""
    if progress.training is None or progress.training.step == 1:
        print(f"run {progress.run} of {progress.runs}: {progress.variant}, seed {progress.seed}", flush=True)


if __name__ == "__main__":
    comparison = compare(
        HERE / "recipe.toml",
        {
            "layout": ["2D", "1D", "plain"],
            "projector": ["downsample_mlp_gelu", {"type": "average_pool", "grid": [3, 7]}, "linear"],
        },
        output=sys.argv[1],
        seeds=4,
        grid=False,
        metrics=["exact_match", "character_error_rate"],
        max_new_tokens=8,
        on_progress=show,
    )
    print(comparison.table())
