"""What the drills are called, known without loading one: for the policy, the timetable and did-you-mean."""

from __future__ import annotations

import difflib
from typing import Final

DRILL_NAMES: Final = (
    "heroku_postgres",
    "freescout_snapshot",
    "freescout_dump",
    "vault_export",
    "vault_snapshot",
    "state_recovery",
)
"""In the order of their days in the month. ``drills.kinds.KINDS`` has the same, which a test holds to."""


def drill_name(value: str) -> str:
    """The name as rows and Dagster write it. ``-`` is taken for ``_``. Raises ``ValueError`` with the nearest name."""
    name = value.strip().replace("-", "_")
    if name in DRILL_NAMES:
        return name
    close = difflib.get_close_matches(name.lower(), DRILL_NAMES, n=1)
    known = [spoken(close[0])] if close else [spoken(one) for one in DRILL_NAMES]
    hint = f"did you mean {known[0]}?" if close else f"known are {', '.join(known)}"
    raise ValueError(f"{value!r} is no drill; {hint}")


def spoken(name: str) -> str:
    """As a person types it: ``heroku-postgres``."""
    return name.replace("_", "-")
