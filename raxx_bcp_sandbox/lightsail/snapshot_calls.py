"""Manual and automatic snapshots, and the add-on that creates the automatic ones."""

from __future__ import annotations

import uuid
from typing import Any

from raxx_bcp_sandbox.lightsail import rules, shapes
from raxx_bcp_sandbox.lightsail.call import PAGE, Answer, Call, Handler, page_token
from raxx_bcp_sandbox.lightsail.errors import (
    invalid_input,
    names_in_use,
    not_found,
    operation_failure,
    service_exception,
)
from raxx_bcp_sandbox.lightsail.faults import DELETE_REFUSED, ENDS_IN_ERROR, LIST_CUT, NAME_TAKEN
from raxx_bcp_sandbox.lightsail.instance_calls import chosen_automatic, refuse_date, require_available
from raxx_bcp_sandbox.lightsail.records import (
    AVAILABLE,
    ERROR,
    IN_PROGRESS,
    PENDING,
    RUNNING,
    SHUTTING_DOWN,
    STOPPED,
    Automatic,
    Instance,
    Snapshot,
    arn,
)
from raxx_bcp_sandbox.lightsail.settling import next_begin
from raxx_bcp_sandbox.lightsail.times import day_of

_CUT_TO = 1


def get_instance_snapshot(call: Call) -> Answer:
    """GetInstanceSnapshot."""
    return {"instanceSnapshot": shapes.snapshot(call.snapshot())}


def get_instance_snapshots(call: Call) -> Answer:
    """GetInstanceSnapshots, a page at a time."""
    cut = call.world.faults.on(LIST_CUT)
    start = call.page_start("snapshots", 0)
    if cut and "pageToken" in call.parameters:
        raise service_exception()
    size = _CUT_TO if cut else PAGE
    rows = call.world.store.page(Snapshot, call.region, start, size + 1)
    shown = rows[:size]
    more = {"nextPageToken": page_token("snapshots", shown[-1][0])} if shown and (cut or len(rows) > size) else {}
    return {"instanceSnapshots": [shapes.snapshot(each) for _, each in shown], **more}


def create_instance_snapshot(call: Call) -> Answer:
    """CreateInstanceSnapshot.

    "You cannot create manual snapshots when an automatic snapshot is being created" (developer guide, "Configure
    automatic snapshots"). The guide names no exception. We use this one, since the input is valid.
    """
    world, name = call.world, call.parameters["instanceSnapshotName"]
    instance = call.instance()
    tags = rules.read_tags(call.parameters.get("tags", []))
    world.require_free(call.region, name)
    if world.faults.on(NAME_TAKEN):
        raise names_in_use(name)
    if instance.state not in (RUNNING, STOPPED):
        raise operation_failure(f"The instance {instance.name} is {instance.state}, so no snapshot was begun.")
    if any(each.status == IN_PROGRESS for each in world.automatics(instance)):
        raise operation_failure(
            f"You cannot create manual snapshots when an automatic snapshot is being created: {instance.name}.",
            "Wait until the automatic snapshot has ended.",
        )
    new = _new_snapshot(call, name, instance, tags=tags)
    world.bodies.snapshot(instance, new.id, new.created_at)
    return {
        "operations": [
            world.begin(new, "CreateInstanceSnapshot", details=instance.name, waits_for=new),
            world.begin(instance, "CreateInstanceSnapshot", details=name, waits_for=new),
        ]
    }


def _new_snapshot(call: Call, name: str, source: Instance | Snapshot, **fields: Any) -> Snapshot:
    of = source.name if isinstance(source, Instance) else source.instance
    instance_arn = arn(source) if isinstance(source, Instance) else source.instance_arn
    new = Snapshot(
        region=call.region,
        name=name,
        id=str(uuid.uuid4()),
        created_at=call.now,
        instance=of,
        instance_arn=instance_arn,
        blueprint=source.blueprint,
        bundle=source.bundle,
        disk_gb=source.disk_gb,
        state=PENDING,
        due=call.now + call.world.pending_seconds,
        ends_in=ERROR if call.world.faults.on(ENDS_IN_ERROR) else AVAILABLE,
        **fields,
    )
    call.world.store.add(new)
    return new


def delete_instance_snapshot(call: Call) -> Answer:
    """DeleteInstanceSnapshot: permanent and immediate."""
    snapshot = call.snapshot()
    if call.world.faults.on(DELETE_REFUSED):
        raise operation_failure(f"The snapshot {snapshot.name} could not be deleted. Try again later.")
    call.world.store.remove(snapshot)
    call.world.bodies.delete_snapshot(snapshot.id)
    return {"operations": [call.world.begin(snapshot, "DeleteInstanceSnapshot")]}


