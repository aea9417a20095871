"""The file ``.env`` of a FreeScout: one ``NAME=value`` a line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

NAME: Final = ".env"
_LINE: Final = re.compile(r"^([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)


def read(root: Path) -> dict[str, str]:
    """All variables, unquoted; empty when there is no file."""
    try:
        text = (root / NAME).read_text()
    except FileNotFoundError:
        return {}
    return {name: value.strip().strip("\"'") for name, value in _LINE.findall(text)}


def change(root: Path, name: str, value: str) -> None:
    """Set one variable that the file already has, or add it."""
    path = root / NAME
    text, line = path.read_text(), f"{name}={value}"
    changed, count = re.subn(rf"^{name}=.*$", lambda _found: line, text, count=1, flags=re.MULTILINE)
    path.write_text(changed if count else f"{text.rstrip()}\n{line}\n")


def drop(root: Path, name: str) -> None:
    """Remove a variable's whole line."""
    path = root / NAME
    path.write_text(re.sub(rf"^{name}=.*\n", "", path.read_text(), flags=re.MULTILINE))
