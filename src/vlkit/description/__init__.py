"""What can be known about a model without its weights."""

from vlkit.description.costs import Context, Flops, Picture
from vlkit.description.description import Description, describe
from vlkit.description.memory import Memory
from vlkit.description.parameters import Parameters

__all__ = ["Context", "Description", "Flops", "Memory", "Parameters", "Picture", "describe"]
