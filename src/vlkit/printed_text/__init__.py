"""Pictures of printed text with questions, as a task to learn."""
