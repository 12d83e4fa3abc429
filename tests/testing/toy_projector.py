"""A projector that keeps all laws, with a method for every step that a mistake can be made in."""

from typing import Literal

from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from vlkit.notation import Grid
from vlkit.projectors import Projector, ProjectorConfig
from vlkit.testing.state import isolated


class MergeConfig(ProjectorConfig):
    """Merges blocks of 2 x 2 features, gated."""

    type: Literal["merge"] = "merge"
    """Tag of the projector."""

    @property
    def merge(self) -> int:
        return 2

    def grid_out(self, grid: Grid) -> Grid:
        return Grid(-(-grid.rows // 2), -(-grid.cols // 2))

    def forward_flops(self, grid: Grid, *, in_dim: int, out_dim: int) -> int:
        return 2 * self.grid_out(grid).area * 2 * 4 * in_dim * out_dim


class Merge(Projector):
    """A projector that keeps all laws, once it is registered."""

    def __init__(self, config: ProjectorConfig, *, in_dim: int, out_dim: int) -> None:
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        self.up = nn.Linear(4 * in_dim, out_dim)
        self.gate = nn.Linear(4 * in_dim, out_dim)
        self.add_layers()

    def add_layers(self) -> None:
        """Whatever a mistake needs."""

    def forward(self, x_NYXW: Tensor) -> Tensor:
        self.require_width(x_NYXW)
        return self.mix(self.blocks(x_NYXW))

    def blocks(self, x_NYXW: Tensor) -> Tensor:
        """float[N, Y, X, W] to float[N, Y', X', 4 W]."""
        rows, cols = x_NYXW.shape[1:3]
        padded = F.pad(x_NYXW, (0, 0, 0, cols % 2, 0, rows % 2))
        return rearrange(padded, "n (y a) (x b) w -> n y x (w a b)", a=2, b=2)

    def mix(self, x_NYXW: Tensor) -> Tensor:
        """float[N, Y', X', 4 W] to float[N, Y', X', D]."""
        return self.up(x_NYXW) * self.gate(x_NYXW).sigmoid()


def built(part: type[Merge]) -> Merge:
    """The part, with fresh weights; whatever its constructor does to the process is undone."""
    with isolated():
        return part(MergeConfig(), in_dim=4, out_dim=6)
