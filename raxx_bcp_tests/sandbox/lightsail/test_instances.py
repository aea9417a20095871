"""Instances: made from blueprints and snapshots, stopped, started, deleted, and their firewall."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from raxx_bcp_sandbox.lightsail.seed import BY_HAND
from raxx_bcp_tests.sandbox.lightsail.lab import Lab
from raxx_bcp_tests.sandbox.lightsail.refusals import refusal

if TYPE_CHECKING:
    from types_boto3_lightsail import LightsailClient

VAULT, TICKETS, NEW = "raxx-vault", "raxx-tickets", "raxx-tickets-restored"


def create(client: LightsailClient, **changed: Any) -> list[Any]:
    """Make an instance from a blueprint."""
    parameters: dict[str, Any] = {
        "instanceNames": [NEW],
        "availabilityZone": "us-east-1a",
        "blueprintId": "ubuntu_22_04",
        "bundleId": "small_3_0",
        **changed,
    }
    return client.create_instances(**parameters)["operations"]


def restore(client: LightsailClient, **changed: Any) -> list[Any]:
    """Make an instance from a snapshot, by default from FreeScout's by hand."""
    parameters: dict[str, Any] = {
        "instanceNames": [NEW],
        "availabilityZone": "us-east-1a",
        "bundleId": "small_3_0",
        "instanceSnapshotName": "raxx-tickets-before-upgrade",
        **changed,
    }
    return client.create_instances_from_snapshot(
        **{name: value for name, value in parameters.items() if value is not None}
    )["operations"]


def state(client: LightsailClient, name: str = NEW) -> str:
    """The instance's state."""
    return client.get_instance_state(instanceName=name)["state"]["name"]


def open_ports(client: LightsailClient, name: str = NEW) -> list[tuple[int, list[str]]]:
    """What the firewall lets in."""
    states = client.get_instance_port_states(instanceName=name)["portStates"]
    assert {each["state"] for each in states} <= {"open"}
    return [(each["fromPort"], each["cidrs"]) for each in states]


class TestCreating:
    def test_it_is_pending_and_then_runs(self, lab: Lab, client: LightsailClient) -> None:
        (operation,) = create(client, tags=[{"key": "lease", "value": "x"}], userData="#!/bin/sh")
        assert (operation["operationType"], operation["status"]) == ("CreateInstance", "Started")
        assert client.get_instance_state(instanceName=NEW)["state"] == {"code": 0, "name": "pending"}
        lab.advance(3.1)
        assert client.get_instance_state(instanceName=NEW)["state"] == {"code": 16, "name": "running"}
        shown = client.get_instance(instanceName=NEW)["instance"]
        assert shown["tags"] == [{"key": "lease", "value": "x"}]
        assert (shown["bundleId"], shown["hardware"]["disks"][0]["sizeInGb"], shown["username"]) == (
            "small_3_0",
            60,
            "ubuntu",
        )
        assert client.get_operation(operationId=operation["id"])["operation"]["status"] == "Succeeded"

    def test_each_has_its_own_loopback_address(self, lab: Lab, client: LightsailClient) -> None:
        create(client, instanceNames=["one-more", "two-more"])
        addresses = {each["publicIpAddress"] for each in client.get_instances()["instances"]}
        assert addresses == {"127.0.5.1", "127.0.5.2", "127.0.5.3", "127.0.5.4"}
        client.delete_instance(instanceName="one-more")
        lab.advance(4)
        create(client, instanceNames=["three-more"])
        assert client.get_instance(instanceName="three-more")["instance"]["publicIpAddress"] == "127.0.5.3"

    @pytest.mark.parametrize(
        "changed",
        [
            {"instanceNames": []},
            {"instanceNames": [VAULT]},
            {"instanceNames": [BY_HAND]},
            {"instanceNames": ["twice", "twice"]},
            {"availabilityZone": "eu-west-1a"},
            {"availabilityZone": "us-east-1"},
            {"blueprintId": "windows_3_11"},
            {"bundleId": "small_1_0"},
            {"bundleId": "enormous"},
        ],
    )
    def test_what_cannot_be_made(self, client: LightsailClient, changed: dict[str, Any]) -> None:
        assert refusal(create, client=client, **changed).code == "InvalidInputException"
        assert len(client.get_instances()["instances"]) == 2

    def test_several_are_all_or_none(self, client: LightsailClient) -> None:
        refusal(create, client=client, instanceNames=["fine", VAULT])
        assert refusal(client.get_instance, instanceName="fine").code == "NotFoundException"

    def test_instances_are_listed_a_page_at_a_time(self, client: LightsailClient) -> None:
        create(client, instanceNames=[f"one-{number:02}" for number in range(60)])
        pages = list(client.get_paginator("get_instances").paginate())
        assert [len(page["instances"]) for page in pages] == [50, 12]
        assert refusal(client.get_instances, pageToken="nonsense").code == "InvalidInputException"


