"""Fields of a config class as data for people: names, types, limits, defaults, docstrings."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from vlkit.config import Config

LIMITS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


def describe_config(config_class: type[Config]) -> dict[str, Any]:
    """Name, docstring and fields of a config class, and the config classes that its fields may hold."""
    return {
        "config": f"{config_class.__module__}.{config_class.__qualname__}",
        "about": inspect.cleandoc(config_class.__doc__ or ""),
        "fields": [_field(name, field) for name, field in config_class.model_fields.items() if name != "type"],
        "nested": [describe_config(inner) for inner in _nested(config_class)],
    }


def _field(name: str, field: FieldInfo) -> dict[str, Any]:
    from pydantic_core import to_jsonable_python

    limits = [
        f"{sign} {getattr(rule, attribute)}"
        for rule in field.metadata
        for attribute, sign in LIMITS.items()
        if getattr(rule, attribute, None) is not None
    ]
    entry = {"name": name, "type": type_name(field.annotation), "limits": limits, "about": field.description or ""}
    if field.is_required():
        return {**entry, "required": True}
    default = field.get_default(call_default_factory=True)
    return {**entry, "required": False, "default": to_jsonable_python(default)}


def type_name(annotation: Any) -> str:
    """Type as one would write it, without modules and metadata."""
    origin, parameters = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_name(parameters[0])
    if origin in (Union, types.UnionType):
        return " | ".join(map(type_name, parameters))
    if origin is Literal:
        return " | ".join(map(repr, parameters))
    if origin is not None:
        return f"{origin.__name__}[{', '.join('...' if p is ... else type_name(p) for p in parameters)}]"
    return "None" if annotation is type(None) else getattr(annotation, "__name__", str(annotation))


def _nested(config_class: type[Config]) -> Iterator[type[Config]]:
    from vlkit.config import Config

    def walk(annotation: Any) -> Iterator[type[Config]]:
        if isinstance(annotation, type) and issubclass(annotation, Config):
            yield annotation
        for parameter in get_args(annotation):
            yield from walk(parameter)

    found = (inner for field in config_class.model_fields.values() for inner in walk(field.annotation))
    yield from dict.fromkeys(found)
