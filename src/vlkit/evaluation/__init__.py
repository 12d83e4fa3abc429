"""Evaluating: what a model answers on a set, measured for text and for boxes, with the uncertainty of each number."""

from typing import TYPE_CHECKING

from vlkit.lazy import lazy_names

if TYPE_CHECKING:
    from vlkit.evaluation.boxes import BoxMatch, iou, match_boxes
    from vlkit.evaluation.edit_distance import levenshtein
    from vlkit.evaluation.given_answers import measure_answers
    from vlkit.evaluation.intervals import Ratio, Score, bootstrap, wilson
    from vlkit.evaluation.metrics import METRICS, Metric
    from vlkit.evaluation.normalization import TextNormalization
    from vlkit.evaluation.questions import GROUPINGS, last_answer
    from vlkit.evaluation.report import draw_worst
    from vlkit.evaluation.results import Evaluation, Result, Skipped
    from vlkit.evaluation.running import evaluate
    from vlkit.evaluation.text_metrics import anls, character_error_rate, character_errors, exact_match

_HOMES = {
    "vlkit.evaluation.boxes": ("BoxMatch", "iou", "match_boxes"),
    "vlkit.evaluation.edit_distance": ("levenshtein",),
    "vlkit.evaluation.given_answers": ("measure_answers",),
    "vlkit.evaluation.intervals": ("Ratio", "Score", "bootstrap", "wilson"),
    "vlkit.evaluation.metrics": ("METRICS", "Metric"),
    "vlkit.evaluation.normalization": ("TextNormalization",),
    "vlkit.evaluation.questions": ("GROUPINGS", "last_answer"),
    "vlkit.evaluation.report": ("draw_worst",),
    "vlkit.evaluation.results": ("Evaluation", "Result", "Skipped"),
    "vlkit.evaluation.running": ("evaluate",),
    "vlkit.evaluation.text_metrics": ("anls", "character_error_rate", "character_errors", "exact_match"),
}

__all__ = [
    "GROUPINGS",
    "METRICS",
    "BoxMatch",
    "Evaluation",
    "Metric",
    "Ratio",
    "Result",
    "Score",
    "Skipped",
    "TextNormalization",
    "anls",
    "bootstrap",
    "character_error_rate",
    "character_errors",
    "draw_worst",
    "evaluate",
    "exact_match",
    "iou",
    "last_answer",
    "levenshtein",
    "match_boxes",
    "measure_answers",
    "wilson",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
