"""printed_text."""
