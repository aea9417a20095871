"""D1: the vault's snapshot as a throwaway instance, whose Infisical must answer and hold what the export held.

The instance is isolated before the drill asks anything of it. Its API is reached through SSH, so that no port is open
to anybody else. The drill reads values, since a vault with the wrong key answers everything else, but it only counts
them. It does not touch production.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from raxx_bcp.clients.infisical import Infisical
from raxx_bcp.clients.infisical_errors import LoginRefusedError
from raxx_bcp.clients.infisical_writer import InfisicalWriter
from raxx_bcp.clients.instances import Instances
from raxx_bcp.clients.lightsail import AVAILABLE, ERROR, InstanceSnapshot, Snapshots
from raxx_bcp.clients.s3 import Bucket
from raxx_bcp.drills.engine.drill import Drill, Source
from raxx_bcp.drills.hosts.admission import Admission
from raxx_bcp.drills.vault.host import VaultHost, entered
from raxx_bcp.drills.vault.stored_exports import StoredExport, moment, nearest
from raxx_bcp.drills.vault.wanted import NEWEST, RANDOM_OLDER, SnapshotWanted
from raxx_bcp.errors import BackupWrongError, BcpError, CouldNotVerifyError, UsageError
from raxx_bcp.guard.sightings import Sightings
from raxx_bcp.policy import Policy
from raxx_bcp.snapshots.names import is_ours
from raxx_bcp.vault import walk
from raxx_bcp.vault.survey import EnvironmentCount, Survey
from raxx_bcp.waiting import Deadline

__all__ = ["Connections", "vault_snapshot"]

SNAPSHOT_AGE: Final = "snapshot age"
ANSWERS: Final = "infisical answers"
LOGIN: Final = "the export's identity logs in"
READABLE: Final = "every value is readable"
COUNTED: Final = ("projects", "environments", "folders", "secrets", "imports")
EMPTIED: Final = "no environment is empty that was not"

_POLL_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Connections:
    """The drill's clients. ``client_id`` and ``client_secret`` are the export's own: the snapshot knows them."""

    instances: Instances
    snapshots: Snapshots
    bucket: Bucket
    sightings: Sightings
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)


def vault_snapshot(drill: Drill, connections: Connections, policy: Policy, wanted: SnapshotWanted) -> None:
    """Restore one snapshot and examine it. Raises what the clients raise; the drill records it."""
    with drill.phase("select"):
        snapshot = _select(drill, connections.snapshots, policy, wanted.snapshot)
        expected = nearest(connections.bucket, policy.vault_export.prefix, snapshot.created_utc)
    admission = Admission(policy.vault_snapshot.instance, connections.sightings, wanted.accept_unguarded)
    with (
        entered(drill, connections.instances, policy, snapshot.name, wanted.bundle, admission) as host,
        host.forward(policy.vault_drill.api_port) as port,
    ):
        if not _examine(drill, connections, host, f"http://127.0.0.1:{port}", policy, expected):
            return
    drill.check_restore_time("selecting, restoring and examining")


def _examine(
    drill: Drill, connections: Connections, host: VaultHost, url: str, policy: Policy, expected: StoredExport | None
) -> bool:
    """False: it does not answer, or refuses the login. Both are then on record."""
    with drill.phase("boot"):
        if not _await_infisical(drill, host, url, policy):
            return False
    with drill.phase("verify"):
        survey = _survey(drill, connections, url, policy)
        if survey is not None:
            _judge(drill, survey, expected, policy)
    return survey is not None


# -- select ----------------------------------------------------------------------------------------------


def _select(drill: Drill, snapshots: Snapshots, policy: Policy, wanted: str) -> InstanceSnapshot:
    """Choose, and judge the age of what the policy promises: that of the newest available one of ours."""
    instance, promised = policy.vault_snapshot.instance, policy.vault_drill
    there = sorted((one for one in snapshots.all() if one.instance_name == instance), key=_made, reverse=True)
    good = [one for one in there if one.state == AVAILABLE and is_ours(one, instance)]
    if not good:
        raise BackupWrongError(
            f"There is no available snapshot of {instance} by us: nothing could be restored.",
            "Look at raxx-bcp snapshot list, and take one now: raxx-bcp snapshot take.",
        )
    age = drill.started_utc - good[0].created_utc
    drill.check(
        SNAPSHOT_AGE,
        expected=f"at most {promised.rpo_hours} hours",
        actual=f"{age.total_seconds() / 3600:.1f} hours",
        ok=age <= timedelta(hours=promised.rpo_hours),
        reason=f"the newest available one, {good[0].name}, is too old: look at raxx-bcp snapshot list",
    )
    chosen, because = _chosen(there, good, wanted)
    _require_available(chosen)
    drill.source(Source(chosen.name, chosen.created_utc.astimezone(UTC), because))
    return chosen


def _made(snapshot: InstanceSnapshot) -> datetime:
    return snapshot.created_utc


def _chosen(there: list[InstanceSnapshot], good: list[InstanceSnapshot], wanted: str) -> tuple[InstanceSnapshot, str]:
    if wanted == NEWEST:
        newer = [f"{one.name} ({one.state})" for one in there if one.created_utc > good[0].created_utc]
        passed_over = f"; passed over: {', '.join(newer)}" if newer else ""
        return good[0], f"the newest of {len(good)} available snapshots of ours{passed_over}"
    if wanted == RANDOM_OLDER:
        if len(good) < 2:
            raise UsageError("There is only one available snapshot, so no older one to choose.", "Ask for the newest.")
        older = random.choice(good[1:])  # noqa: S311 - no secret
        return older, f"a random one of {len(good) - 1} older available snapshots of ours"
    named = [one for one in there if one.name == wanted]
    if not named:
        known = ", ".join(one.name for one in there[:10])
        raise UsageError(
            f"There is no snapshot {wanted} of this instance.", f"Choose {NEWEST}, {RANDOM_OLDER}, or one of: {known}."
        )
    return named[0], "named by the operator"


def _require_available(snapshot: InstanceSnapshot) -> None:
    if snapshot.state == ERROR:
        raise BackupWrongError(
            f"Snapshot {snapshot.name} ended in state error: it is no backup.",
            "Choose another: raxx-bcp snapshot list.",
        )
    if snapshot.state != AVAILABLE:
        raise CouldNotVerifyError(
            f"Snapshot {snapshot.name} is {snapshot.state}: nobody knows yet whether it will be a backup.",
            "Wait until it is available, or choose another: raxx-bcp snapshot list.",
        )


# -- boot ------------------------------------------------------------------------------------------------


def _await_infisical(drill: Drill, host: VaultHost, url: str, policy: Policy) -> bool:
    """Ask until it says that it is up and has its database. False: it never did, which is on record."""
    minutes = policy.vault_drill.boot_deadline_minutes
    patience = Deadline.of(minutes, _POLL_SECONDS, drill.clock, drill.sleep)
    began = drill.clock()
    status = InfisicalWriter(url, "", "", timeout_seconds=30, sleep=drill.sleep)
    while True:
        try:
            status.status()
        except BcpError as error:
            seen = error.what
        else:
            seconds = (drill.clock() - began).total_seconds()
            drill.check(ANSWERS, expected="200", actual=f"200 after {seconds:.0f} s", ok=True)
            return True
        if not patience.left:
            host.require_reachable()
            drill.check(
                ANSWERS,
                expected="200",
                actual="no",
                reason=f"after {minutes} minutes, GET /api/status: {seen}",
            )
            return False
        drill.progress(f"not yet: {seen}")
        patience.pause()


# -- verify ----------------------------------------------------------------------------------------------


def _survey(drill: Drill, connections: Connections, url: str, policy: Policy) -> Survey | None:
    """Read the whole restored vault with the calls of an export. None: it refuses the login, which is on record."""
    vault = Infisical(
        url,
        connections.client_id,
        connections.client_secret,
        timeout_seconds=policy.vault_export.timeout_seconds,
        sleep=drill.sleep,
    )
    try:
        with vault:
            drill.check(LOGIN, expected="yes", actual="yes")
            joined = walk.memberships(vault)
            concurrency = policy.vault_export.concurrency
            return walk.survey(vault, joined, concurrency=concurrency, progress=drill.progress)
    except LoginRefusedError:
        drill.check(
            LOGIN,
            expected="yes",
            actual="no",
            reason="the restored vault does not know the export's identity: it is another database, or the client "
            "secret is younger than the snapshot",
        )
        return None


def _judge(drill: Drill, survey: Survey, expected: StoredExport | None, policy: Policy) -> None:
    hidden = sorted(
        f"{project.project.slug}/{environment.environment.slug}{path}"
        for project in survey.projects
        for environment in project.environments
        for path in environment.hidden_paths
    )
    drill.check(READABLE, expected="0 folders with hidden values", actual=f"{len(hidden)} folders with hidden values")
    drill.newest_record_utc = moment(survey.newest_change) if survey.newest_change else None
    why = _incomparable(drill.source_backup, expected, policy)
    if expected is None or why:
        for name in (*COUNTED, EMPTIED):
            drill.not_run(name, why)
        return
    _compare(drill, survey.counts(), len(survey.projects), expected, policy.vault_drill.count_tolerance_ratio)


def _incomparable(snapshot: Source | None, expected: StoredExport | None, policy: Policy) -> str:
    if expected is None or snapshot is None:
        return "there is no export with a manifest to compare with"
    apart = abs(expected.read_utc - snapshot.created_utc)
    if apart > timedelta(hours=policy.vault_drill.rpo_hours):
        hours = apart.total_seconds() / 3600
        return f"the nearest export, of {expected.day}, is {hours:.0f} hours away from the snapshot"
    return ""


def _compare(
    drill: Drill, counts: tuple[EnvironmentCount, ...], projects: int, expected: StoredExport, tolerance: float
) -> None:
    """Within the tolerance of what the export of nearly the same time had counted."""
    promised = expected.manifest.environments
    of = f"by the export of {expected.day}"
    wanted = dict(zip(COUNTED, (expected.manifest.project_count, len(promised), *_sums(promised)), strict=True))
    found = dict(zip(COUNTED, (projects, len(counts), *_sums(counts)), strict=True))
    for name in COUNTED:
        allowed = math.floor(wanted[name] * tolerance)
        drill.check(
            name,
            expected=f"{wanted[name]} ± {allowed} {of}",
            actual=found[name],
            ok=abs(found[name] - wanted[name]) <= allowed,
            reason=f"{found[name]} {name} were restored, and the export had {wanted[name]}",
        )
    held = {(one.project, one.environment): one.secrets for one in counts}
    emptied = sorted(
        f"{one.project}/{one.environment}"
        for one in promised
        if one.secrets and not held.get((one.project, one.environment))
    )
    drill.check(EMPTIED, expected="none", actual=", ".join(emptied[:5]) or "none", ok=not emptied)


def _sums(counts: tuple[EnvironmentCount, ...]) -> tuple[int, int, int]:
    return (
        sum(one.folders for one in counts),
        sum(one.secrets for one in counts),
        sum(one.imports for one in counts),
    )