class TestRestoring:
    def test_from_a_manual_snapshot_with_default_ports_and_no_tags(self, lab: Lab, client: LightsailClient) -> None:
        assert open_ports(client, TICKETS) == [(22, ["203.0.113.7/32", "127.0.0.1/32"]), (443, ["0.0.0.0/0"])]
        (operation,) = restore(client)
        assert operation["operationType"] == "CreateInstancesFromSnapshot"
        lab.advance(4)
        shown = client.get_instance(instanceName=NEW)["instance"]
        assert (shown["blueprintId"], shown["tags"], shown.get("addOns")) == ("ubuntu_22_04", [], None)
        assert open_ports(client) == [(22, ["0.0.0.0/0"]), (80, ["0.0.0.0/0"])]
        assert state(client) == "running"

    @pytest.mark.parametrize(
        "source",
        [
            {"instanceSnapshotName": None, "sourceInstanceName": TICKETS, "useLatestRestorableAutoSnapshot": True},
            {"instanceSnapshotName": None, "sourceInstanceName": TICKETS, "restoreDate": "2031-03-10"},
        ],
    )
    def test_from_an_automatic_one(self, client: LightsailClient, source: dict[str, Any]) -> None:
        restore(client, **source)
        assert state(client) == "pending"

    @pytest.mark.parametrize(
        ("source", "code"),
        [
            ({"instanceSnapshotName": "nothing"}, "NotFoundException"),
            ({"instanceSnapshotName": None}, "InvalidInputException"),
            ({"sourceInstanceName": TICKETS, "useLatestRestorableAutoSnapshot": True}, "InvalidInputException"),
            ({"restoreDate": "2031-03-10"}, "InvalidInputException"),
            ({"instanceSnapshotName": None, "sourceInstanceName": TICKETS}, "InvalidInputException"),
            (
                {"instanceSnapshotName": None, "sourceInstanceName": TICKETS, "restoreDate": "2030-03-10"},
                "OperationFailureException",
            ),
        ],
    )
    def test_a_source_that_is_none(self, client: LightsailClient, source: dict[str, Any], code: str) -> None:
        assert refusal(restore, client=client, **source).code == code

    @pytest.mark.parametrize(("bundle", "fits"), [("nano_3_0", False), ("micro_3_0", False), ("small_3_0", True)])
    def test_the_bundle_is_at_least_the_originals(self, client: LightsailClient, bundle: str, *, fits: bool) -> None:
        if fits:
            restore(client, bundleId=bundle)
            return
        refused = refusal(restore, client=client, bundleId=bundle)
        assert refused.code == "InvalidInputException"
        assert "equal to or greater in specifications than small_3_0" in refused.message

    def test_an_old_bundle_with_a_smaller_disk_fits_a_new_one(self, client: LightsailClient) -> None:
        restore(client, instanceSnapshotName=BY_HAND, bundleId="small_3_0")
        refused = refusal(
            restore, client=client, instanceNames=["other"], instanceSnapshotName=BY_HAND, bundleId="micro_3_0"
        )
        assert "than small_1_0" in refused.message

    def test_a_pending_snapshot_cannot_be_restored(self, lab: Lab, client: LightsailClient) -> None:
        client.create_instance_snapshot(instanceName=VAULT, instanceSnapshotName="fresh")
        refused = refusal(restore, client=client, instanceSnapshotName="fresh")
        assert (refused.code, "is pending" in refused.message) == ("OperationFailureException", True)
        lab.advance(4)
        restore(client, instanceSnapshotName="fresh")

    def test_only_in_the_snapshots_own_region(self, lab: Lab) -> None:
        away = lab.client("eu-central-1")
        assert refusal(restore, client=away, availabilityZone="eu-central-1a").code == "NotFoundException"

    def test_with_an_add_on(self, lab: Lab, client: LightsailClient) -> None:
        add_on = {"addOnType": "AutoSnapshot", "autoSnapshotAddOnRequest": {"snapshotTimeOfDay": "20:00"}}
        restore(client, addOns=[add_on])
        lab.advance(86_400)
        assert len(client.get_auto_snapshots(resourceName=NEW)["autoSnapshots"]) == 1


class TestDeleting:
    def test_it_is_shown_for_a_while_and_then_gone(self, lab: Lab, client: LightsailClient) -> None:
        create(client)
        lab.advance(4)
        (operation,) = client.delete_instance(instanceName=NEW)["operations"]
        assert (operation["status"], operation["isTerminal"]) == ("Succeeded", True)
        assert state(client) == "shutting-down"
        assert refusal(client.delete_instance, instanceName=NEW).code == "OperationFailureException"
        assert "already in use" in refusal(create, client=client).message
        lab.advance(4)
        assert refusal(client.get_instance, instanceName=NEW).message == f"The Instance does not exist: {NEW}"
        create(client)

    def test_add_ons_must_be_deleted_with_it_explicitly(self, lab: Lab, client: LightsailClient) -> None:
        refused = refusal(client.delete_instance, instanceName=TICKETS)
        assert (refused.code, "forceDeleteAddOns" in refused.message) == ("InvalidInputException", False)
        assert state(client, TICKETS) == "running"
        client.delete_instance(instanceName=TICKETS, forceDeleteAddOns=True)
        lab.advance(4)
        assert [each["name"] for each in client.get_instances()["instances"]] == [VAULT]


