"""Teaching encoder and projector alone: labels lie where characters are, and are learned."""

import runpy
from itertools import islice

import pytest
import torch

from tests.markdown import ROOT
from vlkit.models.deepseek_vl2.builder import DeepseekVLV2Builder
from vlkit.models.deepseek_vl2.model import DeepseekVLV2
from vlkit.models.deepseek_vl2.processor import DeepseekVLV2Processor
from vlkit.printed_text.composing import PageConfig
from vlkit.printed_text.source import PrintedText, PrintedTextConfig

SEE = runpy.run_path(str(ROOT / "examples" / "reader" / "see.py"))
ALPHABET, NONE = SEE["ALPHABET"], SEE["NONE"]


def parts(*formats: tuple[int, int]) -> tuple[DeepseekVLV2, DeepseekVLV2Processor, PrintedText]:
    torch.manual_seed(0)
    model = (
        DeepseekVLV2Builder("mini")
        .encoder("siglip", image_size=64, patch_size=8, width=64, layers=1, heads=2)
        .candidate_resolutions((64, 64), (128, 64), (64, 128))
        .decoder("deepseek_v2", vocab_size=273)
        .build()
    )
    pages = PageConfig(
        fonts=("pillow",), formats=formats, scale=(1, 1), trim=0, font_size=(20, 24), angle=0, noise=0, full=1.0
    )
    return model, DeepseekVLV2Processor.for_model(model.config), PrintedText(PrintedTextConfig(pages=pages))


@pytest.mark.parametrize(("form", "count"), [((64, 64), 1), ((128, 64), 3), ((64, 128), 3)])
def test_labels_lie_where_the_characters_are(form: tuple[int, int], count: int) -> None:
    _, processor, source = parts(form)
    for index in range(4):
        pixels, labels = SEE["views"](processor, source, index)
        assert len(pixels) == len(labels) == count
        assert labels.shape[1:] == (8, 8)
        tiles = labels if count == 1 else labels[1:]
        whole = torch.cat(list(tiles), dim=1 if form[0] > form[1] else 0)
        expected = torch.full_like(whole, NONE)
        for letter, x, y in source.printed(index).characters:
            expected[int(y / 8), int(x / 8)] = ALPHABET.index(letter)
        assert torch.equal(whole, expected)
        assert (whole != NONE).any()


@pytest.mark.parametrize(("form", "tiles"), [((64, 64), 1), ((128, 64), 2), ((64, 128), 2)])
def test_without_overview_only_the_tiles_come(form: tuple[int, int], tiles: int) -> None:
    _, processor, source = parts(form)
    for index in range(3):
        pixels, labels = SEE["views"](processor, source, index, overview=False)
        all_pixels, all_labels = SEE["views"](processor, source, index)
        assert len(pixels) == len(labels) == tiles
        assert torch.equal(pixels, all_pixels[-tiles:])
        assert torch.equal(labels, all_labels[-tiles:])
    batch = [SEE["views"](processor, source, index, overview=False) for index in range(3)]
    coming = next(SEE["batches"](processor, source, 3, overview=False))
    for part, views in zip(coming, zip(*batch, strict=True), strict=True):
        assert torch.equal(part, torch.cat(views))


def test_small_letters_of_the_global_view_are_labelled_at_half_size() -> None:
    _, processor, source = parts((128, 64))
    _, labels = SEE["views"](processor, source, 0)
    letters = sorted(ALPHABET.index(letter) for letter, _, _ in source.printed(0).characters)
    assert set(labels[0][labels[0] != NONE].tolist()) <= set(letters)
    assert (labels[0] != NONE).any()


def test_processes_share_the_pictures_of_a_batch() -> None:
    _, processor, source = parts((64, 64))
    alone = next(SEE["batches"](processor, source, 4))
    shares = [next(SEE["batches"](processor, source, 4, rank=rank, world=2)) for rank in range(2)]
    for part in range(2):
        assert torch.equal(alone[part][0::2], shares[0][part])
        assert torch.equal(alone[part][1::2], shares[1][part])


def test_characters_are_learned() -> None:
    model, processor, source = parts((64, 64))
    eyes = SEE["Eyes"](model.encoder, model.projector, model.config.decoder.dim)
    batch = next(SEE["batches"](processor, source, 4))
    before = model.encoder.get_parameter("blocks.0.attn.qkv.weight").detach().clone()
    rows = list(SEE["teach"](eyes, islice([batch] * 60, 60), 60, lr=3e-3, clip=1.0))
    first, last = rows[0], rows[-1]
    assert [row[0] for row in rows] == list(range(1, 61))
    assert last[1] < 0.6 * first[1]
    assert not torch.equal(before, model.encoder.get_parameter("blocks.0.attn.qkv.weight"))
