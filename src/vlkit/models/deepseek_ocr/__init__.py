"""deepseek_ocr."""
