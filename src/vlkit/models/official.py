"""Official `config.json` files: every key known by name, every contradiction refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from vlkit.errors import ConfigError, did_you_mean


def complete(
    given: Mapping[str, Any], defaults: Mapping[str, Any], *, prefix: str, unused: Collection[str]
) -> dict[str, Any]:
    """All fields of a section, those that it leaves out with their defaults.

    Args:
        given: what the file says.
        defaults: fields of the official class with their defaults.
        prefix: path of the section, with a dot at its end, for the message.
        unused: keys that official files hold without effect; they are left out.

    Raises:
        ConfigError: naming a key that is none of these, and the nearest field.
    """
    for name in given:
        if name not in defaults and name not in unused:
            raise ConfigError(
                f"{prefix}{name} is not a field of the official config; {did_you_mean(name, defaults)}",
                rule="every key is known by name, so that none is ignored by mistake",
                remedy="correct or remove it",
            )
    return {name: given.get(name, default) for name, default in defaults.items()}


def section(fields: Mapping[str, Any], name: str, *, prefix: str = "") -> Mapping[str, Any]:
    """A section of a file.

    Raises:
        ConfigError: if it is no mapping.
    """
    found = fields[name]
    require(isinstance(found, Mapping), f"{prefix}{name} is a {type(found).__name__}", "it is a mapping")
    return dict(found)


def require(holds: bool, problem: str, rule: str, remedy: str | None = None) -> None:
    """Refuse an official file unless the rule holds.

    Raises:
        ConfigError: naming the problem.
    """
    if not holds:
        raise ConfigError(problem, rule=rule, remedy=remedy)


def require_official(holds: bool, path: str, value: Any) -> None:
    """Refuse to write what the official code has no field for.

    Raises:
        ConfigError: naming the field of ours and its value.
    """
    require(
        holds,
        f"{path} {value!r} cannot be written to an official config.json",
        "the official code has no field for it",
        "save in vlkit's own format, or use the official parts",
    )
