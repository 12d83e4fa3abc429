"""What can be known about a model without its weights."""

from vlkit.description.comparison import Comparison, Measure, compare
from vlkit.description.costs import Context, Flops, Picture
from vlkit.description.description import Description, describe
from vlkit.description.memory import Memory
from vlkit.description.parameters import Parameters

__all__ = [
    "Comparison",
    "Context",
    "Description",
    "Flops",
    "Measure",
    "Memory",
    "Parameters",
    "Picture",
    "compare",
    "describe",
]
