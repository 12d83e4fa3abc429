"""Golden c4: from pixels to the embedding sequence, through the loading path with the official names."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.testing import assert_close

import vlkit
from tests import tolerances
from tests.models.deepseek_ocr.released import LANGUAGE, RELEASED
from tests.parity import GOLDEN
from vlkit.checkpoint import named_tensors
from vlkit.layouts import TilesFirstConfig, trace
from vlkit.models.deepseek_ocr.keys import KEYMAP
from vlkit.models.deepseek_ocr.model import DeepseekOCR
from vlkit.notation import Grid

CASE = GOLDEN / "c4_ocr_layout"
IO = load_file(CASE / "io.safetensors")
PICTURES = range(len(IO["images_spatial_crop"]))
STORED = [j for j in PICTURES if f"pixel_values.{j}" in IO]
"""Pictures whose pixels are in this copy."""
TILE, OVERVIEW = Grid(2, 2), Grid(3, 3)
"""Features of a tile of 112 and of a global view of 160 pixels."""


def tiles_of(j: int) -> Grid:
    across, down = IO["images_spatial_crop"][j].tolist()
    return Grid(down, across)


def pixels_of(pictures: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Tiles [1, n, 3, 112, 112] and global views [1, m, 3, 160, 160] of pictures of one sample."""
    cut = [IO[f"images_crop.{j}"] for j in pictures if tiles_of(j).area > 1]
    tiles = torch.cat([*cut, torch.zeros(0, 3, 112, 112, dtype=torch.bfloat16)])
    return tiles[None], torch.stack([IO[f"pixel_values.{j}"] for j in pictures])[None]


def official_config() -> dict[str, Any]:
    """The official config.json of the case, with a small language model."""
    own = json.loads((CASE / "config.json").read_text())
    sam, clip, projector = own["sam"], own["clip"], own["projector"]
    small = {
        "vocab_size": 64,
        "hidden_size": projector["n_embed"],
        "intermediate_size": 24,
        "moe_intermediate_size": 12,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "num_key_value_heads": 3,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
    }
    towers = {
        "clip-l-14-224": {
            "heads": clip["num_heads"],
            "image_size": clip["image_size"],
            "layers": clip["num_layers"],
            "patch_size": clip["patch_size"],
            "width": clip["hidden_size"],
        },
        "sam_vit_b": {
            "downsample_channels": sam["downsample_channels"],
            "global_attn_indexes": sam["global_attn_indexes"],
            "heads": sam["num_heads"],
            "layers": sam["depth"],
            "width": sam["embed_dim"],
            "out_chans": sam["out_chans"],
            "patch_size": sam["patch_size"],
            "window_size": sam["window_size"],
        },
    }
    language = LANGUAGE | small
    return RELEASED | {
        "language_config": RELEASED["language_config"] | language,
        "projector_config": RELEASED["projector_config"] | projector,
        "vision_config": RELEASED["vision_config"] | {"image_size": sam["img_size"], "width": towers},
        **language,
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint in the official layout: the case's weights under official names, and a random language model."""
    folder = tmp_path_factory.mktemp("c4")
    torch.manual_seed(0)
    random = vlkit.build(official_config())
    names = KEYMAP.to_theirs({name: tensor.detach() for name, tensor in named_tensors(random).items()})
    language = {
        name: tensor.contiguous()
        for name, tensor in names.items()
        if name.startswith(("model.layers.", "model.embed_tokens.", "model.norm.", "lm_head."))
    }
    case = {f"model.{name}": tensor for name, tensor in load_file(CASE / "model.safetensors").items()}
    assert not language.keys() & case.keys()
    save_file(language | case, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(official_config()))
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> DeepseekOCR:
    model = vlkit.from_pretrained(folder)
    assert isinstance(model, DeepseekOCR)
    return model


@torch.no_grad()
def embedded(model: DeepseekOCR, pictures: Sequence[int]) -> Tensor:
    """Image tokens of pictures of one sample, with a token of text before each and after all."""
    counts = [TilesFirstConfig().count(tiles_of(j), TILE, OVERVIEW) for j in pictures]
    places = torch.tensor([[place for count in counts for place in [False] + [True] * count] + [False]])
    images, global_views = pixels_of(pictures)
    ids = torch.full(places.shape, 7)
    x_BTD = model.prepare_inputs_embeds(
        ids,
        images.to(model.dtype),
        places,
        IO["images_spatial_crop"][None, list(pictures)],
        global_views=global_views.to(model.dtype),
    )
    assert torch.equal(x_BTD[~places], model.decoder.embed(ids[~places]))
    return x_BTD[places]


def near(actual: Tensor, expected: Tensor) -> None:
    assert_close(actual, expected, rtol=0, atol=tolerances.STAGE * float(expected.abs().max()))


@pytest.mark.parametrize("j", STORED)
def test_pixels_become_the_official_embeddings(model: DeepseekOCR, j: int) -> None:
    assert model.config.mode == "gundam"
    near(embedded(model, [j]), IO[f"embeddings.{j}"])


def test_pictures_of_one_text_follow_each_other(model: DeepseekOCR) -> None:
    near(embedded(model, STORED), torch.cat([IO[f"embeddings.{j}"] for j in STORED]))


@torch.no_grad()
def test_pictures_of_a_batch_are_padded_to_the_most_tiles(model: DeepseekOCR) -> None:
    rows = [pixels_of([j]) for j in STORED]
    most = max(tiles.shape[1] for tiles, _ in rows)
    images = torch.zeros(len(STORED), most, 3, 112, 112)
    counts = torch.tensor([len(IO[f"embeddings.{j}"]) for j in STORED])
    places = torch.arange(int(counts.max()) + 1) >= int(counts.max()) + 1 - counts[:, None]
    for row, (tiles, _) in enumerate(rows):
        images[row, : tiles.shape[1]] = tiles[0]
    x_BTD = model.prepare_inputs_embeds(
        torch.full(places.shape, 7),
        images,
        places,
        IO["images_spatial_crop"][STORED, None],
        global_views=torch.cat([views for _, views in rows]).float(),
    )
    for row, j in enumerate(STORED):
        near(x_BTD[row][places[row]], IO[f"embeddings.{j}"])


@pytest.mark.parametrize("j", PICTURES)
def test_the_plan_is_the_official_order(j: int) -> None:
    separators = {"image_newline": [-2, -2, -2], "view_separator": [-3, -3, -3]}
    ours = [
        [source.view - 1, source.row, source.col] if source.view is not None else separators[str(source.separator)]
        for source in trace(TilesFirstConfig(), tiles_of(j), TILE, OVERVIEW)
    ]
    assert torch.equal(torch.tensor(ours), IO[f"layout.{j}"])


@pytest.mark.parametrize("j", STORED)
def test_bfloat16_is_near(folder: Path, j: int) -> None:
    model = vlkit.from_pretrained(folder, dtype=torch.bfloat16)
    assert isinstance(model, DeepseekOCR)
    ours, theirs = embedded(model, [j]).float(), IO[f"bf16.embeddings.{j}"].float()
    assert (ours - theirs).norm() / theirs.norm() < tolerances.BFLOAT16
