"""Hypothesis strategies for grids, tensors and configs."""

import types
from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import annotated_types
import torch
from hypothesis import strategies as st
from pydantic.fields import FieldInfo
from torch import Tensor

from vlkit.config import Config
from vlkit.errors import ConfigError
from vlkit.notation import Grid
from vlkit.registry import Registry

ConfigT = TypeVar("ConfigT", bound=Config)

seeds = st.integers(0, 2**32 - 1)


def normal(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Standard normal numbers that depend on the seed alone."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def grids(largest: int) -> st.SearchStrategy[Grid]:
    """Rows and columns from 1 to `largest`, independent of each other."""
    return st.builds(Grid, st.integers(1, largest), st.integers(1, largest))


def left_padded(batch: int, length: int) -> st.SearchStrategy[Tensor]:
    """Masks bool[B, T] with padding on the left and at least one position per row that is none."""
    real = st.lists(st.integers(1, length), min_size=batch, max_size=batch)
    return real.map(lambda rows: torch.tensor([[False] * (length - row) + [True] * row for row in rows]))


def cuts(length: int) -> st.SearchStrategy[list[int]]:
    """Lengths of consecutive chunks that make up `length`."""
    edges = st.sets(st.integers(1, length - 1)) if length > 1 else st.just(set[int]())
    return edges.map(lambda inner: [b - a for a, b in pairwise([0, *sorted(inner), length])])


def configs(config_class: type[ConfigT]) -> st.SearchStrategy[ConfigT]:
    """Valid configs of one class, with any subset of the fields that have defaults."""
    fields = {name: field for name, field in config_class.model_fields.items() if name != "type"}
    return (
        st.fixed_dictionaries(
            {name: _values(field.annotation, field.metadata) for name, field in fields.items() if field.is_required()},
            optional={
                name: _values(field.annotation, field.metadata)
                for name, field in fields.items()
                if not field.is_required()
            },
        )
        .map(lambda values: _attempt(config_class, values))
        .filter(lambda config: config is not None)
    )


def _attempt(config_class: type[ConfigT], values: dict[str, Any]) -> Any:
    try:
        return config_class(**values)
    except ConfigError:
        return None


def _values(annotation: Any, metadata: Iterable[Any] = ()) -> st.SearchStrategy[Any]:
    """Values of a field's type within its limits; whole numbers that often divide each other."""
    rules = [rule for item in metadata for rule in (item.metadata if isinstance(item, FieldInfo) else [item])]
    origin, parameters = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _values(parameters[0], [*parameters[1:], *rules])
    for rule in rules:
        if isinstance(rule, Registry):
            return st.one_of([configs(rule[tag]) for tag in rule])
    if origin in (Union, types.UnionType):
        return st.one_of([_values(parameter, rules) for parameter in parameters])
    if origin is Literal:
        return st.sampled_from(parameters)
    if origin is tuple and parameters[-1] is Ellipsis:
        return st.lists(_values(parameters[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*(_values(parameter) for parameter in parameters))
    if annotation is type(None):
        return st.none()
    if annotation is bool:
        return st.booleans()
    if annotation is int:
        return st.sampled_from([number for number in (-1, 0, 1, 2, 4, 8, 12, 64) if _allowed(number, rules)])
    if annotation is float:
        return st.floats(allow_nan=False).filter(lambda number: _allowed(number, rules))
    if annotation is str:
        return st.text(max_size=4)
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return configs(annotation)
    raise NotImplementedError(f"no strategy for {annotation}")


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
