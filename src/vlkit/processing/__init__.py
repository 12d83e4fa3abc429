"""Processing: pictures, conversations and tokens of what a user passes in, and boxes of what a model answers."""

from vlkit.processing.batching import ProcessorOutput, Sample, collate
from vlkit.processing.box_list import Malformed
from vlkit.processing.grounding import GroundedObject, Grounding, from_pixels, grounded, parse, render, to_pixels
from vlkit.processing.image import MAX_PIXELS, Picture, load
from vlkit.processing.templates import CHAT_TEMPLATE, TEMPLATES, Template
from vlkit.processing.tokenizer import VL2_TOKENS, Tokenizer

__all__ = [
    "CHAT_TEMPLATE",
    "MAX_PIXELS",
    "TEMPLATES",
    "VL2_TOKENS",
    "GroundedObject",
    "Grounding",
    "Malformed",
    "Picture",
    "ProcessorOutput",
    "Sample",
    "Template",
    "Tokenizer",
    "collate",
    "from_pixels",
    "grounded",
    "load",
    "parse",
    "render",
    "to_pixels",
]
