"""What the adapters of other libraries' models share: optional imports, building without memory, untrusted configs."""
