"""The same picture in several layouts: how many tokens, and which ones come first."""

import vlkit
from vlkit.layouts import Layout1DConfig, Layout2DConfig, trace

SIZE = (1000, 620)

config = vlkit.presets["mini"]
tiles = config.tiling(SIZE).grid
print(f"{SIZE[0]}x{SIZE[1]} becomes {tiles} tiles of {config.grid} tokens each, and a global view")

for layout in (
    Layout2DConfig(),
    Layout2DConfig(global_view="tail"),
    Layout1DConfig(),
    Layout1DConfig(global_view="tail"),
):
    sources = trace(layout, tiles, config.grid)
    separators = sum(source.separator is not None for source in sources)
    first = " ".join(source.separator or f"{source.view}:{source.row},{source.col}" for source in sources[:6])
    print(f"{layout.type} {layout.global_view:4} {len(sources)} tokens, {separators} of them separators: {first} ...")
