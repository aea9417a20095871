"""Could each drill be started from here, and has one left something behind? Looks only."""

from __future__ import annotations

import os
from typing import Final

from raxx_bcp.checks import Check, Status, guarded
from raxx_bcp.drills.connections import places
from raxx_bcp.policy import Policy

DRILLS: Final = "drills"
LEFTOVERS: Final = "drill leftovers"


def examine(policy: Policy) -> list[Check]:
    """One line a door that drills need, and what carries a drill's mark now. What is not set up is a warning."""
    return [
        _door(
            "HEROKU_API_KEY",
            "heroku-postgres",
            os.environ.get("HEROKU_API_KEY", ""),
            "Set it to a key of an account that sees the production app and may make apps.",
        ),
        _door(
            "throwaway_instances.worker_cidr",
            "freescout-snapshot, freescout-dump and vault-snapshot",
            policy.throwaway_instances.worker_cidr,
            "Write the worker's own address into bcp.toml, such as 203.0.113.9/32.",
        ),
        _door(
            "INFISICAL_DRILL_URL",
            "vault-export",
            os.environ.get("INFISICAL_DRILL_URL", ""),
            "Set it to an empty Infisical that is never production, with INFISICAL_DRILL_CLIENT_ID and _SECRET.",
        ),
        *guarded(LEFTOVERS, lambda: [_leftovers(policy)]),
    ]


def _door(setting: str, drills: str, value: str, remedy: str) -> Check:
    if value:
        return Check(DRILLS, Status.PASS, f"{setting} is set: {drills} can be started here.")
    return Check(DRILLS, Status.WARN, f"{setting} is not set: {drills} cannot be started here.", remedy)


def _leftovers(policy: Policy) -> Check:
    with places(policy) as where:
        found = [leftover for place in where for leftover in place.leftovers()]
    if not found:
        return Check(LEFTOVERS, Status.PASS, "nothing that a drill has made is standing.")
    names = ", ".join(f"{one.lease.name} until {one.expires_utc:%Y-%m-%d %H:%M} UTC" for one in found)
    remedy = "If no drill runs: raxx-bcp drill sweep deletes each when its lease is over."
    return Check(LEFTOVERS, Status.WARN, f"standing: {names}.", remedy)
