"""Comparing by training: the variants of a recipe, several seeds of each, and how sure the differences are."""

from typing import TYPE_CHECKING

from vlkit.lazy import lazy_names

if TYPE_CHECKING:
    from vlkit.comparison.factors import Factor, parse_factor
    from vlkit.comparison.measures import Measure
    from vlkit.comparison.planning import PlannedVariant, Study, plan_study
    from vlkit.comparison.results import Comparison, Row, VariantRun
    from vlkit.comparison.running import compare, run_study
    from vlkit.comparison.statistics import Estimate
    from vlkit.comparison.variants import Variant

_HOMES = {
    "vlkit.comparison.factors": ("Factor", "parse_factor"),
    "vlkit.comparison.measures": ("Measure",),
    "vlkit.comparison.planning": ("PlannedVariant", "Study", "plan_study"),
    "vlkit.comparison.results": ("Comparison", "Row", "VariantRun"),
    "vlkit.comparison.running": ("compare", "run_study"),
    "vlkit.comparison.statistics": ("Estimate",),
    "vlkit.comparison.variants": ("Variant",),
}

__all__ = [
    "Comparison",
    "Estimate",
    "Factor",
    "Measure",
    "PlannedVariant",
    "Row",
    "Study",
    "Variant",
    "VariantRun",
    "compare",
    "parse_factor",
    "plan_study",
    "run_study",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
