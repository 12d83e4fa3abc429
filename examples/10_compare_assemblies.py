"""Three ways to show a picture to one decoder, side by side, before any weight exists: a table and a picture."""

from pathlib import Path

import vlkit
from vlkit.description import compare
from vlkit.drawing import Bars, draw_bars

SIZE = (1024, 768)

start = vlkit.DeepseekVLV2Builder("deepseek-vl2-tiny")
assemblies = {
    "as released": start,
    "pixel shuffle 3": start.projector("pixel_shuffle", scale_factor=3),
    "one view, plain": start.layout("plain").cropping(policy={"type": "never"}),
}
comparison = compare(
    {
        name: vlkit.describe(builder.config, image_sizes=[SIZE], prompt_tokens=64, new_tokens=64)
        for name, builder in assemblies.items()
    }
)
print(comparison)

title = f"A picture of {SIZE[0]}x{SIZE[1]} and 64 tokens of text"
picture = draw_bars(comparison.names, [Bars(*measure) for measure in comparison.measures], title=title)
picture.save(Path("comparison.png"))
