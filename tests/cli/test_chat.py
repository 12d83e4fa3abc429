"""`vlkit chat`: answers do not depend on what is reused, and what need not be computed again is not."""

import shutil
from pathlib import Path

import pytest

import vlkit
from tests.cli.conftest import Run
from vlkit.cli.chat import Chat
from vlkit.errors import InputError, VlkitError

SETTINGS = {"max_new_tokens": 8, "chunk_size": 16}


class Fresh:
    """A conversation that computes everything anew for each question."""

    def __init__(self, folder: Path) -> None:
        self.model, self.processor = vlkit.from_pretrained(folder), vlkit.DeepseekVLV2Processor.from_pretrained(folder)
        self.turns: list[dict[str, str]] = []

    def ask(self, question: str, images: list[Path]) -> str:
        turns = [*self.turns, {"role": "<|User|>", "content": question}, {"role": "<|Assistant|>", "content": ""}]
        batch = self.processor(conversations=turns, images=images)
        answer = "".join(self.model.stream(self.processor.tokenizer, **batch, max_new_tokens=8))
        self.turns = [*turns[:-1], {"role": "<|Assistant|>", "content": answer.replace("<image>", "")}]
        return answer


@pytest.fixture
def talk(checkpoint: Path) -> Chat:
    model, processor = vlkit.from_pretrained(checkpoint), vlkit.DeepseekVLV2Processor.from_pretrained(checkpoint)
    return Chat(model, processor, system=None, cache="resident", settings=SETTINGS)


def test_answers_are_those_of_a_conversation_computed_anew(talk: Chat, checkpoint: Path, picture: Path) -> None:
    fresh, images = Fresh(checkpoint), [picture] * 3
    steps = [("Hello", 0, 0), ("And this?", 1, 1), ("Why?", 0, 1), ("These?", 2, 3), ("So?", 0, 3)]
    for question, added, shown in steps:
        for _ in range(added):
            talk.show(picture)
        tags = "<image>\n" * added
        assert "".join(talk.ask(question)) == fresh.ask(tags + question, images[:shown])


def test_only_new_pictures_run_through_the_encoder(talk: Chat, picture: Path) -> None:
    calls: list[int] = []
    talk._model.encoder.register_forward_hook(lambda module, args, out: calls.append(len(args[0])))
    embedded: list[int] = []
    talk._model.decoder.register_forward_hook(lambda module, args, out: embedded.append(args[0].shape[1]))
    talk.show(picture)
    "".join(talk.ask("What is it?"))
    assert len(calls) == 1
    embedded.clear()
    "".join(talk.ask("Why?"))
    assert len(calls) == 1
    assert sum(embedded) < 60


def test_reset_forgets_turns_and_pictures(talk: Chat, picture: Path) -> None:
    first = "".join(talk.ask("Hello"))
    talk.show(picture)
    "".join(talk.ask("And this?"))
    talk.reset()
    assert talk.turns == []
    assert "".join(talk.ask("Hello")) == first


def test_an_answer_that_is_broken_off_is_kept_as_far_as_it_was_read(talk: Chat) -> None:
    pieces = talk.ask("Hello")
    read = next(pieces) + next(pieces)
    pieces.close()
    assert [turn["content"] for turn in talk.turns] == ["Hello", read]
    again = Chat(talk._model, talk._processor, system=None, cache="resident", settings=SETTINGS)
    again.turns = talk.turns
    assert "".join(talk.ask("Go on")) == "".join(again.ask("Go on"))


def test_a_question_that_fails_leaves_the_conversation_as_it_was(talk: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    first = "".join(talk.ask("Hello"))
    turns = talk.turns
    with pytest.raises(VlkitError):
        "".join(talk.ask("x" * 5000))
    with pytest.raises(InputError, match="/image FILE"):
        "".join(talk.ask("<image>"))
    assert talk.turns == turns
    talk.reset()
    assert "".join(talk.ask("Hello")) == first


def test_lines_can_be_piped_in(run: Run, checkpoint: Path, picture: Path) -> None:
    lines = [
        "Hello",
        "",
        "/bogus",
        "/image no.png",
        f"/image {picture}",
        "What is it?",
        "/reset",
        "Hello",
        "/exit",
    ]
    outcome = run("chat", "-m", checkpoint, "--max-new-tokens", "8", stdin="\n".join([*lines, "too late"]))
    assert outcome.code == 0, outcome.err
    fresh = Fresh(checkpoint)
    hello = fresh.ask("Hello", [])
    assert hello
    second = fresh.ask("<image>\nWhat is it?", [picture])
    assert outcome.out == f"{hello}\n{second}\n{hello}\n"
    assert "there is no command '/bogus'" in outcome.shown
    assert "'no.png' is not a file" in outcome.shown


def test_pictures_and_a_system_message_can_be_given_at_the_start(run: Run, checkpoint: Path, picture: Path) -> None:
    command = ("chat", "-m", checkpoint, "-i", picture, "--max-new-tokens", "8", "--system", "Be brief.")
    outcome = run(*command, stdin="What is it?\n")
    fresh = Fresh(checkpoint)
    fresh.turns = [{"role": "system", "content": "Be brief."}]
    assert outcome.out == fresh.ask("<image>\nWhat is it?", [picture]) + "\n"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--temperature", "1e-9"], "temperature"),
        (["--cache", "ofload"], "did you mean 'offload'?"),
        (["--image", "no.png"], "'no.png' is not a file"),
        (["--device", "gpu9"], "device 'gpu9' cannot be used"),
    ],
)
def test_wrong_options_are_refused_before_weights_are_read(
    run: Run, checkpoint: Path, tmp_path: Path, options: list[str], problem: str
) -> None:
    shutil.copytree(checkpoint, tmp_path / "no weights", ignore=shutil.ignore_patterns("*.safetensors"))
    outcome = run("chat", "-m", tmp_path / "no weights", *options, stdin="Hello\n")
    assert outcome.code == 1
    assert problem in outcome.shown
