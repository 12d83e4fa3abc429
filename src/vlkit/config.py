"""The base of every config: frozen, strict about field names, and clear about what is wrong."""

from __future__ import annotations

import json
import reprlib
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from vlkit.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)

T = TypeVar("T")

MAX_BYTES = 16 * 2**20
"""Most bytes that a config file may have."""
Width = Annotated[int, Field(ge=1, le=2**20)]
"""A width or rank; the bound keeps a config of unknown origin from asking for more than any machine has."""
Count = Annotated[int, Field(ge=1, le=2**14)]
"""A number of heads, experts, tiles, or of pixels along a side."""
Depth = Annotated[int, Field(ge=1, le=2**10)]
"""A number of layers."""

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 1, 80, 80


class _RaisesConfigError(ModelMetaclass):
    """Turns pydantic's error into `ConfigError` at the outermost constructor only, so that nested paths stay whole."""

    def __call__(cls, *args: Any, **fields: Any) -> Any:  # noqa: N805
        return _translated(cls.__name__, lambda: super(_RaisesConfigError, cls).__call__(*args, **fields))


class Config(BaseModel, metaclass=_RaisesConfigError):
    """Frozen settings of one part; the fields' docstrings are their reference.

    Raises:
        ConfigError: on construction, with the exact path of every wrong field.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        protected_namespaces=(),
        ser_json_inf_nan="constants",
    )

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Config from a mapping or another config of the same class."""
        return _translated(cls.__name__, lambda: super(Config, cls).model_validate(obj, **options))

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """Config from JSON text."""
        return _translated(cls.__name__, lambda: super(Config, cls).model_validate_json(json_data, **options))

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Config from a `.json`, `.toml` or `.yaml` file."""
        return cls.model_validate(read_mapping(path))

    def replace(self, **fields: Any) -> Self:
        """Copy with other values in `fields`, validated again as a whole."""
        return type(self).model_validate({**{name: getattr(self, name) for name in type(self).model_fields}, **fields})

    @model_serializer(mode="wrap")
    def _keep_tag(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        data = handler(self)
        if info.exclude_defaults or info.exclude_unset:
            data |= {name: getattr(self, name) for name in type(self).model_fields.keys() & {"type"}}
        return data

    @model_validator(mode="wrap")
    @classmethod
    def _suggest_field_names(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(data)
        except ValidationError as error:
            raise ValidationError.from_exception_data(
                cls.__name__, [_explain(cls, d, data) for d in error.errors()]
            ) from None


def _explain(cls: type[BaseModel], details: Any, data: Any) -> InitErrorDetails:
    loc, kind, message = _given_path(details["loc"], data), details["type"], details["msg"]
    if kind == "extra_forbidden" and len(loc) == 1:
        nearest = did_you_mean(str(loc[0]), cls.model_fields)
        kind, message = "unknown_field", f"{cls.__name__} has no field {loc[0]!r}; {nearest}"
    return InitErrorDetails(type=_verbatim(kind, message), loc=loc, input=details["input"])


def _given_path(loc: tuple[int | str, ...], data: Any) -> tuple[int | str, ...]:
    """Path through the given data, without the tags that pydantic puts after a union's field."""
    path: list[int | str] = []
    for step in loc:
        if isinstance(data, dict) and step not in data and data.get("type") == step:
            continue
        path.append(step)
        try:
            data = data[step]
        except (LookupError, TypeError):
            data = None
    return tuple(path)


def _verbatim(kind: str, message: str) -> PydanticCustomError:
    return PydanticCustomError(kind, "{message}", {"message": message})


def _translated(title: str, validate: Callable[[], T]) -> T:
    try:
        return validate()
    except ValidationError as error:
        lines = [_line(details) for details in error.errors()]
        raise ConfigError(f"{title} is not valid:\n" + "\n".join(lines)) from None


def _line(details: Any) -> str:
    path, message = ".".join(str(step) for step in details["loc"]), details["msg"].removeprefix("Value error, ")
    value = "" if isinstance(details["input"], dict | BaseModel) else f" (got {_SHORT.repr(details['input'])})"
    return f"- {path}: {message}{value}" if path else f"- {message}"


def read_mapping(path: str | Path) -> dict[str, Any]:
    """Mapping read from a `.json`, `.toml` or `.yaml` file.

    Raises:
        ConfigError: if the file is missing, of another kind, malformed, or holds no mapping.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path} is longer than {MAX_BYTES} bytes", rule="config files are small")
        text = path.read_text(encoding="utf-8")
        match path.suffix.lower():
            case ".json":
                data = json.loads(text)
            case ".toml":
                data = tomllib.loads(text)
            case ".yaml" | ".yml":
                data = _parse_yaml(text)
            case other:
                raise ConfigError(f"{path} ends in {other!r}", rule="config files are .json, .toml or .yaml")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", remedy="check the path") from None
    except ConfigError:
        raise
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply", remedy="write the config flatter") from None
    except ValueError as error:
        raise ConfigError(f"{path} is malformed: {error}", remedy="correct the file at that place") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path} holds a {type(data).__name__}", rule="a config file holds one mapping")
    return data


def _parse_yaml(text: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise ConfigError(
            "YAML files need PyYAML", remedy="pip install pyyaml, or write the config as .json or .toml"
        ) from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
