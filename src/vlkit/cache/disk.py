"""Layers live in mapped files; memory holds the one that computes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from vlkit.cache.base import CachePolicy, CachePolicyConfig, KVCache, cache_policies
from vlkit.cache.file_store import FileStore
from vlkit.cache.growing_file import usable_folder
from vlkit.cache.store import Store
from vlkit.cache.window import Window


class DiskConfig(CachePolicyConfig):
    """Layers live in files without names, which are gone with the cache or its process, however that ends."""

    type: Literal["disk"] = "disk"
    """Tag of the policy."""
    folder: Path | None = None
    """Folder for the files; None: the one for temporary files, which some systems keep in memory."""
    on_device: int = Field(default=2, ge=1, le=2**10)
    """Most layers in memory at once, or on the device: the one that computes, and those that are read meanwhile."""

    def device_layers(self, layers: int) -> int:
        return min(self.on_device, layers)


@cache_policies.register(DiskConfig)
class Disk(CachePolicy):
    """While a layer computes, the next ones are read ahead; afterwards its pages leave the process's memory.

    Raises:
        InputError: if the folder cannot be used.
    """

    config: DiskConfig

    def __init__(self, config: DiskConfig) -> None:
        super().__init__(config)
        self._folder, self._window = usable_folder(config.folder), Window()

    def new_store(self) -> Store:
        return FileStore(self._folder)

    def before_layer(self, cache: KVCache, index: int) -> None:
        self._window.slide(cache, index, size=self.config.on_device)

    def after_layer(self, cache: KVCache, index: int) -> None:
        self._window.keep(cache, range(index + 1, index + self.config.on_device))
