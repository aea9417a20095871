"""D1 from start to end: look, take, wait, and only then prune and copy.

The order gives the safety: nothing is deleted before today's snapshot is available, and a failed delete or copy
never removes the snapshot.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from raxx_bcp.checks import Check, Status, worst
from raxx_bcp.clients.lightsail import InstanceSnapshot, Snapshots
from raxx_bcp.clock import Clock, utc_now
from raxx_bcp.errors import BcpError, CouldNotVerifyError
from raxx_bcp.guard.sightings import Sightings
from raxx_bcp.policy import Policy
from raxx_bcp.snapshots.copies import COPY, Copied, copy_to
from raxx_bcp.snapshots.freescout import BackupState, FreeScoutBackup, backup_of
from raxx_bcp.snapshots.names import FREESCOUT_TAG, is_ours, our_tags
from raxx_bcp.snapshots.prune import Pruned, carry_out, plan
from raxx_bcp.snapshots.take import Taken, take
from raxx_bcp.waiting import Deadline, Progress, Waiting, silent

AVAILABLE_CHECK: Final = "available"
RETENTION: Final = "retention"
CHECK_NAMES: Final = (AVAILABLE_CHECK, RETENTION, COPY)
_GONE_MINUTES: Final = 2


@dataclass(frozen=True)
class SnapshotConnections:
    """``home`` is the region of the instances; ``away`` that of the copies, where the policy names one."""

    home: Snapshots
    away: Snapshots | None = None
    sightings: Sightings | None = None
    """Since when each host is guarded; None: not read."""


@dataclass(frozen=True)
class SnapshotReceipt:
    """The state now, and what was done for it."""

    instance: str
    region: str
    day: str
    taken: Taken
    pruned: Pruned
    copied: Copied
    freescout: FreeScoutBackup
    checks: tuple[Check, ...]
    duration_seconds: float

    @property
    def status(self) -> Status:
        return worst(self.checks)

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        snapshot = self.taken.snapshot
        return {
            "ok": self.status in (Status.PASS, Status.WARN),
            "status": self.status.value,
            "instance": self.instance,
            "region": self.region,
            "day": self.day,
            "snapshot": snapshot.name,
            "state": snapshot.state,
            "created_utc": f"{snapshot.created_utc:%Y-%m-%dT%H:%M:%SZ}",
            "size_gb": snapshot.size_gb,
            "created": self.taken.created,
            "pruning": self.pruned.as_dict(),
            "freescout_backup": self.freescout.words,
            "checks": [check.as_dict() for check in self.checks],
            "duration_seconds": round(self.duration_seconds, 3),
        }


def snapshot_day(
    connections: SnapshotConnections,
    policy: Policy,
    day: str,
    *,
    dry_run: bool = False,
    clock: Clock = utc_now,
    sleep: Callable[[float], None] = time.sleep,
    progress: Progress = silent,
) -> SnapshotReceipt:
    """Ensure an available snapshot of ``day`` (``YYYY-MM-DD``, UTC), then keep seven and copy.

    ``dry_run`` takes the snapshot and only says what pruning would delete. Raises what ``take`` raises.
    """
    started, promised = clock(), policy.vault_snapshot
    connections.home.instance(promised.instance)
    seen = _relevant(connections.home, policy)
    backup = freescout_backup(connections.home, policy, day, seen)
    progress(f"FreeScout's own backup of {day}: {backup.words}")
    tags = {**our_tags(promised.instance, day), FREESCOUT_TAG: backup.words}
    ours = [one for one in seen if is_ours(one, promised.instance)]
    patience = Deadline.of(promised.deadline_minutes, promised.poll_seconds, clock, sleep)
    taken = take(connections.home, promised.instance, day, ours, tags, patience, progress)
    pruned, retention = _prune(connections.home, policy, taken.snapshot, dry_run=dry_run, progress=progress)
    retention = _confirm(
        connections.home, pruned, retention, Deadline.of(_GONE_MINUTES, promised.poll_seconds, clock, sleep)
    )
    copied = copy_to(
        connections.away, connections.home.region, taken.snapshot, promised.keep, dry_run=dry_run, progress=progress
    )
    return SnapshotReceipt(
        instance=promised.instance,
        region=connections.home.region,
        day=day,
        taken=taken,
        pruned=pruned,
        copied=copied,
        freescout=backup,
        checks=(_available(taken), retention, copied.check),
        duration_seconds=(clock() - started).total_seconds(),
    )


def freescout_backup(home: Snapshots, policy: Policy, day: str, seen: list[InstanceSnapshot]) -> FreeScoutBackup:
    """FreeScout's backup of ``day``; UNKNOWN where it cannot be seen, which never stops the vault's snapshot."""
    instance = policy.freescout.instance
    try:
        return backup_of(day, home.automatic(instance), seen, instance)
    except BcpError:
        return FreeScoutBackup(day, BackupState.UNKNOWN)


def _relevant(home: Snapshots, policy: Policy) -> list[InstanceSnapshot]:
    wanted = (policy.vault_snapshot.instance, policy.freescout.instance)
    return [one for one in home.all() if one.instance_name in wanted]


def _available(taken: Taken) -> Check:
    how = "taken now" if taken.created else "taken by an earlier run of today"
    return Check(AVAILABLE_CHECK, Status.PASS, f"{taken.snapshot.name}: available, {how}.")


def _prune(
    home: Snapshots, policy: Policy, newest: InstanceSnapshot, *, dry_run: bool, progress: Progress
) -> tuple[Pruned, Check]:
    """A whole list or no pruning: an incomplete list is not judged."""
    promised = policy.vault_snapshot
    try:
        decided = plan(home.all(), promised.instance, promised.keep, newest.name)
        pruned = carry_out(home, decided, promised.instance, dry_run=dry_run, progress=progress)
    except BcpError as error:
        nothing = Pruned(plan((), promised.instance, promised.keep, newest.name), (), (), dry_run)
        return nothing, _retention_warning(f"nothing was pruned: {error.what}", error.remedy, newest)
    if pruned.refused:
        reasons = "; ".join(f"{name}: {why}" for name, why in pruned.refused)
        return pruned, _retention_warning(f"not deleted: {reasons}", _DELETE_BY_HAND, newest)
    if decided.why_not:
        return pruned, _retention_warning(f"nothing was pruned: {decided.why_not}.", _LOOK_AT_LIST, newest)
    done = "would go (dry run)" if dry_run else "deleted"
    count = len(decided.delete)
    return pruned, Check(RETENTION, Status.PASS, f"{len(decided.keep)} of {promised.keep} kept, {count} {done}.")


def _confirm(home: Snapshots, pruned: Pruned, check: Check, patience: Deadline) -> Check:
    """Gone means no longer listed, whatever the delete call answered. One look that fails does not end the wait."""
    left = list(pruned.deleted)

    def look() -> list[str] | Waiting:
        left[:] = [name for name in left if home.get(name) is not None]
        return Waiting(_STILL_THERE) if left else left

    def late(seen: str) -> CouldNotVerifyError:
        return CouldNotVerifyError(seen, _LOOK_AT_LIST)

    try:
        patience.ask(look, late)
    except BcpError as error:
        if error.what == _STILL_THERE:
            detail = f"accepted for deletion and still there: {', '.join(left)}."
        else:
            detail = f"whether the old ones are gone is not known: {error.what}"
        return Check(RETENTION, Status.WARN, detail, error.remedy)
    return check


_STILL_THERE: Final = "still there"


_DELETE_BY_HAND: Final = (
    "Today's snapshot is kept. Give the role lightsail:DeleteInstanceSnapshot (deploy/iam/), or delete them in the "
    "Lightsail console; the next run tries again."
)
_LOOK_AT_LIST: Final = "Look at raxx-bcp snapshot list; the next run tries again."


def _retention_warning(detail: str, remedy: str, newest: InstanceSnapshot) -> Check:
    """Slack gets it once a month while it lasts: it costs cents, not a backup."""
    month = f"retention-{newest.created_utc:%Y-%m}"
    return Check(RETENTION, Status.WARN, detail, remedy, warning_id=month)
