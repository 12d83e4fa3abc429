"""deepseek_vl2."""
