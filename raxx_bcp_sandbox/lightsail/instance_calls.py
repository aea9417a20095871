"""Instances: make, look at, stop, start, delete, log in, and their firewall."""

from __future__ import annotations

import uuid
from typing import Any

from raxx_bcp_sandbox.lightsail import rules, shapes
from raxx_bcp_sandbox.lightsail.call import PAGE, Answer, Call, Handler, page_token
from raxx_bcp_sandbox.lightsail.catalogue import BLUEPRINTS, BUNDLES
from raxx_bcp_sandbox.lightsail.errors import invalid_input, operation_failure
from raxx_bcp_sandbox.lightsail.records import (
    AVAILABLE,
    PENDING,
    RUNNING,
    SHUTTING_DOWN,
    STOPPED,
    STOPPING,
    SUCCESS,
    Automatic,
    Instance,
    Opening,
    Snapshot,
)
from raxx_bcp_sandbox.lightsail.settling import next_begin


def get_instance(call: Call) -> Answer:
    """GetInstance."""
    return {"instance": shapes.instance(call.instance())}


def get_instances(call: Call) -> Answer:
    """GetInstances."""
    rows = call.world.store.page(Instance, call.region, call.page_start("instances", 0), PAGE + 1)
    shown = [shapes.instance(each) for _, each in rows[:PAGE] if not call.world.faults.hides(each.name)]
    more = {"nextPageToken": page_token("instances", rows[PAGE - 1][0])} if len(rows) > PAGE else {}
    return {"instances": shown, **more}


def get_instance_state(call: Call) -> Answer:
    """GetInstanceState."""
    return {"state": shapes.state(call.instance())}


def create_instances(call: Call) -> Answer:
    """CreateInstances, from a blueprint."""
    blueprint = call.parameters["blueprintId"]
    if blueprint not in BLUEPRINTS:
        raise invalid_input(f"The blueprint {blueprint} does not exist.")
    bundle = rules.active_bundle(call.parameters["bundleId"])
    return _create(call, "CreateInstance", blueprint=blueprint, bundle=bundle.id, disk_gb=bundle.disk_gb)


def create_instances_from_snapshot(call: Call) -> Answer:
    """CreateInstancesFromSnapshot, from a manual or an automatic one, onto a bundle that is not smaller."""
    source, snapshot = _restored(call)
    bundle = rules.active_bundle(call.parameters["bundleId"])
    if not bundle.holds(BUNDLES[source.bundle], source.disk_gb):
        raise invalid_input(
            f"The bundle {bundle.id} is smaller than the snapshot's: it must be equal to or greater in specifications "
            f"than {source.bundle}, with a disk of at least {source.disk_gb} GB."
        )
    return _create(
        call,
        "CreateInstancesFromSnapshot",
        blueprint=source.blueprint,
        bundle=bundle.id,
        disk_gb=bundle.disk_gb,
        from_snapshot=snapshot.id,
        snapshot_of=snapshot.instance,
        snapshot_at=snapshot.created_at,
    )


def _restored(call: Call) -> tuple[Instance | Snapshot, Snapshot | Automatic]:
    """The source of blueprint, bundle and disk, and the snapshot to restore."""
    given = call.parameters
    if ("instanceSnapshotName" in given) == ("sourceInstanceName" in given):
        raise invalid_input("Define either instanceSnapshotName or sourceInstanceName: they are mutually exclusive.")
    if "instanceSnapshotName" in given:
        refuse_date(given)
        snapshot = call.snapshot()
        require_available(snapshot)
        return snapshot, snapshot
    source = call.world.instance(call.region, given["sourceInstanceName"])
    return source, chosen_automatic(call, source)


def refuse_date(given: dict[str, Any]) -> None:
    """A manual snapshot is chosen by its name alone."""
    if "restoreDate" in given or given.get("useLatestRestorableAutoSnapshot"):
        raise invalid_input("restoreDate and useLatestRestorableAutoSnapshot are for automatic snapshots only.")


def require_available(snapshot: Snapshot) -> None:
    """Only a finished snapshot can be restored or copied."""
    if snapshot.state != AVAILABLE:
        raise operation_failure(f"The snapshot {snapshot.name} is not available: its state is {snapshot.state}.")


def chosen_automatic(call: Call, source: Instance) -> Automatic:
    """The automatic snapshot that ``restoreDate`` xor ``useLatestRestorableAutoSnapshot`` chooses."""
    day, latest = call.parameters.get("restoreDate"), call.parameters.get("useLatestRestorableAutoSnapshot", False)
    if (day is not None) == latest:
        raise invalid_input(
            "Define either restoreDate or useLatestRestorableAutoSnapshot: they are mutually exclusive."
        )
    good = [each for each in call.world.automatics(source) if each.status == SUCCESS and day in (None, each.day)]
    if not good:
        which = f"of {day} " if day else ""
        raise operation_failure(f"{source.name} has no restorable automatic snapshot {which}to use.".replace("  ", " "))
    return good[0]


