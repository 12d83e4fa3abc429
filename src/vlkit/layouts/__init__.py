"""Layouts: where every image feature stands in the token sequence."""

from typing import TYPE_CHECKING

from vlkit.lazy import lazy_names

if TYPE_CHECKING:
    from vlkit.layouts.base import AnyLayout, Layout, LayoutConfig, layouts
    from vlkit.layouts.indexed import Layout1D, Layout1DConfig
    from vlkit.layouts.plain import Plain, PlainConfig
    from vlkit.layouts.rows import Layout2D, Layout2DConfig
    from vlkit.layouts.tiles_first import TilesFirst, TilesFirstConfig
    from vlkit.layouts.tracing import TokenSource, trace

_HOMES = {
    "vlkit.layouts.base": ("AnyLayout", "Layout", "LayoutConfig", "layouts"),
    "vlkit.layouts.indexed": ("Layout1D", "Layout1DConfig"),
    "vlkit.layouts.plain": ("Plain", "PlainConfig"),
    "vlkit.layouts.rows": ("Layout2D", "Layout2DConfig"),
    "vlkit.layouts.tiles_first": ("TilesFirst", "TilesFirstConfig"),
    "vlkit.layouts.tracing": ("TokenSource", "trace"),
}

__all__ = [
    "AnyLayout",
    "Layout",
    "Layout1D",
    "Layout1DConfig",
    "Layout2D",
    "Layout2DConfig",
    "LayoutConfig",
    "Plain",
    "PlainConfig",
    "TilesFirst",
    "TilesFirstConfig",
    "TokenSource",
    "layouts",
    "trace",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
