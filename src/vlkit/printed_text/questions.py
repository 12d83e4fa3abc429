"""The two questions of the task."""

READ = "Read the text."
"""The question for all of the text."""
WHERE = "Where is each word?"
"""The question for the words with their places, in reading order."""
