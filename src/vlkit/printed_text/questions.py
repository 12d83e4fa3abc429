"""The two questions of the task."""

READ = "Read the text."
"""The question for all of the text."""
WHERE = "Where is "
"""Beginning of the question for a word, which follows with a question mark."""


def where(word: str) -> str:
    """Question for the place of a word."""
    return f"{WHERE}{word}?"
