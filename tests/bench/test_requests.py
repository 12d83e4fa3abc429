"""Requests: what they take at least, their pictures, and what is refused."""

import io

import pytest
import torch
from PIL import Image

import vlkit
from vlkit.bench import Request
from vlkit.errors import ContextLengthError, InputError
from vlkit.notation import Size

TINY = vlkit.presets["deepseek-vl2-tiny"]


def test_work_is_what_the_description_counts() -> None:
    request = Request((Size(1024, 768),), prompt_tokens=64, new_tokens=64)
    about = vlkit.describe(TINY, image_sizes=[(1024, 768)], prompt_tokens=64, new_tokens=33)
    work = request.work(TINY, torch.bfloat16)
    encoder, decoder = about.parameters["encoder"], about.parameters["decoder"]
    assert encoder.total is not None and decoder.active is not None
    assert work["vision"] == (about.flops.encoder, 2 * (encoder.total - encoder.unused))
    assert work["projector"] == (about.flops.projector, 2 * (about.parameters["projector"].total or 0))
    assert work["prefill"] == (about.flops.prefill, 2 * decoder.active)
    assert work["decode"] == (about.flops.decode, about.memory.read_per_token)


def test_decoding_is_counted_at_the_mean_context() -> None:
    request = Request((), prompt_tokens=100, new_tokens=21)
    per_token = vlkit.describe(TINY).memory.cache_per_token
    weights = vlkit.describe(TINY).parameters["decoder"].active
    assert per_token is not None and weights is not None
    positions = [100 + step for step in range(1, 21)]
    mean = sum(positions) / len(positions)
    assert request.work(TINY, torch.bfloat16)["decode"].nbytes == pytest.approx(
        2 * weights + mean * per_token, rel=1e-4
    )


def test_without_pictures_there_is_no_vision() -> None:
    request = Request((), prompt_tokens=5)
    assert set(request.work(TINY, torch.float32)) == {"prefill", "decode"}
    assert request.pictures() == []


def test_pictures_are_jpeg_files_of_these_sizes_and_always_the_same() -> None:
    request = Request((Size(40, 30), Size(9, 50)))
    pictures = request.pictures()
    opened = [Image.open(io.BytesIO(picture)) for picture in pictures]
    assert [(image.format, image.size) for image in opened] == [("JPEG", (40, 30)), ("JPEG", (9, 50))]
    assert pictures == request.pictures()


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"new_tokens": 1}, "new_tokens 1"),
        ({"image_sizes": (), "prompt_tokens": 0}, "0 pictures and 0 tokens"),
        ({"prompt_tokens": -1}, "-1 tokens of text"),
    ],
)
def test_requests_that_cannot_be_timed_are_refused(fields: dict[str, int], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        Request(**fields)  # type: ignore[arg-type]


def test_requests_beyond_the_decoder_are_refused() -> None:
    with pytest.raises(ContextLengthError, match="takes 4097 positions"):
        Request((), prompt_tokens=4096, new_tokens=2).describe(TINY)
    Request((), prompt_tokens=4095, new_tokens=2).describe(TINY)
