"""Writes the published JSON Schema beside the types that it is made from: ``make schemas``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from raxx_bcp.evidence import row

FOLDER: Final = Path(__file__).parent
PUBLISHED: Final[dict[str, Any]] = {"evidence-row.schema.json": row.json_schema}


def text_of(name: str) -> str:
    """The schema ``name`` as it must be published."""
    return json.dumps(PUBLISHED[name](), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name in PUBLISHED:
        (FOLDER / name).write_text(text_of(name), encoding="utf-8")
