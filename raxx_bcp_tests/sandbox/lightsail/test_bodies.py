"""Where real processes will stand behind instances: they are told everything, at the right moment, in order."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from raxx_bcp_sandbox.lightsail.errors import operation_failure
from raxx_bcp_sandbox.lightsail.records import Instance
from raxx_bcp_tests.sandbox.lightsail.lab import Lab, MakeLab
from raxx_bcp_tests.sandbox.lightsail.refusals import refusal

if TYPE_CHECKING:
    from types_boto3_lightsail import LightsailClient

NEW = "new-one"


class RecordingBodies:
    """Notes what it is told, with ids; what is in ``hang`` never boots, ``broken`` refuses to start."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.hang: set[str] = set()
        self.broken = False
        self.taken: dict[str, float] = {}
        self.copied_of = ""
        self.copying = False
        self.kept: tuple[set[str], set[str]] = (set(), set())

    def start(self, instance: Instance) -> None:
        if self.broken:
            raise operation_failure("No disk is left.")
        self.told.append(("start", instance.name))

    def is_up(self, instance: Instance) -> bool:
        return instance.name not in self.hang

    def stop(self, instance: Instance) -> None:
        self.told.append(("stop", instance.name))

    def delete(self, instance: Instance) -> None:
        self.told.append(("delete", instance.name))

    def firewall(self, instance: Instance) -> None:
        self.told.append(("firewall", f"{instance.name} {instance.openings[0].first}"))

    def trouble(self, instance: Instance) -> str:
        return "no disk" if instance.name in self.hang else ""

    def snapshot(self, instance: Instance, snapshot_id: str, taken_at: float) -> None:
        self.told.append(("snapshot", f"{instance.name} {snapshot_id}"))
        self.taken[snapshot_id] = taken_at

    def is_copied(self, snapshot_id: str) -> bool:
        return not self.copying or snapshot_id not in self.taken

    def copy_snapshot(self, source_id: str, copy_id: str, instance: str, taken_at: float) -> None:
        self.told.append(("copy", f"{source_id} {copy_id}"))
        assert taken_at == self.taken[source_id]
        self.copied_of = instance

    def delete_snapshot(self, snapshot_id: str) -> None:
        self.told.append(("forget", snapshot_id))

    def keep_only(self, instances: Collection[str], snapshots: Collection[str]) -> None:
        self.kept = (set(instances), set(snapshots))

    def access(self, instance: Instance) -> dict[str, Any]:
        return {"username": "ubuntu", "ipAddress": instance.address, "protocol": "ssh", "instanceName": instance.name}


def create(lab: Lab) -> None:
    """Make an instance."""
    lab.client().create_instances(
        instanceNames=[NEW], availabilityZone="us-east-1a", blueprintId="debian_12", bundleId="nano_3_0"
    )


def state(lab: Lab) -> str:
    """The new instance's state."""
    return lab.client().get_instance_state(instanceName=NEW)["state"]["name"]


def snapshot_id(client: LightsailClient, name: str) -> str:
    """The id by which bodies know a snapshot: the last part of its ARN."""
    arn = client.get_instance_snapshot(instanceSnapshotName=name)["instanceSnapshot"]["arn"]
    return arn.rpartition("/")[2]


def test_a_life(make_lab: MakeLab) -> None:
    bodies = RecordingBodies()
    with make_lab(bodies=bodies) as lab:
        client = lab.client()
        assert [each for each in bodies.told if each[0] == "start"] == [
            ("start", "raxx-vault"),
            ("start", "raxx-tickets"),
        ], "those that run are woken when the stand-in starts"
        bodies.told.clear()
        create(lab)
        lab.advance(4)
        client.put_instance_public_ports(
            instanceName=NEW, portInfos=[{"fromPort": 22, "toPort": 22, "protocol": "tcp"}]
        )
        client.create_instance_snapshot(instanceName=NEW, instanceSnapshotName="of-new")
        lab.advance(4)
        client.copy_snapshot(sourceSnapshotName="of-new", targetSnapshotName="copy", sourceRegion="us-east-1")
        first = client.get_instance_snapshot(instanceSnapshotName="of-new")["instanceSnapshot"]
        original, copy = snapshot_id(client, "of-new"), snapshot_id(client, "copy")
        client.delete_instance_snapshot(instanceSnapshotName="of-new")
        assert client.get_instance_access_details(instanceName=NEW)["accessDetails"]["username"] == "ubuntu"
        client.delete_instance(instanceName=NEW)
        assert bodies.told[-1] == ("stop", NEW)
        lab.advance(4)
        client.get_regions()
    assert bodies.taken[original] == first["createdAt"].timestamp()
    assert bodies.copied_of == NEW
    assert bodies.told == [
        ("start", NEW),
        ("firewall", f"{NEW} 22"),
        ("snapshot", f"{NEW} {original}"),
        ("copy", f"{original} {copy}"),
        ("forget", original),
        ("stop", NEW),
        ("delete", NEW),
    ]


