"""The convolutional abstractor against a network of timm's RegNet stages, as Honeybee has it."""

from functools import partial

import pytest
import torch
from timm.layers import LayerNorm2d
from timm.models.regnet import RegStage
from torch import nn
from torch.nn import functional as F

from tests.projectors.oracles import drawn
from tests.strategies import normal
from tests.tolerances import EXACT
from vlkit.checkpoint.keymap import KeyMap
from vlkit.checkpoint.rules import Rule
from vlkit.notation import Grid
from vlkit.projectors import ConvAbstractor, ConvAbstractorConfig, projectors

HONEYBEE = KeyMap([Rule("abstractor.{rest}", "{rest}")])
IN_DIM, WIDTH, OUT_DIM = 8, 12, 10


def honeybee(*, width: int, target: tuple[int, int], blocks: int, depth: int) -> nn.ModuleDict:
    """The layers of Honeybee's abstractor: two stages around an average, and the linear layers."""
    stage = partial(RegStage, stride=1, dilation=1, act_layer=nn.SiLU, norm_layer=LayerNorm2d)
    readout: list[nn.Module] = [nn.Linear(width, OUT_DIM)]
    for _ in range(depth - 1):
        readout += [nn.SiLU(), nn.Linear(OUT_DIM, OUT_DIM)]
    net = nn.Sequential(stage(blocks, IN_DIM, width), nn.AdaptiveAvgPool2d(target), stage(blocks, width, width))
    return drawn(nn.ModuleDict({"net": net, "readout": nn.Sequential(*readout)}))


def abstractor(config: ConvAbstractorConfig) -> ConvAbstractor:
    """Abstractor in float64 with every parameter drawn at random."""
    built = drawn(projectors.build(config, in_dim=IN_DIM, out_dim=OUT_DIM))
    assert isinstance(built, ConvAbstractor)
    return built


@pytest.mark.parametrize("width", [IN_DIM, WIDTH])
@pytest.mark.parametrize(("grid", "target"), [((4, 4), (2, 2)), ((6, 5), (3, 2)), ((3, 7), (3, 1))])
@pytest.mark.parametrize(("blocks", "depth"), [(1, 1), (2, 3)])
def test_stages_average_and_layers_are_honeybee_s(
    width: int, grid: tuple[int, int], target: tuple[int, int], blocks: int, depth: int
) -> None:
    oracle = honeybee(width=width, target=target, blocks=blocks, depth=depth)
    config = ConvAbstractorConfig(grid=target, positions=grid, width=width, blocks=blocks, depth=depth)
    projector, pos_emb = abstractor(config), normal(7, 1, Grid(*grid).area, IN_DIM)
    official = {f"abstractor.{name}": tensor for name, tensor in oracle.state_dict().items()}
    projector.load_state_dict(HONEYBEE.from_theirs(official | {"abstractor.pos_emb": pos_emb}))
    x_NYXW = normal(1, 2, *grid, IN_DIM)
    placed = (x_NYXW.flatten(1, 2) + pos_emb).unflatten(1, grid)
    expected = oracle["readout"](oracle["net"](placed.movedim(-1, 1)).movedim(1, -1))
    torch.testing.assert_close(projector(x_NYXW), expected, rtol=0, atol=EXACT)


def test_positions_are_resized_to_the_features() -> None:
    projector = abstractor(ConvAbstractorConfig(grid=(2, 2), positions=(3, 4), width=6, blocks=1))
    bare = abstractor(projector.config.replace(positions=None))
    bare.load_state_dict({name: tensor for name, tensor in projector.state_dict().items() if name != "pos_emb"})
    assert projector.pos_emb is not None
    native = projector.pos_emb.unflatten(1, (3, 4)).movedim(-1, 1)
    for grid in ((2, 6), (5, 5)):
        positions = F.interpolate(native, size=grid, mode="bicubic", antialias=True).movedim(1, -1)
        x_NYXW = normal(2, 2, *grid, IN_DIM)
        torch.testing.assert_close(projector(x_NYXW), bare(x_NYXW + positions), rtol=0, atol=EXACT)


def test_the_defaults_are_honeybee_s() -> None:
    with torch.device("meta"):
        projector = projectors.build(ConvAbstractorConfig(), in_dim=1024, out_dim=4096)
    assert projector.grid_out(Grid(24, 24)).area == 144
    stages = [name for name, _ in projector.named_parameters() if name.endswith("conv2.conv.weight")]
    assert stages == [f"net.{stage}.b{block}.conv2.conv.weight" for stage in (0, 2) for block in (1, 2, 3)]
    assert projector.get_parameter("pos_emb").shape == (1, 576, 1024)
    assert projector.get_parameter("readout.2.weight").shape == (4096, 4096)
