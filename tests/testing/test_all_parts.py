"""Every registered part keeps every law of its kind."""

from typing import Any

import pytest

from tests.small_parts import missing, small_config, small_configs
from vlkit.testing import check_part


def test_every_registered_part_has_a_small_config() -> None:
    assert missing() == {kind: set() for kind in missing()}, "add the tag to tests/small_parts.py"


@pytest.mark.parametrize(("kind", "tag", "fields"), [pytest.param(*case, id=case[1]) for case in small_configs()])
def test_a_registered_part_keeps_every_law(kind: str, tag: str, fields: dict[str, Any]) -> None:
    skip = ["compile", "export"] if kind != "cache_policies" else []
    report = check_part(small_config(kind, tag, fields), skip=skip)
    optional = {"packing"} if tag == "hf_causal_lm" else set()
    assert {found.law for found in report.of("skipped")} <= {"compile", "export"} | optional
    assert not report.of("noted")
