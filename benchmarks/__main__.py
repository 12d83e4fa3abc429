"""All benchmarks of this machine, one after the other, then the tables and charts of the documentation.

python -m benchmarks [--when-quiet] [--only decoders --only layout] [options of a benchmark, such as --rounds 3]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

import torch

from benchmarks import tables
from benchmarks.frame import ROOT

MODULES = ("decoders", "compiled", "whole_path", "layout", "loading")
QUIET, SECONDS = 0.6, 120
"""Load below which the machine is quiet, and how long it has to be."""


def wait_until_quiet() -> None:
    """Return once the load of a minute has been low for two minutes in a row."""
    since = time.monotonic()
    while time.monotonic() - since < SECONDS:
        load = os.getloadavg()[0]
        if load >= QUIET:
            since = time.monotonic()
        print(f"load {load:.2f}, quiet for {time.monotonic() - since:.0f} s", file=sys.stderr, flush=True)
        time.sleep(10)


def main() -> None:
    """Command line."""
    known = MODULES + (("gpu",) if torch.cuda.is_available() else ())
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--when-quiet", action="store_true", help="wait until nothing else runs")
    parser.add_argument("--only", action="append", choices=known, help="only this one; repeat it for more")
    given, rest = parser.parse_known_args()
    if given.when_quiet:
        wait_until_quiet()
    for module in given.only or known:
        subprocess.run([sys.executable, "-m", f"benchmarks.{module}", *rest], check=True, cwd=ROOT)
    tables.main()


if __name__ == "__main__":
    main()
