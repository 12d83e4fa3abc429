"""Measurements that the documentation shows: `python -m benchmarks` makes them all, `--help` tells how."""
