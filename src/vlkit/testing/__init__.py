"""What vlkit promises about its parts, as laws that any part can be put to the test of.

    from vlkit.testing import check_projector

    def test_laws():
        check_projector(MyConfig())

Nothing else of the library imports this package; `pip install vlkit[testing]` adds hypothesis and pytest, which only
`vlkit.testing.strategies`, `laws` and the pytest plug-in need.
"""

from typing import TYPE_CHECKING

from vlkit.lazy import lazy_names

if TYPE_CHECKING:
    from vlkit.testing.checks import (
        check_cache_policy,
        check_decoder,
        check_encoder,
        check_layout,
        check_part,
        check_projector,
        examine,
    )
    from vlkit.testing.law_error import LawError
    from vlkit.testing.parametrizing import laws
    from vlkit.testing.report import Outcome, Report
    from vlkit.testing.subject import Options

_HOMES = {
    "vlkit.testing.checks": (
        "check_cache_policy",
        "check_decoder",
        "check_encoder",
        "check_layout",
        "check_part",
        "check_projector",
        "examine",
    ),
    "vlkit.testing.law_error": ("LawError",),
    "vlkit.testing.parametrizing": ("laws",),
    "vlkit.testing.report": ("Outcome", "Report"),
    "vlkit.testing.subject": ("Options",),
}

__all__ = [
    "LawError",
    "Options",
    "Outcome",
    "Report",
    "check_cache_policy",
    "check_decoder",
    "check_encoder",
    "check_layout",
    "check_part",
    "check_projector",
    "examine",
    "laws",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
