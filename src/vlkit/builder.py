"""Assembling a model step by step, in any order, every step checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from vlkit.config import Config
from vlkit.cropping import Cropping
from vlkit.decoders.base import Decoder, DecoderConfig, decoders
from vlkit.encoders.base import Encoder, EncoderConfig, encoders
from vlkit.encoders.supplied import SuppliedEncoderConfig
from vlkit.errors import ConfigError
from vlkit.layouts.base import Layout, LayoutConfig, layouts
from vlkit.projectors.base import Projector, ProjectorConfig, projectors
from vlkit.projectors.supplied import SuppliedProjectorConfig
from vlkit.registry import Registry
from vlkit.vlm import VLM
from vlkit.vlm_config import VLMConfig

ModelT = TypeVar("ModelT", bound=VLM)

KINDS: Mapping[str, tuple[Registry[Any, Any], type[nn.Module], type[Config] | None]] = {
    "encoder": (encoders, Encoder, SuppliedEncoderConfig),
    "projector": (projectors, Projector, SuppliedProjectorConfig),
    "layout": (layouts, Layout, None),
    "decoder": (decoders, Decoder, None),
}
"""Kind of part: its registry, its contract, and the config that stands for a plain module, where one can."""

DRAWING = (Tensor.normal_, Tensor.uniform_)


class VLMBuilder(Generic[ModelT]):
    """Immutable: each step gives a new builder, so that variants can branch off one another.

    A part is named by its tag with fields, by a config, or by a module of one's own. With the tag that is set already,
    only the given fields change. Each part is checked in its step, their fit to each other in `config` and `build`.

    Args:
        config: what to start from.
    """

    model_class: ClassVar[type[VLM]] = VLM

    def __init__(self, config: VLMConfig) -> None:
        self._class = type(config)
        self._fields: dict[str, Any] = {name: getattr(config, name) for name in type(config).model_fields}
        self._modules: dict[str, nn.Module] = {}

    def encoder(self, part: str | Mapping[str, Any] | EncoderConfig | nn.Module, **fields: Any) -> Self:
        """Choose the encoder; a plain module also needs `width`, `image_size` and `grid`."""
        return self._with("encoder", part, fields)

    def projector(self, part: str | Mapping[str, Any] | ProjectorConfig | nn.Module, **fields: Any) -> Self:
        """Choose the projector; a plain module may also need `downsample`."""
        return self._with("projector", part, fields)

    def layout(self, part: str | Mapping[str, Any] | LayoutConfig | nn.Module, **fields: Any) -> Self:
        """Choose the layout."""
        return self._with("layout", part, fields)

    def decoder(self, part: str | Mapping[str, Any] | DecoderConfig | nn.Module, **fields: Any) -> Self:
        """Choose the decoder."""
        return self._with("decoder", part, fields)

    def candidate_resolutions(self, *resolutions: tuple[int, int]) -> Self:
        """Choose the widths and heights that pictures may be fitted to, the size of a tile first."""
        return self._copy(fields={**self._fields, "candidate_resolutions": resolutions}, modules=self._modules)

    def global_view(self, width: int, height: int) -> Self:
        """Give the global view a size of its own in pixels."""
        return self._copy(fields={**self._fields, "global_view_size": (width, height)}, modules=self._modules)

    def cropping(self, cropping: Cropping | None = None, **fields: Any) -> Self:
        """Choose when and how pictures are cut; fields alone change single settings, such as `policy`."""
        chosen = (cropping or self._fields["cropping"]).replace(**fields)
        return self._copy(fields={**self._fields, "cropping": chosen}, modules=self._modules)

    @property
    def config(self) -> VLMConfig:
        """The whole config.

        Raises:
            ConfigError: if the parts do not fit each other.
        """
        return self._class.model_validate(self._fields)

    def build(self, *, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> ModelT:
        """Model with fresh weights; modules of one's own are used as they are.

        Args:
            dtype: type of the weights; None: torch's default.
            device: where they are made; None: torch's default, "meta" for none at all.

        Raises:
            ConfigError: if the parts do not fit each other, before anything is allocated.
        """
        config = self.config
        with fresh_weights(dtype, device):
            return cast(ModelT, self.model_class(config, **self._modules))

    def _with(self, kind: str, part: Any, fields: dict[str, Any]) -> Self:
        registry, contract, supplied = KINDS[kind]
        modules = {name: module for name, module in self._modules.items() if name != kind}
        if isinstance(part, nn.Module):
            modules[kind] = part
            config = _config_of(part, kind, contract, supplied, fields)
        elif isinstance(part, str) and part == self._fields[kind].type:
            config = self._fields[kind].replace(**fields)
        else:
            config = registry.resolve(part, **fields)
        return self._copy(fields={**self._fields, kind: config}, modules=modules)

    def _copy(self, *, fields: dict[str, Any], modules: dict[str, nn.Module]) -> Self:
        other = object.__new__(type(self))
        other._class, other._fields, other._modules = self._class, fields, modules
        return other


@contextmanager
def fresh_weights(dtype: torch.dtype | None, device: torch.device | str | None) -> Iterator[None]:
    """Context in which new parameters have this type and place.

    Raises:
        ConfigError: if `dtype` is no floating-point type.
    """
    if dtype is not None and not dtype.is_floating_point:
        raise ConfigError(f"dtype {dtype}", rule="weights are floating-point numbers", remedy="torch.bfloat16, say")
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype or before)
    try:
        place = torch.device(device or torch.get_default_device())
        with place, _NothingDrawn() if place.type == "meta" else nullcontext():
            yield
    finally:
        torch.set_default_dtype(before)


class _NothingDrawn(TorchFunctionMode):
    """Leaves initial weights as they are: on the meta device drawing them does nothing but load torch's compiler."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in DRAWING or getattr(func, "__module__", None) == nn.init.__name__:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def _config_of(
    module: nn.Module, kind: str, contract: type[nn.Module], supplied: type[Config] | None, fields: dict[str, Any]
) -> Any:
    if isinstance(module, contract):
        if fields:
            raise ConfigError(
                f"{kind} {type(module).__name__} with fields {sorted(fields)}",
                rule="a module that is built already keeps its config",
                remedy="pass its config with these fields instead",
            )
        return module.config
    if supplied is None:
        raise ConfigError(
            f"{kind} {type(module).__name__} is a plain module",
            rule=f"a {kind} of one's own derives from {contract.__module__}.{contract.__name__}",
            remedy="derive from it, so that the rest of the model knows what it must",
        )
    return supplied(**fields)
