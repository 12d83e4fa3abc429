"""DeepSeek-OCR from its parts, mode by mode: tokens of a picture at the released size, and a toy of it that runs."""

from importlib.resources import files

import torch
from PIL import Image

import vlkit
from vlkit.encoders import ClipConfig, DeepEncoderConfig, SamConfig
from vlkit.tiling import resolutions_up_to

PICTURE = files("vlkit") / "assets" / "demo.jpg"
WHOLE = {"tiny": 512, "small": 640, "base": 1024, "large": 1280}


def whole(builder: vlkit.VLMBuilder, side: int) -> vlkit.VLMBuilder:
    """One view of the whole picture."""
    fit = "stretch" if side <= 640 else "pad"
    return builder.candidate_resolutions((side, side)).cropping(policy={"type": "never"}, global_fit=fit)


def cut(builder: vlkit.VLMBuilder) -> vlkit.VLMBuilder:
    """Tiles of 640, if the picture has a longer side, and a global view of 1024: the mode "gundam"."""
    tiles = resolutions_up_to(6, (640, 640), least=2)
    rule = {"policy": {"type": "large_images", "side": 640}, "choice": "closest_ratio", "fit": "stretch"}
    return builder.candidate_resolutions(*tiles).global_view(1024, 1024).cropping(**rule)


start = vlkit.VLMBuilder(vlkit.presets["deepseek-vl2-tiny"])
released = start.encoder("deep_encoder").projector("linear").layout("deepseek_ocr")
with Image.open(PICTURE) as picture:
    size = picture.size
print(f"tokens of a picture of {size[0]}x{size[1]}:")
for mode in (*WHOLE, "gundam"):
    config = (whole(released, WHOLE[mode]) if mode in WHOLE else cut(released)).config
    tiling = config.tiling(size)
    tiles = f"{tiling.grid} tiles of {tiling.tile_size} and " if tiling.grid.area > 1 else ""
    print(f"  {mode:7}{config.image_tokens(size):5}  {tiles}a global view of {tiling.overview}")
    assert config.image_tokens(size) == vlkit.presets["deepseek-ocr"].at(mode).image_tokens(size)

encoder = DeepEncoderConfig(
    sam=SamConfig(patch_size=64, width=24, layers=2, heads=2, global_layers=(1,), downsample_channels=(24, 32)),
    clip=ClipConfig(image_size=56, width=32, layers=1, heads=2),
)
torch.manual_seed(0)
toy = vlkit.VLMBuilder(vlkit.presets["mini"]).encoder(encoder).projector("linear").layout("deepseek_ocr")
model = cut(toy).build().eval()
processor = vlkit.DeepseekOCRProcessor.for_model(model.config)
inputs = processor(prompt="<image>\nFree OCR.", images=[str(PICTURE)])
print({name: list(tensor.shape) for name, tensor in inputs.items()})
print("new ids:", model.generate(**inputs, max_new_tokens=8)[0].tolist())
