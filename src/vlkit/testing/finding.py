"""From what a command line names to the part that it means: `my_package.module:MyConfig`, or `projectors:linear`."""

from __future__ import annotations

import importlib
import importlib.util
import json
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from vlkit.config import Config
from vlkit.errors import InputError, did_you_mean
from vlkit.testing.checks import SUBJECTS
from vlkit.testing.law import told

RULE = "a part is named as module:Name, for instance my_package.gated:GatedConfig, or as kind:tag"


def find(name: str, settings: Sequence[str] = ()) -> Any:
    """Config or part that `name` names, with single fields set.

    Args:
        name: `module:Name` of a config class, a config or a part; or `kind:tag` of a registered one. Modules of the
            current directory are found.
        settings: `field=value`, the value as JSON, or else as text.

    Raises:
        InputError: if there is no such module or name, or the name is no part; the nearest is named.
        RegistryError: if the tag is unknown.
        ConfigError: if the fields are not valid.
    """
    fields = dict(map(_setting, settings))
    place, colon, last = name.partition(":")
    if not colon or not place or not last:
        raise InputError(f"{name!r:.80} names no part", rule=RULE, remedy=_names_of(place) if place else None)
    if place in SUBJECTS:
        return SUBJECTS[place].registry.resolve(last, **fields)
    found = _attribute(_module(place), last)
    if isinstance(found, type) and issubclass(found, Config):
        return found(**fields)
    if not fields:
        return found
    if isinstance(found, Config):
        return found.replace(**fields)
    raise InputError(f"fields are set on {name!r:.80}", rule="fields can be set on a config", remedy="name its config")


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise InputError(
            f"the setting {text!r:.80} is not known", rule="a setting is field=value", remedy="use_bias=false"
        )
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _attribute(module: ModuleType, path: str) -> Any:
    found: Any = module
    for step in path.split("."):
        try:
            found = getattr(found, step)
        except AttributeError:
            names = [name for name in dir(found) if not name.startswith("_")]
            raise InputError(
                f"{module.__name__!r} has no {path!r:.80}; {did_you_mean(step, _configs(found) or names)}", rule=RULE
            ) from None
    return found


def _configs(module: Any) -> list[str]:
    """Names of the config classes that a module defines."""
    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Config) and value.__module__ == module.__name__
    ]


def _module(name: str) -> ModuleType:
    with _current_directory_first():
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise _failed(name, error) from error
            raise InputError(
                f"there is no module {name!r:.80}; {did_you_mean(name, _near(name))}",
                rule=RULE,
                remedy=f"kinds are {', '.join(SUBJECTS)}; modules are looked for in the current directory, too",
            ) from None
        except Exception as error:
            raise _failed(name, error) from error


def _failed(name: str, error: Exception) -> InputError:
    return InputError(
        f"{name!r:.80} cannot be imported: {type(error).__name__}: {told(error, 300)}",
        remedy=f"see what python -c 'import {name}' says",
    )


def _near(name: str) -> Iterator[str]:
    """Modules and kinds that a name may have been meant for."""
    yield from SUBJECTS
    package, dot, _ = name.rpartition(".")
    paths: list[str] | None = [str(Path.cwd()), *sys.path]
    if package:
        try:
            paths = list(importlib.import_module(package).__path__)
        except (ImportError, AttributeError):
            paths, package, dot = [str(Path.cwd()), *sys.path], "", ""
    yield from (f"{package}{dot}{module.name}" for module in pkgutil.iter_modules(paths))


def _names_of(place: str) -> str | None:
    """Hint for a name without a colon that is a module or a kind."""
    if place in SUBJECTS:
        return f"for instance {place}:{next(iter(SUBJECTS[place].registry))}"
    with _current_directory_first():
        try:
            configs = _configs(importlib.import_module(place))
        except Exception:
            return None
    return f"{did_you_mean(place, [f'{place}:{name}' for name in configs])}" if configs else None


@contextmanager
def _current_directory_first() -> Iterator[None]:
    """Context in which modules of the current directory are found, as with `python -m`."""
    here = str(Path.cwd())
    added = here not in sys.path and "" not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        yield
    finally:
        if added and here in sys.path:
            sys.path.remove(here)
