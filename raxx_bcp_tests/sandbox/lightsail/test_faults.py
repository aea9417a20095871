"""Each fault fires as its sentence says, and mending it shows the healthy account again."""

from __future__ import annotations

import time
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import requests

from raxx_bcp_sandbox.hosts import quirks
from raxx_bcp_sandbox.lightsail import faults
from raxx_bcp_sandbox.lightsail.faults import KNOWN
from raxx_bcp_tests.sandbox.lightsail.lab import Lab
from raxx_bcp_tests.sandbox.lightsail.refusals import Refusal, refusal

if TYPE_CHECKING:
    from types_boto3_lightsail import LightsailClient

VAULT, TICKETS = "raxx-vault", "raxx-tickets"


def take(client: LightsailClient, name: str = "a-snapshot", instance: str = VAULT) -> None:
    """Begin a snapshot."""
    client.create_instance_snapshot(instanceName=instance, instanceSnapshotName=name)


def state(client: LightsailClient, name: str = "a-snapshot") -> str:
    """The state of a snapshot."""
    return client.get_instance_snapshot(instanceSnapshotName=name)["instanceSnapshot"]["state"]


def automatics(client: LightsailClient, name: str = TICKETS) -> list[tuple[str, str]]:
    """Day and status of each automatic snapshot, newest first."""
    return [(one["date"], one["status"]) for one in client.get_auto_snapshots(resourceName=name)["autoSnapshots"]]


def everything(client: LightsailClient) -> Any:
    """What an inventory of the account sees."""
    pages = client.get_paginator("get_instance_snapshots").paginate()
    return (
        [one for page in pages for one in page["instanceSnapshots"]],
        client.get_instances()["instances"],
        automatics(client, VAULT),
        automatics(client, TICKETS),
    )


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_mended_it_leaves_no_trace(lab: Lab, client: LightsailClient, name: str) -> None:
    before = everything(client)
    lab.fault(name)
    lab.advance(0)
    lab.fault(name, on=False)
    assert everything(client) == before


def test_their_names_say_whose_they_are() -> None:
    assert {name.partition("-")[0] for name in KNOWN} == {"lightsail", "freescout", "host"}
    named = {**vars(faults), **vars(quirks)}
    constants = {value for name, value in named.items() if name.isupper() and isinstance(value, str)}
    assert set(KNOWN) <= constants


def test_an_unknown_one_is_not_switched(lab: Lab) -> None:
    with pytest.raises(requests.HTTPError, match="404"):
        lab.fault("lightsail-drunk")


class TestEveryCall:
    def test_down(self, lab: Lab, client: LightsailClient) -> None:
        lab.fault(faults.DOWN)
        assert refusal(client.get_regions).status == 503
        assert refusal(client.get_instance, instanceName=VAULT).status == 503

    def test_throttled(self, lab: Lab, client: LightsailClient) -> None:
        lab.fault(faults.THROTTLED)
        throttled = Refusal("ThrottlingException", "Rate exceeded", 400)
        assert {refusal(client.get_instances) for _ in range(4)} == {throttled}
        assert refusal(take, client=client) == throttled

    def test_throttled_twice_which_botocore_retries_by_itself(
        self, lab: Lab, client: LightsailClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waits: list[float] = []
        monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=waits.append, time=time.time))
        lab.fault(faults.THROTTLED_TWICE)
        for call in (client.get_instances, client.get_regions):
            assert [refusal(call).code for _ in range(2)] == ["ThrottlingException"] * 2
            call()
        lab.fault(faults.THROTTLED_TWICE)
        answer = lab.client(attempts=4).get_instances()
        assert answer["ResponseMetadata"]["RetryAttempts"] == len(waits) == 2

    def test_denied(self, lab: Lab, client: LightsailClient) -> None:
        lab.fault(faults.DENIED)
        refused = refusal(client.get_instances)
        assert (refused.code, refused.status) == ("AccessDeniedException", 400)
        assert "not authorized to perform: lightsail:GetInstances" in refused.message
        assert refusal(take, client=client).code == "AccessDeniedException"
        assert client.get_regions()["regions"]


