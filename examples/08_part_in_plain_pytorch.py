"""Two parts of vlkit in a PyTorch model that knows nothing else of it: features of a convolution, laid out as rows."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vlkit.layouts import Layout2D, Layout2DConfig
from vlkit.notation import Grid
from vlkit.projectors import PixelShuffle, PixelShuffleConfig


class Captioner(nn.Module):
    """A picture in four tiles to one score per word."""

    def __init__(self, *, width: int = 32, dim: int = 48, words: int = 10) -> None:
        super().__init__()
        self.vision = nn.Conv2d(3, width, kernel_size=8, stride=8)
        self.bridge = PixelShuffle(PixelShuffleConfig(scale_factor=2), in_dim=width, out_dim=dim)
        self.layout = Layout2D(Layout2DConfig(), dim=dim)
        self.reader = nn.GRU(dim, dim, batch_first=True)
        self.head = nn.Linear(dim, words)

    def forward(self, views: Tensor, tiles: Grid) -> Tensor:
        features = self.vision(views).movedim(1, -1)
        tokens = self.layout(self.bridge(features), [tiles])
        _, summary = self.reader(tokens[None])
        return self.head(summary[0])


torch.manual_seed(0)
model, tiles = Captioner(), Grid(2, 2)
views = torch.randn(1 + tiles.area, 3, 32, 32)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for step in range(5):
    loss = F.cross_entropy(model(views, tiles), torch.tensor([3]))
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    print(f"step {step}: loss {loss.item():.3f}")

print(model.layout.config.count(tiles, model.bridge.grid_out(Grid(4, 4))), "tokens:", tiles, "tiles and a global view")
