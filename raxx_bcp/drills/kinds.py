"""The table of drills: one line for each. Names are known without loading a drill (``loading.py`` loads them)."""

from __future__ import annotations

import difflib
from typing import Final

ROOMS: Final = {
    "heroku_postgres": "raxx_bcp.drills.heroku_postgres.kinds:RESTORE",
    "freescout_snapshot": "raxx_bcp.drills.freescout.kinds:SNAPSHOT",
    "freescout_dump": "raxx_bcp.drills.freescout.kinds:DUMP",
    "vault_export": "raxx_bcp.drills.vault.kinds:EXPORT",
    "vault_snapshot": "raxx_bcp.drills.vault.kinds:SNAPSHOT",
    "state_recovery": "raxx_bcp.drills.terraform_state.kinds:RECOVERY",
}
"""By name, where the drill's ``Kind`` is. Their order is that of their days in the month."""
DRILL_NAMES: Final = tuple(ROOMS)


def asset_of(name: str) -> str:
    """The drill's asset in Dagster."""
    return f"{name}_drill"


def job_of(name: str) -> str:
    """The job that starts it in Dagster."""
    return f"drill_{name}"


DRILLS: Final = tuple(asset_of(name) for name in DRILL_NAMES)
DRILL_JOBS: Final = tuple(job_of(name) for name in DRILL_NAMES)


def drill_name(value: str) -> str:
    """The name as rows and Dagster write it; ``-`` counts as ``_``. Raises ``ValueError`` with the nearest name."""
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
