"""Hypothesis strategies for configs, grids, pictures and conversations; they need `pip install vlkit[testing]`."""

from typing import TYPE_CHECKING

from vlkit.lazy import lazy_names

if TYPE_CHECKING:
    from vlkit.testing.strategies.config import configs, register_configs
    from vlkit.testing.strategies.conversation import Conversation, conversations
    from vlkit.testing.strategies.grid import cuts, grids, left_padded, tile_grids
    from vlkit.testing.strategies.picture import images

_HOMES = {
    "vlkit.testing.strategies.config": ("configs", "register_configs"),
    "vlkit.testing.strategies.conversation": ("Conversation", "conversations"),
    "vlkit.testing.strategies.grid": ("cuts", "grids", "left_padded", "tile_grids"),
    "vlkit.testing.strategies.picture": ("images",),
}

__all__ = [
    "Conversation",
    "configs",
    "conversations",
    "cuts",
    "grids",
    "images",
    "left_padded",
    "register_configs",
    "tile_grids",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
