"""Small configs in the form of DeepSeek-OCR, drawn for laws; their patches are wide, so that views are few tokens."""

from hypothesis import strategies as st

from tests.small_models import small_decoders
from vlkit.encoders import ClipConfig, DeepEncoderConfig, SamConfig
from vlkit.layouts import Layout2DConfig, LayoutConfig, TilesFirstConfig
from vlkit.models.deepseek_ocr.config import DeepseekOCRConfig
from vlkit.models.deepseek_ocr.modes import MODES, ResolutionMode
from vlkit.projectors import LinearConfig

OWN = ResolutionMode(base_size=384, image_size=256, crop_mode=True, max_crops=4)
"""A mode that has no name."""


@st.composite
def small_ocr_configs(draw: st.DrawFn, *, official: bool = False) -> DeepseekOCRConfig:
    """Configs of small models.

    Args:
        draw: given by hypothesis.
        official: only what the official format has fields for.
    """
    layouts: list[LayoutConfig] = [TilesFirstConfig(), Layout2DConfig()]
    mode = MODES["gundam"] if official else draw(st.sampled_from([*MODES.values(), OWN]))
    dim = draw(st.sampled_from([8, 12]))
    return DeepseekOCRConfig(
        encoder=draw(_encoders(official=official)),
        projector=LinearConfig(use_bias=official or draw(st.booleans())),
        layout=TilesFirstConfig() if official else draw(st.sampled_from(layouts)),
        decoder=draw(small_decoders(dim, official=official, all_experts_active=False)),
        **mode.fields,
    )


@st.composite
def _encoders(draw: st.DrawFn, *, official: bool) -> DeepEncoderConfig:
    layers, width = draw(st.integers(1, 2)), draw(st.sampled_from([4, 8]))
    attend_all = draw(st.sets(st.integers(0, layers - 1)))
    return DeepEncoderConfig(
        sam=SamConfig(
            image_size=128 * draw(st.sampled_from([2, 5, 8])),
            patch_size=128,
            width=8,
            layers=layers,
            heads=draw(st.sampled_from([1, 2])),
            window_size=draw(st.integers(2, 4)),
            global_layers=tuple(sorted(attend_all)),
            neck_width=draw(st.sampled_from([3, width])),
            downsample_channels=(*draw(st.sampled_from([(), (5,)])), width),
            image_mean=(0.5, 0.5, 0.5) if official else draw(st.sampled_from([(0.5, 0.5, 0.5), (0.1, 0.2, 0.3)])),
        ),
        clip=ClipConfig(
            image_size=14 * draw(st.integers(1, 3)),
            width=width,
            layers=draw(st.integers(1, 2)),
            heads=2,
            activation="quick_gelu" if official else draw(st.sampled_from(["quick_gelu", "gelu"])),
        ),
    )
