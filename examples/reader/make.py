"""Make the reader from nothing, in one command: `python examples/reader/make.py OUTPUT`.

First `see.py` teaches encoder and projector alone, then `train.py` the whole model, each on as many processes as there
are cores. A run that was stopped goes on with the same command: behind the first part, or from the last checkpoint of
the second. `ship.py OUTPUT/run` puts the result into the library.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ONE_THREAD_EACH = {
    "OMP_NUM_THREADS": "1",
    # glibc keeps the memory of one step for the next, where it would give it back and fetch it again
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "4000000000",
    "MALLOC_TRIM_THRESHOLD_": "16000000000",
    "MALLOC_TOP_PAD_": "500000000",
}


def main() -> None:
    """See, then read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--recipe", type=Path, default=HERE / "recipe.toml")
    parser.add_argument("--pictures", type=int, default=140_000, help="that encoder and projector learn from alone")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    eyes, unfinished = given.output / "eyes", given.output / "eyes-unfinished"
    given.output.mkdir(parents=True, exist_ok=True)
    if not eyes.is_dir():
        options = ("--recipe", given.recipe, "--pictures", given.pictures)
        run("see.py", unfinished, *options, processes=given.processes)
        unfinished.rename(eyes)
    run("train.py", given.output / "run", "--begin", eyes, "--recipe", given.recipe, processes=given.processes)


def run(script: str, *options: object, processes: int) -> None:
    """Run a script beside this one; where it fails, so does this."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", str(processes)]
    subprocess.run([*launch, str(HERE / script), *map(str, options)], check=True, env={**ONE_THREAD_EACH, **os.environ})


if __name__ == "__main__":
    main()
