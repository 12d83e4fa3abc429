"""Strategy for configs of any class, from the types and limits of its fields."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import annotated_types
from hypothesis import strategies as st
from pydantic.fields import FieldInfo

from vlkit.config import Config
from vlkit.errors import ConfigError
from vlkit.registry import Registry

ConfigT = TypeVar("ConfigT", bound=Config)

_REGISTERED: dict[type[Config], st.SearchStrategy[Any]] = {}

INTEGERS = (-1, 0, 1, 2, 4, 8, 12, 64)
"""Whole numbers that often divide each other."""


def configs(
    config_class: type[ConfigT], fields: Mapping[str, st.SearchStrategy[Any]] | None = None
) -> st.SearchStrategy[ConfigT]:
    """Valid configs of one class, with any subset of the fields that have defaults.

    Args:
        config_class: the class.
        fields: strategies for single fields, which are then always drawn. The others are drawn by their types and
            limits; one of a type without a strategy keeps its default.

    Raises:
        NotImplementedError: if a field has neither a strategy nor a default.
    """
    if config_class in _REGISTERED and not fields:
        return _REGISTERED[config_class]
    needed, optional = dict(fields or {}), {}
    for name, field in config_class.model_fields.items():
        if name == "type" or name in needed:
            continue
        try:
            drawing = values(field.annotation, field.metadata)
        except NotImplementedError:
            if field.is_required():
                raise
            continue
        if field.is_required():
            needed[name] = drawing
        else:
            optional[name] = drawing
    attempts = st.fixed_dictionaries(needed, optional=optional).map(lambda given: _attempt(config_class, given))
    return attempts.filter(lambda config: config is not None)  # type: ignore[return-value]


def register_configs(config_class: type[ConfigT], strategy: st.SearchStrategy[ConfigT]) -> None:
    """Let `configs` draw a class from this strategy, alone and inside others; for fields that only few values fit."""
    _REGISTERED[config_class] = strategy


def values(annotation: Any, metadata: Iterable[Any] = ()) -> st.SearchStrategy[Any]:
    """Values of a field's type within its limits.

    Raises:
        NotImplementedError: if there is none for the type.
    """
    rules = [rule for item in metadata for rule in (item.metadata if isinstance(item, FieldInfo) else [item])]
    origin, parameters = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return values(parameters[0], [*parameters[1:], *rules])
    for rule in rules:
        if isinstance(rule, Registry):
            return _any_of(tuple(rule[tag] for tag in rule))
    if origin in (Union, types.UnionType):
        return st.one_of([values(parameter, rules) for parameter in parameters])
    if origin is Literal:
        return st.sampled_from(parameters)
    if origin is tuple and parameters[-1] is Ellipsis:
        return st.lists(values(parameters[0]), min_size=_least(rules), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*(values(parameter) for parameter in parameters))
    if origin is dict:
        return st.dictionaries(values(parameters[0]), values(parameters[1]), max_size=2)
    if annotation is type(None):
        return st.none()
    if annotation is bool:
        return st.booleans()
    if annotation is int:
        return st.sampled_from([number for number in INTEGERS if _allowed(number, rules)])
    if annotation is float:
        return st.floats(allow_nan=False).filter(lambda number: _allowed(number, rules))
    if annotation is str:
        return st.text(max_size=4)
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return _any_of((annotation,))
    raise NotImplementedError(f"no strategy for {annotation}; pass one in fields=")


@cache
def _any_of(classes: tuple[type[Config], ...]) -> st.SearchStrategy[Config]:
    """Configs of these classes; made when drawn from, and only once, since a config may hold others of its kind."""
    return st.deferred(lambda: st.one_of([configs(config_class) for config_class in classes]))


def _attempt(config_class: type[ConfigT], given: dict[str, Any]) -> ConfigT | None:
    try:
        return config_class(**given)
    except ConfigError:
        return None


def _least(rules: list[Any]) -> int:
    return max((rule.min_length for rule in rules if isinstance(rule, annotated_types.MinLen)), default=0)


def _allowed(number: float, rules: list[Any]) -> bool:
    for rule in rules:
        match rule:
            case annotated_types.Ge(ge=limit) if not number >= limit:  # type: ignore[operator]
                return False
            case annotated_types.Gt(gt=limit) if not number > limit:  # type: ignore[operator]
                return False
            case annotated_types.Le(le=limit) if not number <= limit:  # type: ignore[operator]
                return False
            case annotated_types.Lt(lt=limit) if not number < limit:  # type: ignore[operator]
                return False
            case annotated_types.MultipleOf(multiple_of=step) if number % step:  # type: ignore[operator]
                return False
    return True
