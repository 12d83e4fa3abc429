"""Every law of encoders catches the mistake it is for, in a part that is right without it."""

from typing import Literal

import pytest
import torch
from einops import rearrange
from torch import Tensor, nn

from tests.testing.catching import caught, holds
from vlkit.encoders import Encoder, EncoderConfig, SigLIPConfig, encoders
from vlkit.errors import ConfigError
from vlkit.notation import Grid, Size
from vlkit.testing import check_encoder, examine


class PatchesConfig(EncoderConfig):
    """Patches of 4 pixels, each on its own."""

    type: Literal["patches"] = "patches"
    """Tag of the encoder."""

    @property
    def feature_dim(self) -> int:
        return 6

    @property
    def tile_size(self) -> Size:
        return Size(12, 8)

    def check_size(self, size: Size) -> None:
        if size.width % 4 or size.height % 4:
            raise ConfigError(f"tiles of {size}", rule="sides are multiples of 4")

    def grid_out(self, size: Size) -> Grid:
        return Grid(size.height // 4, size.width // 4)

    def forward_flops(self, size: Size) -> int:
        return 2 * self.grid_out(size).area * 3 * 4 * 4 * self.feature_dim


class Patches(Encoder):
    """An encoder that keeps all laws, once it is registered."""

    config: PatchesConfig

    def __init__(self, config: PatchesConfig) -> None:
        super().__init__(config)
        self.cut = nn.Conv2d(3, 6, kernel_size=4, stride=4)

    def forward(self, pixels: Tensor) -> Tensor:
        self.require_pixels(pixels)
        return rearrange(self.cut(pixels), "n w y x -> n y x w")


def test_the_part_itself_keeps_every_law() -> None:
    with encoders.scratch():
        encoders.register(PatchesConfig)(Patches)
        report = check_encoder("patches", exports=True, compiles=True, sizes=[(20, 4)])
    assert {found.status for found in report.outcomes} == {"passed"}


class FixedTo12(Patches):
    def forward(self, pixels: Tensor) -> Tensor:
        return super().forward(pixels)[:, :2, :3]


class DropsAPatch(Patches):
    def forward(self, pixels: Tensor) -> Tensor:
        inside = torch.ones(pixels.shape[-1], dtype=pixels.dtype)
        inside[-4:] = 0
        return super().forward(pixels * inside)


class DropsBlue(Patches):
    def forward(self, pixels: Tensor) -> Tensor:
        return super().forward(pixels * torch.tensor([1, 1, 0], dtype=pixels.dtype)[:, None, None])


class LooksAtNothing(Patches):
    def require_pixels(self, pixels: Tensor) -> Size:
        return Size(0, 0)


class TakesAnyChannels(Patches):
    def forward(self, pixels: Tensor) -> Tensor:
        return super().forward(pixels.expand(-1, 3, -1, -1) if pixels.shape[1] == 1 else pixels)


WRONG = [
    (FixedTo12, "grid", ("for tiles of 16x8 forward gave a grid of 2x3, grid_out says 2x4", "last feature column")),
    (DropsAPatch, "pixels", ("the patch at row 0, column 2 of 2x3", "drops a row, a column")),
    (DropsBlue, "pixels", ("has a colour that no gradient reaches", "a channel")),
    (LooksAtNothing, "wrong_shape", ("end in a EinopsError", "self.require_pixels(pixels)")),
    (TakesAnyChannels, "wrong_shape", ("pixels of shape [1, 1, 8, 12] are taken",)),
]


@pytest.mark.parametrize(("part", "law", "words"), WRONG, ids=lambda value: getattr(value, "__name__", None))
def test_a_mistake_breaks_its_law(part: type[Patches], law: str, words: tuple[str, ...]) -> None:
    caught(part(PatchesConfig()), law, *words)
    holds(Patches(PatchesConfig()), law)


class DividedConfig(PatchesConfig):
    @property
    def feature_dim(self) -> int:
        return 12 / 2  # type: ignore[return-value]


class BareTupleConfig(PatchesConfig):
    @property
    def tile_size(self) -> Size:
        return (12, 8)  # type: ignore[return-value]


class RefusesItselfConfig(PatchesConfig):
    @property
    def tile_size(self) -> Size:
        return Size(13, 8)


class BytesConfig(PatchesConfig):
    @property
    def pixel_mean(self) -> tuple[float, float, float]:
        return (123.7, 116.3, 103.5)


class ZeroConfig(PatchesConfig):
    @property
    def pixel_std(self) -> tuple[float, float, float]:
        return (1.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (DividedConfig(), ("feature_dim is 6.0", "//")),
        (BareTupleConfig(), ("tile_size is (12, 8)", "Size, width before height")),
        (RefusesItselfConfig(), ("check_size refuses its own tile size 13x8",)),
        (BytesConfig(), ("pixel_mean is (123.7", "0 to 255")),
        (ZeroConfig(), ("pixel_std is (1.0, 1.0, 0.0)",)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, EncoderConfig) else None,
)
def test_a_config_that_declares_nonsense_breaks_the_law_of_declarations(
    config: EncoderConfig, words: tuple[str, ...]
) -> None:
    caught(config, "declared", *words)
    holds(PatchesConfig(), "declared")


def test_a_part_that_is_too_large_is_tested_without_numbers_and_says_so() -> None:
    report = examine(SigLIPConfig())
    assert report.ok
    assert {found.law for found in report.of("passed")} >= {"round_trip", "declared", "grid", "meta"}
    assert {found.reason for found in report.of("skipped")} == {
        "too large: 428,225,600 parameters, at most 10,000,000 are given numbers"
    }
    with pytest.warns(UserWarning, match=r"siglip.*428,225,600 parameters, so 18 laws were skipped \(builds, runs"):
        check_encoder("siglip")


def test_a_wrong_grid_of_a_large_part_is_found_without_numbers() -> None:
    caught(FixedTo12(PatchesConfig()), "grid", "grid_out says 2x4", max_parameters=1)
