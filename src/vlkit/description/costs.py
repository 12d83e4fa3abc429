"""What a prompt with pictures costs: tokens and floating-point operations, by arithmetic alone."""

from __future__ import annotations

from dataclasses import dataclass

from vlkit.description.parameters import Parameters
from vlkit.description.unknown import add, multiply
from vlkit.errors import InputError
from vlkit.notation import Grid, Size
from vlkit.vlm_config import VLMConfig


@dataclass(frozen=True)
class Picture:
    """What becomes of one picture.

    Args:
        size: its width and height in pixels.
        resolution: width and height that it is fitted to.
        scale: by how much its sides shrink or grow for that; 0 if it is so thin that nothing of it is left.
        tiles: rows and columns of tiles that it is cut into.
        views: the global view and the tiles that the layout has a place for, which the encoder sees.
        tokens: image tokens.
        flops: the encoder's operations on all views; None if unknown.
    """

    size: Size
    resolution: Size
    scale: float
    tiles: Grid
    views: int
    tokens: int
    flops: int | None

    @classmethod
    def plan(cls, config: VLMConfig, size: tuple[int, int], *, crop: bool | None, images: int = 1) -> Picture:
        """What becomes of a picture of this width and height, one of `images` in its prompt.

        Raises:
            InputError: if it is no pair of positive whole numbers.
        """
        if not isinstance(size, tuple | list) or [type(side) for side in size] != [int, int]:
            raise InputError(
                f"image size {size!r}",
                rule="a size is a pair of whole numbers, width and height in pixels",
                remedy="image_sizes=[(1024, 768)], for instance",
            )
        tiling = config.tiling((size[0], size[1]), crop=crop, images=images)
        tiles = config.layout.tile_count(tiling.grid)
        placed = tiling.placed if tiles else tiling.placed_globally
        flops = tiles * config.encoder.forward_flops(tiling.tile_size) + config.encoder.forward_flops(tiling.overview)
        fitted = min(placed.right - placed.left, placed.lower - placed.upper)
        return cls(
            size=tiling.image_size,
            resolution=tiling.resolution if tiles else tiling.overview,
            scale=(placed.right - placed.left) / size[0] if fitted else 0.0,
            tiles=tiling.grid,
            views=1 + tiles,
            tokens=config.layout.count(tiling.grid, config.grid, config.overview),
            flops=flops or None,
        )


@dataclass(frozen=True)
class Context:
    """Length of prompt and answer.

    Args:
        image_tokens: tokens of all pictures.
        prompt_tokens: tokens of the text.
        new_tokens: tokens of the answer.
        total: all of them together.
        positions: how many the decoder runs over; the last new token is read, but not fed back.
        limit: most positions of the decoder; None: no limit.
    """

    image_tokens: int
    prompt_tokens: int
    new_tokens: int
    total: int
    positions: int
    limit: int | None

    @classmethod
    def of(cls, config: VLMConfig, *, image_tokens: int, prompt_tokens: int, new_tokens: int) -> Context:
        """Length of a prompt and an answer with so many tokens."""
        prefill = image_tokens + prompt_tokens
        return cls(
            image_tokens=image_tokens,
            prompt_tokens=prompt_tokens,
            new_tokens=new_tokens,
            total=prefill + new_tokens,
            positions=prefill + max(new_tokens - 1, 0),
            limit=config.decoder.max_positions,
        )

    @property
    def prefill(self) -> int:
        """Positions of the prompt."""
        return self.image_tokens + self.prompt_tokens

    @property
    def exceeded(self) -> bool:
        """Whether there are more positions than the decoder has."""
        return self.limit is not None and self.positions > self.limit


@dataclass(frozen=True)
class Flops:
    """Floating-point operations in matrix products, a multiply-add being two; None where a part does not tell.

    Norms, activations, rotation and softmax are left out: they are few, and bound by memory.

    Args:
        encoder_view: the encoder on one tile.
        encoder: the encoder on all views.
        projector_view: the projector on one tile.
        projector: the projector on all views.
        prefill: the decoder on the prompt, with the active experts only and the head at the last position.
        decode: the decoder and its head on one new token, the last one, which sees all positions.
    """

    encoder_view: int | None
    encoder: int | None
    projector_view: int | None
    projector: int | None
    prefill: int | None
    decode: int | None

    @classmethod
    def count(cls, config: VLMConfig, *, tiles: int, overviews: int, context: Context, parameters: Parameters) -> Flops:
        """Operations of one sample with so many tiles and global views.

        The head is taken to be one matrix, `2 D` operations per token id.
        """
        tile, overview = config.tile_size, Size(*(config.global_view_size or config.tile_size))
        encoder, encoder_overview = (config.encoder.forward_flops(size) or None for size in (tile, overview))
        projector, projector_overview = (_projector_flops(config, size, parameters) for size in (tile, overview))
        head = 2 * config.decoder.dim * config.decoder.vocabulary

        def decoder(new: int, seen: int) -> int | None:
            return add((config.decoder.forward_flops(new, seen) or None, head)) if new else 0

        return cls(
            encoder_view=encoder,
            encoder=add((multiply(tiles, encoder), multiply(overviews, encoder_overview))),
            projector_view=projector,
            projector=add((multiply(tiles, projector), multiply(overviews, projector_overview))),
            prefill=decoder(context.prefill, context.prefill),
            decode=decoder(1, max(context.positions, 1)),
        )


def _projector_flops(config: VLMConfig, size: Size, parameters: Parameters) -> int | None:
    """Operations on one view; none are known to be none only if there are no parameters either."""
    flops = config.projector.forward_flops(
        config.encoder.grid_out(size), in_dim=config.encoder.feature_dim, out_dim=config.decoder.dim
    )
    return flops if flops or parameters["projector"].total == 0 else None
