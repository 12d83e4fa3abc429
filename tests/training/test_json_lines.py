"""LLaVA's files: what is in them, and all that can be wrong with them."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vlkit.errors import ConfigError
from vlkit.training import JsonLines, SampleError
from vlkit.training.json_index import index_file

TEXT = {"conversations": [{"from": "human", "value": "hello"}, {"from": "gpt", "value": "hi"}]}


def entry(image: Any = "a.png", question: str = "<image>\nWhat?", **fields: Any) -> dict[str, Any]:
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": "A boat."}]
    return {"id": "1", "image": image, "conversations": turns, **fields}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "deep").mkdir(parents=True)
    Image.new("RGB", (4, 3), "red").save(folder / "a.png")
    Image.new("L", (5, 3)).save(folder / "deep" / "b.png")
    Image.new("RGB", (2, 2)).save(tmp_path / "secret.png")
    return folder


def written(tmp_path: Path, text: str | bytes) -> Path:
    file = tmp_path / "data.jsonl"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def lines(tmp_path: Path, *entries: Any) -> Path:
    return written(tmp_path, "".join(json.dumps(each) + "\n" for each in entries))


def test_conversations_and_pictures_are_read(tmp_path: Path, pictures: Path) -> None:
    two = entry(["a.png", "deep/b.png"], "<image> and <image>?")
    source = JsonLines(lines(tmp_path, entry(), two, TEXT), pictures)
    first, second, third = (source.sample(index) for index in range(3))
    assert source.count == 3 and first.origin == "data.jsonl, line 1" and third.origin == "data.jsonl, line 3"
    assert first.conversation == (
        {"role": "<|User|>", "content": "<image>\nWhat?"},
        {"role": "<|Assistant|>", "content": "A boat."},
    )
    assert [image.size for image in second.images] == [(4, 3), (5, 3)]
    assert all(image.mode == "RGB" for image in second.images) and third.images == ()


def test_system_turns_and_further_rounds_are_kept(tmp_path: Path) -> None:
    turns = [("system", "be short"), ("human", "a"), ("gpt", "b"), ("user", "c"), ("assistant", "d")]
    made = {"conversations": [{"from": speaker, "value": text} for speaker, text in turns]}
    roles = [turn["role"] for turn in JsonLines(lines(tmp_path, made)).sample(0).conversation]
    assert roles == ["system", "<|User|>", "<|Assistant|>", "<|User|>", "<|Assistant|>"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='ab"\\{}[]\n,é ', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='a"{]', max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
objects = st.dictionaries(st.text(alphabet='ab"\\{}[]', max_size=3), json_values, max_size=3)


@given(st.lists(objects, min_size=1, max_size=6), st.sampled_from([None, 1]), st.booleans())
def test_an_array_and_lines_hold_the_same_entries(
    tmp_path_factory: pytest.TempPathFactory, entries: list[Any], indent: int | None, bom: bool
) -> None:
    folder = tmp_path_factory.mktemp("json")
    mark = b"\xef\xbb\xbf" if bom else b""
    array = written(folder, mark + b" \n" + json.dumps(entries, indent=indent, ensure_ascii=False).encode())
    content = array.read_bytes()
    places = index_file(array)
    cut = [places[number] for number in range(len(places))]
    assert [json.loads(content[place.start : place.start + place.length]) for place in cut] == entries
    assert [place.line for place in cut] == [content[: place.start].count(b"\n") + 1 for place in cut]
    flat = written(folder, mark + b"\n \r\n".join(json.dumps(each).encode() for each in entries))
    content, places = flat.read_bytes(), index_file(flat)
    cut = [places[number] for number in range(len(places))]
    assert [json.loads(content[place.start : place.start + place.length]) for place in cut] == entries
    assert [place.line for place in cut] == [2 * number + 1 for number in range(len(entries))]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "malformed JSON"),
        ("[" * 100_000, "malformed JSON"),
        (b"{\xff}", "malformed JSON"),
        ("3", "is a int"),
        ("{}", '"conversations" is None'),
        ('{"conversations": []}', '"conversations" is'),
        ('{"conversations": ["x"]}', "turn 0 is 'x'"),
        ('{"conversations": [{"from": "cat", "value": "x"}]}', "turn 0 is"),
        ('{"conversations": [{"from": "human", "value": 3}]}', "turn 0 is"),
        (json.dumps(entry("a.png", "no tag")), "1 images for 0 <image>"),
        (json.dumps(entry("a.png", "<image><image>")), "1 images for 2 <image>"),
        (json.dumps(entry(3)), "images given as"),
        (json.dumps(entry(["a.png", 3])), "images given as"),
        (json.dumps(entry(images=["a.png"])), "images given as"),
        (json.dumps(entry("broken.png")), "cannot be read as a picture"),
    ],
)
def test_a_bad_entry_is_refused_with_its_line(tmp_path: Path, pictures: Path, line: str | bytes, reason: str) -> None:
    (pictures / "broken.png").write_bytes(b"\x89PNG no")
    good = json.dumps(entry()).encode()
    bad = line if isinstance(line, bytes) else line.encode()
    source = JsonLines(written(tmp_path, good + b"\n\n" + bad + b"\n"), pictures)
    assert source.sample(0).images
    with pytest.raises(SampleError) as caught:
        source.sample(1)
    assert caught.value.origin == "data.jsonl, line 3" and reason in caught.value.reason


@pytest.mark.parametrize(
    "name",
    ["../secret.png", "deep/../../secret.png", "{outside}", "link.png", "links/secret.png", "deep", "no.png", "a\0b",
     "loop.png", "x" * 5000, "", "https://host/a.png", "data:image/png;base64,AA=="],
)  # fmt: skip
def test_pictures_stay_in_their_folder(tmp_path: Path, pictures: Path, name: str) -> None:
    outside = tmp_path / "secret.png"
    (pictures / "link.png").symlink_to(outside)
    (pictures / "links").symlink_to(tmp_path)
    (pictures / "loop.png").symlink_to(pictures / "loop.png")
    source = JsonLines(lines(tmp_path, entry(name.replace("{outside}", str(outside)))), pictures)
    with pytest.raises(SampleError, match="is not there"):
        source.sample(0)


def test_links_inside_the_folder_and_a_linked_folder_are_followed(tmp_path: Path, pictures: Path) -> None:
    (pictures / "same.png").symlink_to(pictures / "a.png")
    (tmp_path / "linked").symlink_to(pictures)
    source = JsonLines(lines(tmp_path, entry("same.png")), tmp_path / "linked")
    assert source.sample(0).images[0].size == (4, 3)


def test_large_pictures_are_refused_before_they_are_decoded(tmp_path: Path, pictures: Path) -> None:
    source = JsonLines(lines(tmp_path, entry()), pictures, max_pixels=11)
    with pytest.raises(SampleError, match="4x3 pixels"):
        source.sample(0)


def test_a_picture_without_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match="no folder of images"):
        JsonLines(lines(tmp_path, entry())).sample(0)


def test_long_entries_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vlkit.training.json_lines.MAX_ENTRY", 20)
    with pytest.raises(SampleError, match="at most 20 bytes"):
        JsonLines(lines(tmp_path, TEXT)).sample(0)


@pytest.mark.parametrize(
    ("text", "reason"), [("", "no entry"), ("\n \n", "no entry"), ("[]", "no entry"), ('[{"a": 1}', "ends inside")]
)
def test_files_without_entries_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        JsonLines(written(tmp_path, text))


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        JsonLines(tmp_path / "none.jsonl")
    with pytest.raises(ConfigError, match="no folder"):
        JsonLines(lines(tmp_path, TEXT), tmp_path / "none")
