"""A gated projector for vlkit."""
