"""Teach the eyes of a reader before it talks: `python examples/reader/see.py OUTPUT`.

Encoder and projector alone, without a language model: each quarter of a feature names the character whose middle lies
in its pixels, or none. Pages are full of text, and no view is seen twice, so that a second of computing sees more
characters than with questions and answers. What is written is a whole checkpoint, its decoder left as it was;
`train.py --begin OUTPUT` goes on from it. On two cores: `torchrun --nproc_per_node 2 examples/reader/see.py OUTPUT`.
"""

import argparse
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import count, islice
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.parallel import DistributedDataParallel

from vlkit import from_pretrained, save_pretrained
from vlkit.notation import Size
from vlkit.printed_text.source import PrintedText, PrintedTextConfig
from vlkit.printed_text.words import CAPITALS, DIGITS
from vlkit.processing.processor import Processor
from vlkit.training import Recipe
from vlkit.training.ingredients import make_model, make_processor
from vlkit.training.marks import placed, visible
from vlkit.training.optimizer import set_rates

HERE = Path(__file__).parent
ALPHABET = DIGITS + CAPITALS
NONE = len(ALPHABET)
QUARTERS = 2
"""Cells of a feature along each side."""
EVERY = 200
"""Steps from one report and checkpoint to the next."""
WARMUP, DECAY = 100, 0.3
"""Steps in which the rate rises, and the last part of the run in which it falls to nothing."""


class Eyes(nn.Module):
    """Encoder and projector, and what each cell of a feature shows.

    Args:
        encoder: of a model.
        projector: of the same model.
        dim: numbers of a projected feature.
    """

    def __init__(self, encoder: nn.Module, projector: nn.Module, dim: int) -> None:
        super().__init__()
        self.encoder, self.projector = encoder, projector
        self.names = nn.Linear(dim, QUARTERS**2 * (NONE + 1))

    def forward(self, pixels: Tensor, labels_NYX: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss of all cells, and the share of characters that are named rightly.

        Args:
            pixels: float[N, 3, height, width].
            labels_NYX: int64[N, Y, X], the character in each cell.
        """
        logits_NYXK = self.names(self.projector(self.encoder(pixels)))
        logits_NYXK = rearrange(
            logits_NYXK, "N Y X (down across K) -> N (Y down) (X across) K", down=QUARTERS, across=QUARTERS
        )
        loss = nn.functional.cross_entropy(logits_NYXK.flatten(0, 2), labels_NYX.flatten())
        shown = labels_NYX != NONE
        return loss, (logits_NYXK.argmax(-1) == labels_NYX)[shown].float().mean()


def views(processor: Processor, source: PrintedText, index: int, *, overview: bool = True) -> tuple[Tensor, Tensor]:
    """Views of a picture and their labels, its global view first where it is wanted and more than the one tile."""
    sample = source.sample(index)
    encoded = processor.process_one(prompt=processor.config.image_token, images=list(sample.images))
    tiling, tile, grid = encoded.tilings[0], processor.geometry.tile_size, processor.geometry.grid
    rows, cols = QUARTERS * grid.rows, QUARTERS * grid.cols
    labels = torch.full((1 + tiling.grid.rows * tiling.grid.cols, rows, cols), NONE)
    for mark in sample.marks[0]:
        for box, size, first in ((tiling.placed_globally, tile, 0), (tiling.placed, Size(*tiling.resolution), 1)):
            if visible(mark, tiling.image_size, box):
                x, y = placed(mark, tiling.image_size, box)
                col, row = int(x / tile.width * cols), int(y / tile.height * rows)
                if 0 <= x < size.width and 0 <= y < size.height:
                    view = first + (row // rows) * tiling.grid.cols * first + (col // cols) * first
                    labels[view, row % rows, col % cols] = ALPHABET.index(mark.text)
    if tiling.grid.rows * tiling.grid.cols == 1 or not overview:
        return encoded.images[1:], labels[1:]
    return encoded.images, labels


def batches(
    processor: Processor, source: PrintedText, size: int, *, rank: int = 0, world: int = 1, overview: bool = True
) -> Iterator[tuple[Tensor, Tensor]]:
    """Views of `size` pictures after the other, shared by `world` processes, and their labels."""
    for start in count(0, size):
        pictures = [
            views(processor, source, index, overview=overview) for index in range(start + rank, start + size, world)
        ]
        pixels, labels = zip(*pictures, strict=True)
        yield torch.cat(pixels), torch.cat(labels)


def main() -> None:
    """Teach, and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--recipe", type=Path, default=HERE / "recipe.toml", help="model, pictures and seed")
    parser.add_argument("--begin", help="checkpoint to begin from; without it, weights are fresh")
    parser.add_argument("--pictures", type=int, default=140_000)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--tiles-only", action="store_true", help="leave the letters of global views, half as large")
    given = parser.parse_args()
    recipe = Recipe.from_file(given.recipe)
    assert isinstance(recipe.data, PrintedTextConfig)
    model = from_pretrained(given.begin, dtype=torch.float32) if given.begin else make_model(recipe)
    processor = make_processor(recipe, model.config)
    pages = recipe.data.pages.replace(full=1.0)
    source = PrintedText(recipe.data.replace(pages=pages, same_format=given.batch_size))
    rank, world = begin_processes()
    torch.manual_seed(recipe.seed)
    eyes: nn.Module = Eyes(model.encoder, model.projector, model.config.decoder.dim).train()
    model.encoder.compile(dynamic=True)
    if world > 1:
        eyes = DistributedDataParallel(eyes)
    with sdpa_kernel(SDPBackend.MATH):
        coming = batches(processor, source, given.batch_size, rank=rank, world=world, overview=not given.tiles_only)
        steps = given.pictures // given.batch_size
        for step, loss, right in teach(eyes, islice(coming, steps), steps, lr=given.lr, clip=recipe.clip):
            if rank == 0 and (step % EVERY == 0 or step == steps):
                print(f"step {step} of {steps}: loss {loss:.4f}, {right:.1%} of the characters right", flush=True)
                save_pretrained(model, given.output, processor=processor)


def teach(
    eyes: nn.Module, coming: Iterable[tuple[Tensor, Tensor]], steps: int, *, lr: float, clip: float
) -> Iterator[tuple[int, float, float]]:
    """Learn batch after batch; the step, and the means of loss and right answers over the last `EVERY` steps."""
    group = {"params": eyes.parameters(), "peak_lr": lr}
    optimizer = torch.optim.AdamW([group], lr=lr, betas=(0.9, 0.95), weight_decay=0.05, fused=True)
    last: deque[tuple[float, float]] = deque(maxlen=EVERY)
    for step, (pixels, labels_NYX) in enumerate(coming, start=1):
        set_rates(optimizer, min(step / WARMUP, (steps + 1 - step) / (DECAY * steps), 1.0))
        loss, right = eyes(pixels, labels_NYX)
        loss.backward()
        nn.utils.clip_grad_norm_(eyes.parameters(), clip)
        optimizer.step()
        optimizer.zero_grad()
        last.append((loss.item(), right.item()))
        mean_loss, mean_right = (sum(each) / len(last) for each in zip(*last, strict=True))
        yield step, mean_loss, mean_right


def begin_processes() -> tuple[int, int]:
    """Rank of this process and number of all, which torchrun tells; one alone without it."""
    if not torch.distributed.is_torchelastic_launched():
        return 0, 1
    torch.distributed.init_process_group("gloo")
    return torch.distributed.get_rank(), torch.distributed.get_world_size()


if __name__ == "__main__":
    main()
