"""A part that is put to the test: which one it is, and what the caller said of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, TypedDict

from vlkit.errors import InputError, did_you_mean
from vlkit.registry import Registry
from vlkit.testing.law import Law

MAX_PARAMETERS = 10_000_000
"""Most parameters of a part that is given numbers unless the caller allows more."""


class Options(TypedDict, total=False):
    """What every check can be told.

    Args:
        compiles: True: `torch.compile(fullgraph=True)` must work; False: it is not tried; None: it is tried, and a
            failure is noted but breaks no law.
        exports: the same for `torch.export`.
        skip: names of laws to leave out.
        max_parameters: largest part that is given numbers; of a larger one only the config and the shapes are tested.
    """

    compiles: bool | None
    exports: bool | None
    skip: Collection[str]
    max_parameters: int


class Subject:
    """A part of some kind.

    Args:
        target: a tag, a config class, a config, or a part.
        options: as in `Options`.

    Raises:
        InputError: if `target` is none of these, or a law to skip is unknown.
        RegistryError: if the tag is unknown.
        ConfigError: if a config class has fields that must be given.
    """

    kind: ClassVar[str]
    """Singular name of the kind."""
    registry: ClassVar[Registry[Any, Any]]
    """Where parts of this kind are registered."""
    contract: ClassVar[type]
    """Class that parts of this kind derive from."""
    laws: ClassVar[tuple[Law, ...]]
    """The laws of this kind."""

    def __init__(self, target: Any, options: Options) -> None:
        self.given: Any = target if isinstance(target, self.contract) else None
        self.config: Any = self._config_of(target)
        self.compiles, self.exports = options.get("compiles"), options.get("exports")
        self.max_parameters = options.get("max_parameters", MAX_PARAMETERS)
        self.skip = frozenset(options.get("skip", ()))
        names = [law.name for law in self.laws]
        for name in sorted(self.skip.difference(names)):
            raise InputError(f"{name!r} is no law of a {self.kind}; {did_you_mean(name, names)}")

    @property
    def name(self) -> str:
        """How messages call the part."""
        return f"{self.kind} {self.config.type!r} ({type(self.config).__name__})"

    @property
    def parameters(self) -> int:
        """Number of parameters, counted without numbers."""
        return 0

    @property
    def too_large(self) -> bool:
        """Whether the part has more parameters than may be given numbers."""
        return self.parameters > self.max_parameters

    def _config_of(self, target: Any) -> Any:
        base = self.registry.base
        if isinstance(target, self.contract):
            config = getattr(target, "config", None)
            if isinstance(config, base):
                return config
            raise InputError(f"{type(target).__name__} has {config!r:.80} for a config", rule="a part keeps its config")
        if isinstance(target, type) and issubclass(target, base):
            return target()
        if isinstance(target, base | str | Mapping):
            return self.registry.resolve(target)
        shown = target.__name__ if isinstance(target, type) else type(target).__name__
        raise InputError(
            f"{shown} cannot be checked as a {self.kind}",
            rule=f"a {self.kind} is given as a tag, a {base.__name__} class or object, or a {self.contract.__name__}",
            remedy=f"pass the config class that belongs to {shown}" if isinstance(target, type) else None,
        )
