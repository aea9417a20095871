"""D4, Tier 1: a snapshot of FreeScout's instance, restored into a throwaway instance and examined (ADR-0103).

Production is never touched: its snapshots are listed, and one becomes a separate instance. The copy boots with
production's cron and queue, so the launch script stops them, and the drill asks nothing of it before it has asserted
that.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from raxx_bcp.clients.lightsail import AVAILABLE, ERROR, PENDING, Snapshots
from raxx_bcp.drills.engine.drill import Drill, Source
from raxx_bcp.drills.freescout import database_client, examine, expected
from raxx_bcp.drills.freescout.connections import Connections
from raxx_bcp.drills.freescout.examine import Restored
from raxx_bcp.drills.freescout.wanted import NEWEST, RANDOM_OLDER, SnapshotWanted
from raxx_bcp.drills.hosts.admission import Admission
from raxx_bcp.drills.hosts.host import FromAutomatic, FromSnapshot, make_host
from raxx_bcp.drills.hosts.isolation import isolate_and_assert, quieten_freescout
from raxx_bcp.drills.hosts.launch_script import launch_script
from raxx_bcp.drills.hosts.silence import assert_silent
from raxx_bcp.errors import BackupWrongError, CouldNotVerifyError, UsageError
from raxx_bcp.policy import FreeScout, Policy

BACKUP_AGE: Final = "backup age"
_STATES: Final = {"Success": AVAILABLE, "InProgress": PENDING, "Failed": ERROR}
"""Lightsail's words for automatic snapshots as those for manual ones."""


@dataclass(frozen=True)
class Candidate:
    """One snapshot of the instance. ``state`` is Lightsail's word."""

    name: str
    created_utc: datetime
    state: str
    origin: FromSnapshot | FromAutomatic
    size_bytes: int | None = None


def freescout_snapshot(drill: Drill, connections: Connections, policy: Policy, wanted: SnapshotWanted) -> None:
    """Restore one snapshot and examine it. Raises what the clients raise; the drill records it."""
    promised, throwaway = policy.freescout, policy.throwaway_instances
    with drill.phase("select"):
        chosen = _select(drill, candidates(connections.snapshots, promised.instance), wanted.snapshot, promised)
    with drill.phase("provision"):
        host = make_host(
            drill,
            connections.instances,
            throwaway,
            promised.restored_instance,
            chosen.origin,
            user_data=launch_script(drill.id, promised.quiet_units),
            bundle=wanted.bundle or promised.bundle,
            admission=Admission(promised.instance, connections.sightings, wanted.accept_unguarded),
        )
        host.sql_client = database_client.of_copy(promised)
    with drill.phase("isolate"):
        assert_silent(drill, host, guarded=host.guarded)
        isolate_and_assert(drill, host, throwaway, promised.quiet_units)
    with drill.phase("verify"):
        restored = Restored(
            host,
            promised,
            expected.of_last_drill(connections.last, chosen.name, chosen.created_utc),
            chosen.created_utc,
            quieten=lambda: quieten_freescout(drill, host, promised),
            client=host.sql_client,
        )
        examine.examine(drill, restored)
    drill.check_restore_time()


def backup_age(drill: Drill, newest_utc: datetime, policy: FreeScout, remedy: str) -> None:
    """Record whether the newest good backup is young enough, whichever is restored."""
    age = drill.started_utc - newest_utc
    drill.check(
        BACKUP_AGE,
        expected=f"at most {policy.rpo_hours} hours",
        actual=f"{age.total_seconds() / 3600:.1f} hours",
        ok=age <= timedelta(hours=policy.rpo_hours),
        reason=f"the newest is too old: {remedy}",
    )


# -- select ----------------------------------------------------------------------------------------------


def candidates(snapshots: Snapshots, instance: str) -> list[Candidate]:
    """Every snapshot of ``instance``, automatic and manual, newest first, whatever its state."""
    found = [
        Candidate(
            name=f"{instance} {one.day}",
            created_utc=one.created_utc,
            state=_STATES.get(one.status, one.status),
            origin=FromAutomatic(instance, one.day),
        )
        for one in snapshots.automatic(instance)
    ]
    found += [
        Candidate(one.name, one.created_utc, one.state, FromSnapshot(one.name), one.size_gb * 1_000_000_000)
        for one in snapshots.all()
        if one.instance_name == instance
    ]
    return sorted(found, key=lambda one: one.created_utc, reverse=True)


def _select(drill: Drill, found: Sequence[Candidate], wanted: str, policy: FreeScout) -> Candidate:
    good = [one for one in found if one.state == AVAILABLE]
    if wanted not in (NEWEST, RANDOM_OLDER):
        _refuse_unusable([one for one in found if wanted in _names(one)])
    if not good:
        _refuse_unusable(found)
        raise BackupWrongError(
            f"There is no snapshot of {policy.instance}: nothing could be restored.",
            "Switch on its automatic snapshots in the Lightsail console, and take one now.",
        )
    backup_age(drill, good[0].created_utc, policy, f"look at the snapshots of {policy.instance} at Lightsail")
    chosen, because = _chosen(good, wanted)
    drill.source(Source(chosen.name, chosen.created_utc, because, chosen.size_bytes))
    return chosen


def _refuse_unusable(found: Sequence[Candidate]) -> None:
    """A snapshot that failed is a failed backup. One that is not finished yet has not been judged."""
    if not found or any(one.state == AVAILABLE for one in found):
        return
    if any(one.state == ERROR for one in found):
        failed = next(one for one in found if one.state == ERROR)
        raise BackupWrongError(
            f"The snapshot {failed.name} is in error: nothing can be restored from it.",
            "Take another one, and look at AWS's health page for why this one failed.",
        )
    raise CouldNotVerifyError(
        f"The snapshot {found[0].name} is {found[0].state}, not available: it was not judged.",
        "Wait until it is available, then start the drill again; only Lightsail can fix one that stays so.",
    )


def _chosen(good: Sequence[Candidate], wanted: str) -> tuple[Candidate, str]:
    if wanted == NEWEST:
        return good[0], f"the newest of {len(good)} available snapshots"
    if wanted == RANDOM_OLDER:
        if len(good) < 2:
            raise UsageError("There is only one available snapshot, so no older one to choose.", "Ask for the newest.")
        return random.choice(good[1:]), f"a random one of {len(good) - 1} older snapshots"  # noqa: S311 - no secret
    named = [one for one in good if wanted in _names(one)]
    if named:
        return named[0], "named by the operator"
    known = ", ".join(_names(one)[0] for one in good[:10])
    raise UsageError(f"There is no snapshot {wanted}.", f"Choose newest, {RANDOM_OLDER}, or one of: {known}.")


def _names(one: Candidate) -> tuple[str, ...]:
    """What an operator may call it."""
    return (one.origin.day, one.name) if isinstance(one.origin, FromAutomatic) else (one.name,)
