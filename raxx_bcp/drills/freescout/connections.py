"""The clients of the FreeScout drills, made from the environment."""

from __future__ import annotations

from dataclasses import dataclass, field

from raxx_bcp.clients.instances import Instances
from raxx_bcp.clients.lightsail import Snapshots
from raxx_bcp.drills.freescout.expected import LastDrill
from raxx_bcp.drills.hosts.connections import instances_client, require_worker_address
from raxx_bcp.evidence.gate import history_of
from raxx_bcp.evidence.ledger import Ledger
from raxx_bcp.evidence.row import Verdict, drill_of
from raxx_bcp.guard.connections import sightings_of
from raxx_bcp.guard.sightings import Sightings
from raxx_bcp.policy import Policy

TIERS = ("freescout_snapshot", "freescout_dump")
"""The two drills of FreeScout: a pass of either is something to compare the next one with."""


@dataclass(frozen=True)
class Connections:
    """``snapshots`` and ``sightings`` (of the copy guard) only look, and only for Tier 1. ``private_key`` (armoured)
    opens encrypted dump sets; without one the caller's own keyring is asked."""

    instances: Instances
    snapshots: Snapshots
    sightings: Sightings
    last: LastDrill | None = None
    private_key: bytes | None = field(default=None, repr=False)


def freescout_connections(policy: Policy, ledger: Ledger, private_key: bytes | None = None) -> Connections:
    """Lightsail, the last drill that passed, and a private key for encrypted sets where one was given."""
    require_worker_address(policy)
    return Connections(instances_client(policy), Snapshots(), sightings_of(policy), last_pass(ledger), private_key)


def last_pass(ledger: Ledger) -> LastDrill | None:
    """The newest drill of FreeScout that passed, of either tier: something to compare with."""
    history = history_of(ledger.rows())
    rows = [history.newest.get((kind, Verdict.PASS)) for kind in TIERS]
    entries = [drill_of(row) for row in rows if row is not None]
    passed = [(entry, entry.source) for entry in entries if entry.source is not None]
    if not passed:
        return None
    entry, source = max(passed, key=lambda each: each[0].timing.ended_utc)
    checks = tuple((check.name, check.actual) for check in entry.checks)
    return LastDrill(entry.identity.drill_id, source.backup_id, source.created_utc, checks)
