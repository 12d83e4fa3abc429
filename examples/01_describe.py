"""What can be known about a model before any weight exists."""

import vlkit

description = vlkit.describe("deepseek-vl2-small", image_sizes=[(1024, 768), (600, 2400)], prompt_tokens=64)
print(description)

print("\nTokens of a picture of 1024x768:")
for name, config in vlkit.presets.items():
    print(f"  {name:20}{config.image_tokens((1024, 768)):6,}")
