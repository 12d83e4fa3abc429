"""What an encoder's config tells without weights, and the place for an encoder from outside."""

import pytest

from vlkit.encoders import EncoderConfig, SuppliedEncoderConfig, encoders
from vlkit.errors import ConfigError
from vlkit.notation import Grid, Size


def test_a_cell_is_the_patch_behind_one_feature() -> None:
    config = SuppliedEncoderConfig(width=8, image_size=(60, 31), grid=(3, 5))
    assert config.grid_out(config.tile_size) == Grid(3, 5)
    assert config.cell_size == Size(12, 10)
    assert (config.feature_dim, config.forward_flops(config.tile_size)) == (8, 0)


def test_a_supplied_encoder_takes_its_own_tile_only() -> None:
    with pytest.raises(ConfigError, match="takes 60x31"):
        SuppliedEncoderConfig(width=8, image_size=(60, 31), grid=(3, 5)).grid_out(Size(31, 60))


@pytest.mark.parametrize("fields", [{"image_size": (0, 4)}, {"grid": (2, 0)}, {"grid": (-1, 2)}, {"width": 0}])
def test_empty_tiles_grids_and_widths_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="greater than"):
        SuppliedEncoderConfig.model_validate({"width": 8, "image_size": (4, 4), "grid": (1, 1)} | fields)


def test_a_supplied_encoder_is_not_built_from_its_config() -> None:
    with pytest.raises(ConfigError, match=r"encoder\(module"):
        encoders.build(SuppliedEncoderConfig(width=8, image_size=(4, 4), grid=(1, 1)))


@pytest.mark.parametrize("name", ["feature_dim", "tile_size"])
def test_an_encoder_config_that_leaves_something_open_says_what(name: str) -> None:
    with pytest.raises(NotImplementedError, match=f"EncoderConfig defines {name}"):
        getattr(EncoderConfig(type="open"), name)
