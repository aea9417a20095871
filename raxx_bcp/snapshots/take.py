"""Today's snapshot: found or started, and waited for until Lightsail says that it is available.

A snapshot that was started is not a backup yet. If it is still pending at the deadline: COULD_NOT_VERIFY.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from raxx_bcp.clients.lightsail import AVAILABLE, ERROR, InstanceSnapshot, Snapshots
from raxx_bcp.clients.lightsail_errors import AutomaticSnapshotRunningError, NameTakenError
from raxx_bcp.errors import NOT_THE_END, CouldNotVerifyError, PermanentError
from raxx_bcp.snapshots.names import LAST_ATTEMPT, is_ours, read_name, snapshot_name
from raxx_bcp.waiting import Deadline, Progress, silent

_DAY_MAY_END: Final = timedelta(hours=2)
"""A run of 23:59 makes its snapshot after midnight: it still belongs to that day (see ``clock.LATE_TICK``)."""


@dataclass(frozen=True)
class Taken:
    """The snapshot of the day, available. ``created`` is False when it already existed."""

    snapshot: InstanceSnapshot
    created: bool


def take(
    lightsail: Snapshots,
    instance: str,
    day: str,
    ours: list[InstanceSnapshot],
    tags: Mapping[str, str],
    patience: Deadline,
    progress: Progress = silent,
) -> Taken:
    """Ensure an available snapshot of ``instance`` for ``day`` (``YYYY-MM-DD``, UTC), at most one.

    ``ours`` are our existing snapshots. If one of today is available, it is the result. If one
    is still being made, this waits for it. One that failed, or was pending for longer than the limit, is left
    as it is, and a second attempt gets a name of its own.

    Raises ``CouldNotVerifyError`` (not available by the deadline), ``PermanentError`` (ended in error, name
    taken, refused), ``AbsentError`` (no such instance), ``TransientError`` (Lightsail away at the start).
    """
    todays = sorted((one for one in ours if _is_of(one, instance, day)), key=lambda one: one.created_utc)
    there = [one for one in todays if one.state == AVAILABLE]
    if there:
        progress(f"{there[-1].name} is there already, available since an earlier run")
        return Taken(there[-1], created=False)
    hopeful = [one for one in todays if one.state != ERROR and not _hangs(one, patience)]
    if hopeful:
        progress(f"{hopeful[-1].name} is {hopeful[-1].state}: begun by an earlier run, waiting for it")
        return Taken(_await(lightsail, hopeful[-1].name, patience, progress), created=False)
    name = _free_name(instance, day, ours)
    made = _begin(lightsail, name, instance, tags, patience, progress)
    return Taken(_await(lightsail, name, patience, progress), created=made)


def _is_of(snapshot: InstanceSnapshot, instance: str, day: str) -> bool:
    """Named for ``day`` and really made then: an old snapshot under today's name is not today's."""
    name = read_name(snapshot.name, instance)
    midnight = datetime.fromisoformat(day).replace(tzinfo=UTC)
    in_time = midnight <= snapshot.created_utc < midnight + timedelta(days=1) + _DAY_MAY_END
    return name is not None and name.day == day and in_time


def _hangs(snapshot: InstanceSnapshot, patience: Deadline) -> bool:
    """Has it been pending for longer than we would wait for a new one?"""
    return patience.clock() - snapshot.created_utc > patience.length


def _free_name(instance: str, day: str, ours: list[InstanceSnapshot]) -> str:
    names = [read_name(one.name, instance) for one in ours]
    attempt = 1 + max((name.attempt for name in names if name and name.day == day), default=0)
    if attempt > LAST_ATTEMPT:
        raise PermanentError(
            f"All {LAST_ATTEMPT} snapshots of instance {instance} that were begun on {day} have failed.",
            "Look at them in the Lightsail console: more of the same will not help.",
        )
    return snapshot_name(instance, day, attempt)


def _begin(
    lightsail: Snapshots, name: str, instance: str, tags: Mapping[str, str], patience: Deadline, progress: Progress
) -> bool:
    """Start it; True when this run started it, False when another run of ours was quicker."""
    while True:
        try:
            lightsail.create(name, instance, tags)
        except NameTakenError as error:
            other = lightsail.get(name)
            if other is None or not is_ours(other, instance):
                raise PermanentError(
                    f"The name {name} is taken by something that is not a snapshot of ours, so none was taken today.",
                    "Find it in the Lightsail console (instances and snapshots share their names), rename what can "
                    "be renamed or delete it if it is not needed, then start again.",
                ) from error
            progress(f"{name} was begun by another run a moment ago, waiting for it")
            return False
        except AutomaticSnapshotRunningError as error:
            if not patience.left:
                raise CouldNotVerifyError(
                    f"Lightsail was making an automatic snapshot of {instance} until the deadline, so {name} could not "
                    "be taken.",
                    "Move the automatic snapshots to another hour (vault_snapshot.addon), then start again.",
                ) from error
            progress(f"an automatic snapshot of {instance} is being made: trying again")
            patience.pause()
        else:
            progress(f"began {name}")
            return True


def _await(lightsail: Snapshots, name: str, patience: Deadline, progress: Progress) -> InstanceSnapshot:
    """Look until it is available. One look that fails does not end the wait: only the deadline does."""
    seen = "not seen yet"
    while True:
        try:
            snapshot = lightsail.get(name)
        except NOT_THE_END as error:
            seen = f"not seen ({error.what})"
        else:
            if snapshot is None:
                raise PermanentError(
                    f"Snapshot {name} was begun and is gone again: somebody deleted it.", "Start the job again."
                )
            if snapshot.state == AVAILABLE:
                progress(f"{name} is available, {snapshot.size_gb} GB")
                return snapshot
            if snapshot.state == ERROR:
                raise PermanentError(
                    f"Snapshot {name} ended in state error: there is no backup of it.",
                    "Start the job again, which makes a second attempt; if that fails too, look at the instance in the "
                    "Lightsail console.",
                )
            seen = f"{snapshot.state}{f' ({snapshot.progress})' if snapshot.progress else ''}"
        if not patience.left:
            raise CouldNotVerifyError(
                f"Snapshot {name} was still {seen} at the deadline: nobody knows whether it will be a backup.",
                "Look at it in the Lightsail console, then start the job again: it waits for this one while it is "
                "young, and makes a second attempt when it hangs.",
            )
        progress(f"{name} is {seen}")
        patience.pause()
