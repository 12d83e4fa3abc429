"""Registries: open tagged unions of configs, each tied to the class that it configures."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import reprlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Generic, TypeVar, cast

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from vlkit.config import Config
from vlkit.errors import RegistryError, did_you_mean

ConfigT = TypeVar("ConfigT", bound=Config)
PartT = TypeVar("PartT")


class Registry(Generic[ConfigT, PartT]):
    """Parts of one kind by tag, usable as the pydantic annotation of a field that takes any of them.

    A config class names its tag in a field `type: Literal["tag"] = "tag"`. Installed packages add parts through the
    entry-point group `vlkit.<kind>`, each entry named after its tag and pointing to the module that registers it;
    `VLKIT_DISABLE_PLUGINS=1` turns this off.

    Args:
        kind: plural name of the kind, for instance "projectors".
        base: config class that all members derive from.
        homes: the library's own parts: tag to the module that registers it, imported when the tag is asked for.
    """

    def __init__(self, kind: str, base: type[ConfigT], *, homes: Mapping[str, str] | None = None) -> None:
        self.kind, self.base = kind, base
        self._homes = dict(homes or {})
        self._configs: dict[str, type[ConfigT]] = {}
        self._parts: dict[type[ConfigT], Callable[..., PartT]] = {}
        self._plugins_loaded = False
        self._in_schema = False  # a part that holds another of its kind: in its schema that one is named by its tag

    def register(
        self, config_class: type[ConfigT], *, replace: bool = False
    ) -> Callable[[Callable[..., PartT]], Callable[..., PartT]]:
        """Class decorator that ties a part to its config class.

        Raises:
            RegistryError: if the config class has no tag or its tag is taken and `replace` is False.
        """
        tag = self._tag_of(config_class)
        if self._homes.get(tag, config_class.__module__) != config_class.__module__:
            self._load(tag)
        if tag in self._configs and not replace:
            raise RegistryError(
                f"{self.kind} has {tag!r} already ({self._configs[tag].__qualname__})",
                rule="a tag names one part",
                remedy="choose another tag or pass replace=True",
            )

        def tie(part: Callable[..., PartT]) -> Callable[..., PartT]:
            self._configs[tag] = config_class
            self._parts[config_class] = part
            return part

        return tie

    def build(self, config: ConfigT, **context: Any) -> PartT:
        """Part that `config` describes; `context` holds what its neighbours know, such as `in_dim`."""
        part = self._parts.get(type(config))
        if part is None:
            raise RegistryError(
                f"no part is registered for {type(config).__name__}",
                rule=f"a config class in {self.kind} is tied to its part with @{self.kind}.register",
                remedy="import the module that registers it",
            )
        return part(config, **context)

    def resolve(self, spec: str | Mapping[str, Any] | ConfigT, **fields: Any) -> ConfigT:
        """Config from a tag, a mapping with the key "type", or a config; `fields` replace single values.

        Raises:
            RegistryError: if the tag is unknown or missing, or `spec` is none of the three.
            ConfigError: if the fields are not valid.
        """
        if isinstance(spec, self.base):
            return spec.replace(**fields) if fields else spec
        data = {"type": spec} if isinstance(spec, str) else spec
        if not isinstance(data, Mapping) or "type" not in data:
            raise RegistryError(
                f"{type(spec).__name__} {reprlib.repr(spec)} names none of the {self.kind}",
                rule=f'one is given as a tag, a mapping with the key "type", or a {self.base.__name__}',
                remedy=f"known: {', '.join(map(repr, self))}",
            )
        return self[str(data["type"])].model_validate({**data, **fields})

    def __getitem__(self, tag: str) -> type[ConfigT]:
        self._load(tag)
        if tag not in self._configs:
            self._load_plugins()
        if tag not in self._configs:
            raise RegistryError(
                f"{tag!r} is not one of the {self.kind}; {did_you_mean(tag, self)}",
                remedy="a plug-in's tag is known once its package is installed or its module imported",
            )
        return self._configs[tag]

    def __contains__(self, tag: object) -> bool:
        return tag in self._tags()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._tags()))

    def __len__(self) -> int:
        return len(self._tags())

    @contextmanager
    def scratch(self) -> Iterator[None]:
        """Context in which registrations last only until its end; for tests and notebooks."""
        configs, parts, plugins_loaded = self._configs.copy(), self._parts.copy(), self._plugins_loaded
        try:
            yield
        finally:
            own = {config for config in self._parts if config.__module__ in self._homes.values()}
            configs |= {tag: config for tag, config in self._configs.items() if config in own}
            parts |= {config: self._parts[config] for config in own}
            self._configs, self._parts, self._plugins_loaded = configs, parts, plugins_loaded

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(_dump, info_arg=True),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        if self._in_schema:
            return {"type": "object", "properties": {"type": {"enum": list(self)}}, "required": ["type"]}
        self._in_schema = True
        try:
            return {"oneOf": [handler(self[tag].__pydantic_core_schema__) for tag in self]}
        finally:
            self._in_schema = False

    def _validate(self, value: Any) -> ConfigT:
        if isinstance(value, self.base):
            return value
        if isinstance(value, str):
            value = {"type": value}
        if not isinstance(value, Mapping):
            raise _error(
                (), f"is a {type(value).__name__}, but takes a tag, a mapping or a {self.base.__name__}", value
            )
        if "type" not in value:
            raise _error(("type",), f"is missing; it names one of the {self.kind}: {', '.join(self)}", dict(value))
        try:
            config_class = self[str(value["type"])]
        except RegistryError as error:
            raise _error(("type",), error.problem, value["type"]) from None
        return cast(ConfigT, config_class.__pydantic_validator__.validate_python(dict(value)))

    def _tag_of(self, config_class: type[ConfigT]) -> str:
        field = config_class.model_fields.get("type")
        if not issubclass(config_class, self.base) or field is None or not isinstance(field.default, str):
            raise RegistryError(
                f"{config_class.__name__} cannot be registered in {self.kind}",
                rule=f'it derives from {self.base.__name__} and has a field `type: Literal["tag"] = "tag"`',
            )
        return field.default

    def _tags(self) -> set[str]:
        self._load_plugins()
        return self._homes.keys() | self._configs.keys()

    def _load(self, tag: str) -> None:
        """Import the module of a tag of the library's own, unless it is registered already."""
        if tag in self._homes and tag not in self._configs:
            importlib.import_module(self._homes[tag])

    def _load_plugins(self) -> None:
        if self._plugins_loaded or os.environ.get("VLKIT_DISABLE_PLUGINS") == "1":
            return
        self._plugins_loaded = True
        for entry in importlib.metadata.entry_points(group=f"vlkit.{self.kind}"):
            try:
                entry.load()
            except Exception as error:
                owner = entry.dist.name if entry.dist else "an unknown distribution"
                warnings.warn(f"plug-in {entry.name!r} of {owner} was skipped: {error}", stacklevel=2)


def _dump(config: Config, info: core_schema.SerializationInfo) -> dict[str, Any]:
    return config.model_dump(
        mode=info.mode, exclude_defaults=info.exclude_defaults, exclude_unset=info.exclude_unset, by_alias=info.by_alias
    )


def _error(loc: tuple[str, ...], message: str, value: Any) -> ValidationError:
    kind = PydanticCustomError("registry", "{message}", {"message": message})
    return ValidationError.from_exception_data("registry", [InitErrorDetails(type=kind, loc=loc, input=value)])
