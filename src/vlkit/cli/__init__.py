"""The command line, the only part of the library that prints; one file per command."""

from vlkit.cli.main import app

__all__ = ["app"]
