"""Mappings as TOML text, which Python itself can only read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from vlkit.errors import ConfigError

BARE = re.compile(r"[A-Za-z0-9_-]+")


def to_toml(content: Mapping[str, Any]) -> str:
    """TOML text of nested mappings, lists, texts and numbers; what is None is left out.

    Raises:
        ConfigError: if a list holds None.
    """
    return "\n".join(_table((), content)).strip("\n") + "\n"


def _table(path: tuple[str, ...], content: Mapping[str, Any]) -> Iterator[str]:
    tables = {name: value for name, value in content.items() if isinstance(value, Mapping)}
    plain = {name: value for name, value in content.items() if name not in tables and value is not None}
    if path and (plain or not tables):
        yield f"\n[{'.'.join(map(_key, path))}]"
    yield from (f"{_key(name)} = {_value(value)}" for name, value in plain.items())
    for name, value in tables.items():
        yield from _table((*path, name), value)


def _value(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case Mapping():
            inner = (f"{_key(name)} = {_value(each)}" for name, each in value.items() if each is not None)
            return "{" + ", ".join(inner) + "}"
        case None:
            raise ConfigError("None in a list cannot be written as TOML", remedy="leave it out of the list")
        case list() | tuple():
            return "[" + ", ".join(map(_value, value)) + "]"
        case _:
            return repr(value)


def _key(name: str) -> str:
    return name if BARE.fullmatch(name) else _value(name)