class TestStoppingAndStarting:
    def test_there_and_back(self, lab: Lab, client: LightsailClient) -> None:
        assert refusal(client.start_instance, instanceName=VAULT).code == "OperationFailureException"
        client.stop_instance(instanceName=VAULT)
        assert state(client, VAULT) == "stopping"
        lab.advance(4)
        assert state(client, VAULT) == "stopped"
        assert refusal(client.stop_instance, instanceName=VAULT).code == "OperationFailureException"
        client.create_instance_snapshot(instanceName=VAULT, instanceSnapshotName="of-a-stopped-one")
        client.start_instance(instanceName=VAULT)
        lab.advance(4)
        assert state(client, VAULT) == "running"


class TestTheFirewall:
    def test_what_is_not_listed_is_closed(self, client: LightsailClient) -> None:
        ours = [{"fromPort": 22, "toPort": 22, "protocol": "tcp", "cidrs": ["198.51.100.9/32"]}]
        operation = client.put_instance_public_ports(instanceName=TICKETS, portInfos=ours)["operation"]  # type: ignore[arg-type]
        assert (operation["operationType"], operation["status"]) == ("PutInstancePublicPorts", "Succeeded")
        (only,) = client.get_instance_port_states(instanceName=TICKETS)["portStates"]
        assert only == {
            "fromPort": 22,
            "toPort": 22,
            "protocol": "tcp",
            "state": "open",
            "cidrs": ["198.51.100.9/32"],
            "ipv6Cidrs": [],
            "cidrListAliases": [],
        }
        shown = client.get_instance(instanceName=TICKETS)["instance"]["networking"]["ports"]
        assert [(each["fromPort"], each["accessFrom"]) for each in shown] == [(22, "Custom")]

    def test_without_addresses_it_is_open_to_all(self, client: LightsailClient) -> None:
        client.put_instance_public_ports(
            instanceName=TICKETS, portInfos=[{"fromPort": 443, "toPort": 443, "protocol": "tcp"}]
        )
        assert open_ports(client, TICKETS) == [(443, ["0.0.0.0/0"])]
        client.put_instance_public_ports(instanceName=TICKETS, portInfos=[])
        assert open_ports(client, TICKETS) == []

    @pytest.mark.parametrize(
        "wrong",
        [
            {"fromPort": 443, "toPort": 80, "protocol": "tcp"},
            {"fromPort": 22, "toPort": 22, "protocol": "tcp", "cidrs": ["everywhere"]},
            {"fromPort": 22, "toPort": 22, "protocol": "tcp", "cidrs": ["::/0"]},
            {"fromPort": 22, "toPort": 22, "protocol": "tcp", "ipv6Cidrs": ["0.0.0.0/0"]},
        ],
    )
    def test_what_is_no_opening(self, client: LightsailClient, wrong: Any) -> None:
        before = open_ports(client, TICKETS)
        refused = refusal(client.put_instance_public_ports, instanceName=TICKETS, portInfos=[wrong])
        assert refused.code == "InvalidInputException"
        assert open_ports(client, TICKETS) == before


class TestLoggingIn:
    def test_a_record_has_no_body_to_log_in_to(self, client: LightsailClient) -> None:
        refused = refusal(client.get_instance_access_details, instanceName=TICKETS, protocol="ssh")
        assert refused.code == "OperationFailureException"
        assert f"{TICKETS} has no body yet" in refused.message
        assert refusal(client.get_instance_access_details, instanceName=TICKETS, protocol="rdp").code == (
            "InvalidInputException"
        )


class TestTheCatalogue:
    def test_bundles_blueprints_and_regions(self, client: LightsailClient) -> None:
        active = {each["bundleId"] for each in client.get_bundles()["bundles"]}
        every = {each["bundleId"] for each in client.get_bundles(includeInactive=True)["bundles"]}
        assert every - active == {"small_1_0"}
        assert "ubuntu_22_04" in {each["blueprintId"] for each in client.get_blueprints()["blueprints"]}
        (home,) = [each for each in client.get_regions()["regions"] if each["name"] == "us-east-1"]
        assert home["availabilityZones"] == []
        zones = client.get_regions(includeAvailabilityZones=True)["regions"][0]["availabilityZones"]
        assert zones[0] == {"zoneName": "us-east-1a", "state": "available"}