def copy_snapshot(call: Call) -> Answer:
    """CopySnapshot: a manual one, or an automatic one to keep; tags are not copied (the call accepts none)."""
    given, world = call.parameters, call.world
    if ("sourceSnapshotName" in given) == ("sourceResourceName" in given):
        raise invalid_input("Define either sourceSnapshotName or sourceResourceName.")
    source, copied, from_automatic = _copied(call)
    target = given["targetSnapshotName"]
    world.require_free(call.region, target)
    new = _new_snapshot(call, target, source, from_automatic=from_automatic)
    world.bodies.copy_snapshot(copied.id, new.id, new.instance, copied.created_at)
    details = f"{given['sourceRegion']}:{source.name}"
    return {"operations": [world.begin(new, "CopySnapshot", details=details, waits_for=new)]}


def _copied(call: Call) -> tuple[Instance | Snapshot, Snapshot | Automatic, bool]:
    """The snapshot, or the instance of an automatic one; what to copy; and whether it is automatic."""
    given, world = call.parameters, call.world
    region = given["sourceRegion"]
    if "sourceSnapshotName" in given:
        refuse_date(given)
        snapshot = world.snapshot(region, given["sourceSnapshotName"])
        require_available(snapshot)
        return snapshot, snapshot, snapshot.from_automatic
    instance = world.instance(region, given["sourceResourceName"])
    return instance, chosen_automatic(call, instance), True


# -- automatic snapshots ---------------------------------------------------------------------------------


def get_auto_snapshots(call: Call) -> Answer:
    """GetAutoSnapshots, newest first."""
    instance = call.instance("resourceName")
    return {
        "resourceName": instance.name,
        "resourceType": instance.kind,
        "autoSnapshots": [shapes.automatic(each) for each in call.world.automatics(instance)],
    }


def delete_auto_snapshot(call: Call) -> Answer:
    """DeleteAutoSnapshot."""
    instance, day = call.instance("resourceName"), call.parameters["date"]
    stored = call.world.store.automatics(instance.region, instance.name)
    found = next((each for each in stored if each.day == day), None)
    if found is None:
        raise not_found("AutoSnapshot", f"{instance.name} of {day}")
    if found.status == IN_PROGRESS:
        raise operation_failure(f"The automatic snapshot of {instance.name} of {day} is being created.")
    call.world.store.remove_automatic(found)
    call.world.bodies.delete_snapshot(found.id)
    details = f"DeleteAutoSnapshot-{day}"
    return {"operations": [call.world.begin(instance, "DeleteAutoSnapshot", details=details)]}


def enable_add_on(call: Call) -> Answer:
    """EnableAddOn, which also moves an active add-on to another hour."""
    hour = rules.automatic_hour(call.parameters["addOnRequest"])
    instance = call.instance("resourceName")
    if instance.state == SHUTTING_DOWN:
        raise operation_failure(f"The instance {instance.name} is being deleted.")
    stored = call.world.store.automatics(instance.region, instance.name)
    made_today = bool(stored) and stored[0].day == day_of(call.now)
    due = next_begin(instance, hour, made_today=made_today, now=call.now)
    call.world.store.change(instance, automatic_hour=hour, automatic_due=due)
    return {"operations": [_add_on(call, instance, "EnableAddOn")]}


def disable_add_on(call: Call) -> Answer:
    """DisableAddOn: no new snapshots are taken; existing ones stay."""
    instance = call.instance("resourceName")
    call.world.store.change(instance, automatic_hour=None, automatic_due=None)
    return {"operations": [_add_on(call, instance, "DisableAddOn")]}


def _add_on(call: Call, instance: Instance, kind: str) -> dict[str, Any]:
    return call.world.begin(instance, kind, details="AutoSnapshot", takes=call.world.pending_seconds)


HANDLERS: dict[str, Handler] = {
    "CopySnapshot": copy_snapshot,
    "CreateInstanceSnapshot": create_instance_snapshot,
    "DeleteAutoSnapshot": delete_auto_snapshot,
    "DeleteInstanceSnapshot": delete_instance_snapshot,
    "DisableAddOn": disable_add_on,
    "EnableAddOn": enable_add_on,
    "GetAutoSnapshots": get_auto_snapshots,
    "GetInstanceSnapshot": get_instance_snapshot,
    "GetInstanceSnapshots": get_instance_snapshots,
}