class TestSnapshots:
    def test_stuck_until_it_is_mended(self, lab: Lab, client: LightsailClient) -> None:
        take(client, "before")
        lab.advance(10)
        lab.fault(faults.STUCK)
        take(client)
        lab.advance(timedelta(days=3))
        assert state(client) == "pending"
        assert state(client, "before") == "available"
        (operation,) = client.get_operations_for_resource(resourceName="a-snapshot")["operations"]
        assert (operation["status"], operation["isTerminal"]) == ("Started", False)
        lab.fault(faults.STUCK, on=False)
        assert state(client) == "available"
        assert client.get_operation(operationId=operation["id"])["operation"]["status"] == "Succeeded"

    def test_error(self, lab: Lab, client: LightsailClient) -> None:
        lab.fault(faults.ENDS_IN_ERROR)
        take(client)
        assert state(client) == "pending"
        lab.advance(4)
        assert state(client) == "error"
        (operation,) = client.get_operations_for_resource(resourceName="a-snapshot")["operations"]
        assert (operation["status"], operation["isTerminal"]) == ("Failed", True)
        assert "a-snapshot" in operation["errorDetails"]
        lab.fault(faults.ENDS_IN_ERROR, on=False)
        take(client, "another")
        lab.advance(4)
        assert (state(client), state(client, "another")) == ("error", "available")

    def test_delete_refused(self, lab: Lab, client: LightsailClient) -> None:
        take(client)
        lab.fault(faults.DELETE_REFUSED)
        refused = refusal(client.delete_instance_snapshot, instanceSnapshotName="a-snapshot")
        assert refused.code == "OperationFailureException"
        assert refusal(client.delete_instance_snapshot, instanceSnapshotName="none").code == "NotFoundException"
        assert state(client)
        lab.fault(faults.DELETE_REFUSED, on=False)
        client.delete_instance_snapshot(instanceSnapshotName="a-snapshot")

    def test_name_taken_by_what_nobody_sees(self, lab: Lab, client: LightsailClient) -> None:
        lab.fault(faults.NAME_TAKEN)
        refused = refusal(take, client=client)
        assert refused == Refusal("InvalidInputException", "Some names are already in use: a-snapshot", 400)
        assert refusal(client.get_instance_snapshot, instanceSnapshotName="a-snapshot").code == "NotFoundException"

    def test_instance_missing(self, lab: Lab, client: LightsailClient) -> None:
        lab.fault(faults.INSTANCE_MISSING)
        for call in (client.get_instance, client.get_instance_state, client.get_instance_port_states):
            assert refusal(call, instanceName=VAULT).message == f"The Instance does not exist: {VAULT}"
        assert refusal(take, client=client).code == "NotFoundException"
        assert refusal(client.get_auto_snapshots, resourceName=VAULT).code == "NotFoundException"
        assert refusal(client.tag_resource, resourceName=VAULT, tags=[{"key": "x"}]).code == "NotFoundException"
        assert [each["name"] for each in client.get_instances()["instances"]] == [TICKETS]
        take(client, instance=TICKETS)

    def test_the_list_breaks_off_on_its_second_page(self, lab: Lab, client: LightsailClient) -> None:
        lab.fault(faults.LIST_CUT)
        first = client.get_instance_snapshots()
        assert len(first["instanceSnapshots"]) == 1
        refused = refusal(client.get_instance_snapshots, pageToken=first["nextPageToken"])
        assert (refused.code, refused.status) == ("ServiceException", 500)


class TestAutomaticSnapshots:
    def test_one_of_the_vault_is_running(self, lab: Lab, client: LightsailClient) -> None:
        lab.fault(faults.AUTOMATIC_RUNNING)
        assert automatics(client, VAULT) == [("2031-03-14", "InProgress")]
        refused = refusal(take, client=client)
        assert (refused.code, "automatic snapshot is being created" in refused.message) == (
            "OperationFailureException",
            True,
        )
        take(client, "of-another", TICKETS)
        lab.fault(faults.AUTOMATIC_RUNNING, on=False)
        take(client)

    def test_freescouts_backup_is_missing(self, lab: Lab, client: LightsailClient) -> None:
        lab.fault(faults.BACKUP_MISSING)
        assert [day for day, _ in automatics(client)] == ["2031-03-11", "2031-03-10", "2031-03-09", "2031-03-08"]
        assert automatics(client, VAULT) == []

    @pytest.mark.parametrize(
        ("fault", "status"), [(faults.BACKUP_LATE, "InProgress"), (faults.BACKUP_FAILED, "Failed")]
    )
    def test_freescouts_newest_backup_is_late_or_failed(
        self, lab: Lab, client: LightsailClient, fault: str, status: str
    ) -> None:
        lab.fault(fault)
        assert automatics(client)[:2] == [("2031-03-14", status), ("2031-03-13", "Success")]
        restore = {"sourceResourceName": TICKETS, "targetSnapshotName": "a-copy", "sourceRegion": "us-east-1"}
        refused = refusal(client.copy_snapshot, **restore, restoreDate="2031-03-14")
        assert refused.code == "OperationFailureException"
        client.copy_snapshot(**restore, useLatestRestorableAutoSnapshot=True)  # type: ignore[arg-type]

    def test_the_vault_can_be_snapshot_while_freescouts_backup_is_late(self, lab: Lab, client: LightsailClient) -> None:
        lab.fault(faults.BACKUP_LATE)
        take(client)
        assert refusal(take, client=client, name="of-tickets", instance=TICKETS).code == "OperationFailureException"
