"""The names of objects under the ledger's prefix, and which names are not rows."""

from __future__ import annotations

import re
from typing import Final

HEAD: Final = "HEAD.json"
REPORT_HTML: Final = "report.html"
REPORT_MARKDOWN: Final = "report.md"
BESIDE_THE_ROWS: Final = frozenset({HEAD, REPORT_HTML, REPORT_MARKDOWN})
"""Our own objects beside the rows; the reader of the chain skips them."""

LAST_SEQUENCE: Final = 99_999_999
"""Names have eight digits, so that S3's order of keys is the order of rows."""

_ROW: Final = re.compile(r"\d{8}\.json")


def row_name(sequence: int) -> str:
    """``00000007.json``."""
    return f"{sequence:08d}.json"


def sequence_of(name: str) -> int | None:
    """The number in a row's name, or None for any other name. Rows are counted from 1."""
    return int(name[:8]) or None if _ROW.fullmatch(name) else None
