"""Loads the drills that the table names."""

from __future__ import annotations

import functools
import importlib
from typing import Any

from raxx_bcp.drills.kind import Kind
from raxx_bcp.drills.kinds import DRILL_NAMES, ROOMS


@functools.cache
def kind(name: str) -> Kind[Any]:
    """The drill called ``name``. Raises ``KeyError`` for one that is not in the table."""
    module, _, entry = ROOMS[name].partition(":")
    found: Kind[Any] = getattr(importlib.import_module(module), entry)
    return found


def kinds() -> tuple[Kind[Any], ...]:
    """Every drill."""
    return tuple(kind(name) for name in DRILL_NAMES)
