"""Hook of the documentation: every picture links to its file, so that its small text can be enlarged on a phone."""

import re
from typing import Any

PICTURE = re.compile(r'<img\b[^>]*\bsrc="([^"]+\.png)"[^>]*/?>')


def on_page_content(html: str, **_: Any) -> str:
    """Called by mkdocs with the finished content of each page."""
    return PICTURE.sub(r'<a class="picture" href="\1">\g<0></a>', html)
