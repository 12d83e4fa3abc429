"""Chat templates: every official text."""

import json
from pathlib import Path

import pytest

from vlkit.processing.templates import CHAT_TEMPLATE, TEMPLATES


def test_prompts_are_the_official_ones(golden: Path) -> None:
    official = json.loads((golden / "a8_processor" / "conversation_templates.json").read_text())
    assert [case["name"] for case in official] == list(TEMPLATES)
    for case in official:
        template = TEMPLATES[case["name"]]
        assert list(template.roles) == case["roles"]
        assert len(case["prompts"]) == 12
        for row in case["prompts"]:
            messages = [(role, text or "") for role, text in row["messages"]]
            assert template.prompt(messages, system=row["system_message"]) == row["prompt"]


def test_braces_in_texts_are_left_alone() -> None:
    template = TEMPLATES["deepseek"]
    assert template.prompt([("{role}", "{text}")], system="{system}") == "{system}\n\n{role}: {text}\n\n"


def test_jinja_template_refuses_what_the_processor_refuses() -> None:
    jinja2 = pytest.importorskip("jinja2")

    def raise_exception(message: str) -> None:
        raise ValueError(message)

    template = jinja2.Environment().from_string(CHAT_TEMPLATE, globals={"raise_exception": raise_exception})
    user = {"role": "user", "content": "Hi"}
    for wrong in ([user, {"role": "system", "content": "x"}], [{"role": "tool", "content": "x"}]):
        with pytest.raises(ValueError, match="role"):
            template.render(messages=wrong, bos_token="<b>", eos_token="<e>")
    assert template.render(messages=[user], bos_token="<b>", eos_token="<e>") == "<b><|User|>: Hi\n\n<|Assistant|>:"
