"""Plug-in for pytest: the fixture `check_part`. It is loaded in every run of pytest, so it loads nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from vlkit.testing.report import Report


@pytest.fixture(scope="session")
def check_part() -> Callable[..., Report]:
    """Function that checks every law of a part of any kind: `check_part(GatedConfig())`."""

    def check(part: Any, **options: Any) -> Report:
        from vlkit.testing.checks import check_part

        return check_part(part, **options)

    return check
