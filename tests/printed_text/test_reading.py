"""What is read is text without its end, and what is found is a box in pixels."""

from typing import Any

import pytest
import torch
from PIL import Image

import vlkit
from vlkit.models.deepseek_vl2.processor import DeepseekVLV2Processor
from vlkit.printed_text.reading import find, read
from vlkit.tiling import Box

PICTURE = Image.linear_gradient("L").resize((100, 56)).convert("RGB")


@pytest.fixture(scope="module")
def small() -> tuple[Any, Any]:
    torch.manual_seed(0)
    model = vlkit.build("mini").eval()
    return model, DeepseekVLV2Processor.for_model(model.config)


def test_read_gives_text_without_the_end_and_find_gives_a_box_in_pixels(
    small: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, processor = small
    told = "<|ref|>AB<|/ref|><|det|>[[0, 0, 500, 999]]<|/det|>"
    for text in ("AB 12", told, "nothing"):
        ids = torch.tensor([[*processor.tokenizer.encode(text), processor.tokenizer.eos_id]])
        monkeypatch.setattr(type(model), "generate", lambda self, ids=ids, **inputs: ids)
        assert read(model, processor, PICTURE).text == text
        assert read(model, processor, PICTURE).ended
        answer, box = find(model, processor, PICTURE, "AB")
        assert answer.text == text
        assert box == (Box(0, 0, 50, 56) if text == told else None)
