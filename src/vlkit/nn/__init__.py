"""Plain modules that parts are made of."""
