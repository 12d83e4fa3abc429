"""Libraries that are installed on demand: `pip install "vlkit[name]"`."""

from __future__ import annotations

import importlib
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vlkit.errors import ConfigError, VlkitError


def load_extra(library: str, *, extra: str | None = None, purpose: str | None = None) -> Any:
    """The module of an optional library.

    Args:
        library: its import name.
        extra: what installs it; None: the extra of the same name.
        purpose: what needs it, as the beginning of a sentence; None: a part that is one of its models.

    Raises:
        ConfigError: if it is not installed, or installed and cannot be imported.
    """
    rule, extra = f"{purpose} needs {library}" if purpose else f"this part is a model of {library}", extra or library
    try:
        return importlib.import_module(library)
    except ModuleNotFoundError as error:
        if error.name == library:
            raise ConfigError(
                f"{library} is not installed",
                rule=f"{rule}, which is optional",
                remedy=f'pip install "vlkit[{extra}]"',
            ) from None
        raise _broken(library, extra, rule, error) from error
    except Exception as error:  # whatever its own dependencies raise when their versions do not fit
        raise _broken(library, extra, rule, error) from error


@contextmanager
def refusals_of(library: str, what: str, *, error: type[VlkitError] = ConfigError) -> Iterator[None]:
    """Context in which whatever the library raises becomes this error about `what`."""
    try:
        yield
    except VlkitError:
        raise
    except Exception as reason:  # libraries raise what they like: TypeError, AssertionError, their own
        said = textwrap.shorten(f"{type(reason).__name__}: {reason}", 600)
        raise error(f"{what}: {said}", rule=f"{library} decides what its models take") from reason


def _broken(library: str, extra: str, rule: str, error: Exception) -> ConfigError:
    return ConfigError(
        f"{library} is installed, but its import fails: {type(error).__name__}: {error}",
        rule=rule,
        remedy=f'pip install --upgrade "vlkit[{extra}]", with a torchvision that fits torch if it names that',
    )
