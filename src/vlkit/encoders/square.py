"""The rule of encoders whose positions can be resized, but whose tiles are squares."""

from __future__ import annotations

from vlkit.errors import ConfigError
from vlkit.notation import Size


def check_square(encoder: str, size: Size, patch_size: int) -> None:
    """Refuse tiles that are no squares of whole patches.

    Args:
        encoder: tag of the encoder, for the message.
        size: width and height of the tile in pixels.
        patch_size: side of a patch in pixels.

    Raises:
        ConfigError: naming the size, the rule and the remedy.
    """
    if size.width != size.height or size.width % patch_size or size.width < patch_size:
        raise ConfigError(
            f"tiles of {size} pixels for encoder {encoder!r}",
            rule=f"its tiles are squares of whole patches of {patch_size} pixels",
            remedy=f"pad or resize the picture to a square with a side of 1, 2, 3 .. times {patch_size}",
        )
