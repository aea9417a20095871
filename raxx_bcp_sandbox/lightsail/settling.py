"""State changes that come with time. Each call processes those that are due: no thread, and a kill loses none.

Automatic snapshots (EnableAddOn; developer guide, "Configure automatic snapshots"): started within 45 minutes after the
hour, one a UTC day, the latest seven kept. Here each starts 12 minutes after the hour and takes 8.
"""

from __future__ import annotations

import uuid
from typing import Final

import msgspec

from raxx_bcp_sandbox.lightsail.bodies import Bodies
from raxx_bcp_sandbox.lightsail.faults import STUCK, LightsailFaults
from raxx_bcp_sandbox.lightsail.records import (
    ERROR,
    OPERATION_FAILED,
    PENDING,
    RUNNING,
    SHUTTING_DOWN,
    STOPPED,
    SUCCEEDED,
    SUCCESS,
    Automatic,
    Instance,
    Operation,
    Snapshot,
)
from raxx_bcp_sandbox.lightsail.store import Store
from raxx_bcp_sandbox.lightsail.times import DAY, HOUR, day_of, midnight

BEGINS_AFTER_SECONDS: Final = 12 * 60.0
TAKES_SECONDS: Final = 8 * 60.0
KEPT: Final = 7
NOTICE_SECONDS: Final = 30 * 60.0
"""A new time of day that is closer to now than this waits until tomorrow (AutoSnapshotAddOnRequest)."""


def settle(store: Store, bodies: Bodies, faults: LightsailFaults, now: float) -> None:
    """Process what fell due until ``now``, inside the caller's transaction."""
    for resource in store.due(now):
        if isinstance(resource, Snapshot):
            _finish_snapshot(store, bodies, faults, resource)
        else:
            _finish_instance(store, bodies, resource)
    for instance in store.automatic_due(now):
        _begin_automatics(store, bodies, instance, now)
    for automatic in store.automatics_ending(now):
        if bodies.is_copied(automatic.id):
            store.put_automatic(msgspec.structs.replace(automatic, status=SUCCESS, due=None))
    for operation in store.operations_ending(now):
        _finish_operation(store, operation)


def _finish_snapshot(store: Store, bodies: Bodies, faults: LightsailFaults, snapshot: Snapshot) -> None:
    if not faults.on(STUCK) and bodies.is_copied(snapshot.id):
        store.change(snapshot, state=snapshot.ends_in, due=None)


def _finish_instance(store: Store, bodies: Bodies, instance: Instance) -> None:
    if instance.state == SHUTTING_DOWN:
        bodies.delete(instance)
        for automatic in store.automatics(instance.region, instance.name):
            bodies.delete_snapshot(automatic.id)
        store.remove(instance)
    elif instance.state != PENDING:
        store.change(instance, state=STOPPED, due=None)
    elif bodies.is_up(instance):
        store.change(instance, state=RUNNING, due=None)


def _finish_operation(store: Store, operation: Operation) -> None:
    """It ends when what it waits for has ended, which may be after its due time."""
    other = store.named(operation.region, operation.waits_for) if operation.waits_for else None
    if other is not None and other.due is not None:
        return
    ended = {"status": SUCCEEDED, "changed_at": operation.due, "due": None}
    if other is not None and other.state == ERROR:
        ended |= {
            "status": OPERATION_FAILED,
            "error_code": "InternalError",
            "error_details": f"The snapshot {other.name} could not be made.",
        }
    store.put_operation(msgspec.structs.replace(operation, **ended))


# -- automatic snapshots ---------------------------------------------------------------------------------


def _begin_automatics(store: Store, bodies: Bodies, instance: Instance, now: float) -> None:
    hour, due = instance.automatic_hour, instance.automatic_due
    if hour is None or due is None:
        return
    due += max(0.0, (now - due) // DAY - KEPT) * DAY  # after a long downtime, only the last ones would be kept
    while due <= now:
        _begin_automatic(store, bodies, instance, due)
        due = begins(midnight(due) + DAY, hour)
    store.change(instance, automatic_due=due)


def _begin_automatic(store: Store, bodies: Bodies, instance: Instance, due: float) -> None:
    new_id = str(uuid.uuid4())
    store.put_automatic(
        Automatic(instance.region, instance.name, day_of(due), new_id, created_at=due, due=due + TAKES_SECONDS)
    )
    bodies.snapshot(instance, new_id, due)
    for old in store.automatics(instance.region, instance.name)[KEPT:]:
        store.remove_automatic(old)
        bodies.delete_snapshot(old.id)


def begins(day: float, hour: int) -> float:
    """When the automatic snapshot of the day that starts at ``day`` starts."""
    return day + hour * HOUR + BEGINS_AFTER_SECONDS


def next_begin(instance: Instance, hour: int, *, made_today: bool, now: float) -> float:
    """When the next automatic snapshot starts, once the add-on is switched on, or moved, to ``hour``.

    The rules are those of AutoSnapshotAddOnRequest: never two on one day, and a change that is too late for today does
    not move today's.
    """
    today = midnight(now)
    tomorrow, starts, soon = today + DAY, today + hour * HOUR, now + NOTICE_SECONDS
    if made_today:
        return begins(tomorrow, hour)
    if instance.automatic_due is None:
        return begins(today if starts >= now else tomorrow, hour)
    before = instance.automatic_due - BEGINS_AFTER_SECONDS
    if before < tomorrow and (starts < before or min(starts, before) < soon):
        return instance.automatic_due
    return begins(today if starts >= soon else tomorrow, hour)
