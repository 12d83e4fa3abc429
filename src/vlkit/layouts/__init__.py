"""Layouts: where every image feature stands in the token sequence."""

from vlkit.layouts.base import AnyLayout, Layout, LayoutConfig, layouts
from vlkit.layouts.indexed import Layout1D, Layout1DConfig
from vlkit.layouts.rows import Layout2D, Layout2DConfig
from vlkit.layouts.trace import TokenSource, trace

__all__ = [
    "AnyLayout",
    "Layout",
    "Layout1D",
    "Layout1DConfig",
    "Layout2D",
    "Layout2DConfig",
    "LayoutConfig",
    "TokenSource",
    "layouts",
    "trace",
]