def _create(call: Call, operation: str, **made: Any) -> Answer:
    """The new instances, each with the default firewall and without its source's tags."""
    world, given = call.world, call.parameters
    names = given["instanceNames"]
    if not names:
        raise invalid_input("instanceNames is empty.")
    rules.check_zone(given["availabilityZone"], call.region)
    tags = rules.read_tags(given.get("tags", []))
    hour = next((rules.automatic_hour(each) for each in given.get("addOns", [])), None)
    world.require_free(call.region, *names)
    operations = []
    for name in names:
        instance = Instance(
            region=call.region,
            name=name,
            id=str(uuid.uuid4()),
            created_at=call.now,
            zone=given["availabilityZone"],
            address=world.free_address(),
            due=call.now + world.pending_seconds,
            tags=tags,
            key_pair=given.get("keyPairName", ""),
            user_data=given.get("userData", ""),
            **made,
        )
        world.store.add(instance)
        if hour is not None:
            due = next_begin(instance, hour, made_today=False, now=call.now)
            instance = world.store.change(instance, automatic_hour=hour, automatic_due=due)
        world.bodies.start(instance)
        operations.append(world.begin(instance, operation, waits_for=instance))
    return {"operations": operations}


def delete_instance(call: Call) -> Answer:
    """DeleteInstance. Its automatic snapshots go with it; manual ones stay.

    The operation ends at once (the AWS CLI's example), while the instance is shown for a while longer.
    """
    instance = call.instance()
    if instance.state == SHUTTING_DOWN:
        raise operation_failure(f"The instance {instance.name} is being deleted already.")
    if instance.automatic_hour is not None and not call.parameters.get("forceDeleteAddOns", False):
        raise invalid_input(
            f"The instance {instance.name} has add-ons (AutoSnapshot), so it was not deleted.",
            "Set forceDeleteAddOns to delete them as well, with all automatic snapshots.",
        )
    call.world.bodies.stop(instance)
    gone = call.now + call.world.pending_seconds
    call.world.store.change(instance, state=SHUTTING_DOWN, due=gone, automatic_hour=None, automatic_due=None)
    return {"operations": [call.world.begin(instance, "DeleteInstance")]}


def stop_instance(call: Call) -> Answer:
    """StopInstance."""
    instance = _in_state(call, RUNNING)
    call.world.bodies.stop(instance)
    stopping = call.world.store.change(instance, state=STOPPING, due=call.now + call.world.pending_seconds)
    return {"operations": [call.world.begin(stopping, "StopInstance", waits_for=stopping)]}


def start_instance(call: Call) -> Answer:
    """StartInstance."""
    instance = _in_state(call, STOPPED)
    starting = call.world.store.change(instance, state=PENDING, due=call.now + call.world.pending_seconds)
    call.world.bodies.start(starting)
    return {"operations": [call.world.begin(starting, "StartInstance", waits_for=starting)]}


def _in_state(call: Call, state: str) -> Instance:
    instance = call.instance()
    if instance.state != state:
        raise operation_failure(f"The instance {instance.name} is {instance.state}, not {state}.")
    return instance


def get_instance_access_details(call: Call) -> Answer:
    """GetInstanceAccessDetails, for SSH to a running instance."""
    if call.parameters.get("protocol", "ssh") != "ssh":
        raise invalid_input("The instance is not a Windows one: only the protocol ssh can be used.")
    instance, bodies = call.instance(), call.world.bodies
    trouble = bodies.trouble(instance)
    if instance.state != RUNNING and trouble:
        raise operation_failure(f"The instance {instance.name} is {instance.state}: {trouble}")
    return {"accessDetails": bodies.access(_in_state(call, RUNNING))}


# -- the firewall ----------------------------------------------------------------------------------------


def get_instance_port_states(call: Call) -> Answer:
    """GetInstancePortStates."""
    return {"portStates": [shapes.port_state(each) for each in call.instance().openings]}


def put_instance_public_ports(call: Call) -> Answer:
    """PutInstancePublicPorts: what is not listed is closed."""
    openings = tuple(_opening(each) for each in call.parameters["portInfos"])
    instance = call.world.store.change(call.instance(), openings=openings)
    call.world.bodies.firewall(instance)
    return {"operation": call.world.begin(instance, "PutInstancePublicPorts")}


def _opening(info: dict[str, Any]) -> Opening:
    first, last = info.get("fromPort", 0), info.get("toPort", 65535)
    if first > last:
        raise invalid_input(f"fromPort {first} is greater than toPort {last}.")
    rules.check_cidrs(info.get("cidrs", []), 4)
    rules.check_cidrs(info.get("ipv6Cidrs", []), 6)
    limited = any(info.get(name) for name in ("cidrs", "ipv6Cidrs", "cidrListAliases"))
    return Opening(
        protocol=info.get("protocol", "tcp"),
        first=first,
        last=last,
        cidrs=tuple(info.get("cidrs", [] if limited else ["0.0.0.0/0"])),
        ipv6_cidrs=tuple(info.get("ipv6Cidrs", [] if limited else ["::/0"])),
        aliases=tuple(info.get("cidrListAliases", [])),
    )


HANDLERS: dict[str, Handler] = {
    "CreateInstances": create_instances,
    "CreateInstancesFromSnapshot": create_instances_from_snapshot,
    "DeleteInstance": delete_instance,
    "GetInstance": get_instance,
    "GetInstanceAccessDetails": get_instance_access_details,
    "GetInstancePortStates": get_instance_port_states,
    "GetInstanceState": get_instance_state,
    "GetInstances": get_instances,
    "PutInstancePublicPorts": put_instance_public_ports,
    "StartInstance": start_instance,
    "StopInstance": stop_instance,
}