def test_automatic_snapshots_are_copies_of_disks_too(make_lab: MakeLab) -> None:
    bodies = RecordingBodies()
    with make_lab(bodies=bodies) as lab:
        made = [told.removeprefix("raxx-tickets ") for verb, told in bodies.told if verb == "snapshot"]
        assert len(made) == 8
        days = [bodies.taken[each] / 86_400 for each in made]
        assert [round(after - before, 6) for before, after in itertools.pairwise(days)] == [1.0] * 7
        assert made[0] not in bodies.kept[1], "its body was not told to keep one that was let go"
        assert set(made[1:]) < bodies.kept[1]
        assert len(bodies.kept[0]) == 2
        assert [told for verb, told in bodies.told if verb == "forget"] == made[:1], "the latest seven are kept"
        bodies.told.clear()
        lab.advance(86_400)
        (taken, forgotten) = bodies.told
        assert (taken[0], taken[1].partition(" ")[0], forgotten) == ("snapshot", "raxx-tickets", ("forget", made[1]))
        lab.client().delete_instance(instanceName="raxx-tickets", forceDeleteAddOns=True)
        bodies.told.clear()
        lab.advance(4)
        assert bodies.told[0] == ("delete", "raxx-tickets")
        kept = {*made[2:], taken[1].partition(" ")[2]}
        assert {told for verb, told in bodies.told[1:] if verb == "forget"} == kept


def test_an_instance_that_never_boots_stays_pending_and_so_does_its_operation(make_lab: MakeLab) -> None:
    bodies = RecordingBodies()
    with make_lab(bodies=bodies) as lab:
        bodies.hang.add(NEW)
        create(lab)
        lab.advance(86_400)
        assert state(lab) == "pending"
        refused = refusal(lab.client().get_instance_access_details, instanceName=NEW)
        assert refused.message == f"The instance {NEW} is pending: no disk"
        operation = lab.client().get_operations_for_resource(resourceName=NEW)["operations"][0]
        assert (operation["status"], operation["isTerminal"]) == ("Started", False)
        bodies.hang.clear()
        assert state(lab) == "running"
        ended = lab.client().get_operation(operationId=operation["id"])["operation"]
        assert ended["status"] == "Succeeded"


def test_a_snapshot_is_pending_until_its_copy_is_whole(make_lab: MakeLab) -> None:
    bodies = RecordingBodies()
    with make_lab(bodies=bodies) as lab:
        client = lab.client()
        bodies.copying = True
        client.create_instance_snapshot(instanceName="raxx-vault", instanceSnapshotName="slow")
        lab.advance(86_400)
        assert client.get_instance_snapshot(instanceSnapshotName="slow")["instanceSnapshot"]["state"] == "pending"
        assert client.get_auto_snapshots(resourceName="raxx-tickets")["autoSnapshots"][0]["status"] == "InProgress"
        bodies.copying = False
        assert client.get_instance_snapshot(instanceSnapshotName="slow")["instanceSnapshot"]["state"] == "available"
        assert client.get_auto_snapshots(resourceName="raxx-tickets")["autoSnapshots"][0]["status"] == "Success"


def test_a_body_that_cannot_start_leaves_no_record(make_lab: MakeLab) -> None:
    bodies = RecordingBodies()
    with make_lab(bodies=bodies) as lab:
        bodies.broken = True
        assert refusal(create, lab=lab).message == "No disk is left."
        assert refusal(lab.client().get_instance, instanceName=NEW).code == "NotFoundException"


def test_nobody_logs_in_to_an_instance_that_does_not_run(make_lab: MakeLab) -> None:
    with make_lab(bodies=RecordingBodies()) as lab:
        create(lab)
        refused = refusal(lab.client().get_instance_access_details, instanceName=NEW)
        assert (refused.code, "is pending" in refused.message) == ("OperationFailureException", True)
        lab.advance(4)
        lab.client().get_instance_access_details(instanceName=NEW)
