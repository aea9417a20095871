"""Manual snapshots: begun, finished, listed, copied, tagged, deleted, and every rule that refuses one."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from raxx_bcp_sandbox.lightsail import call as paging
from raxx_bcp_sandbox.lightsail.seed import BY_HAND, scale
from raxx_bcp_tests.sandbox.lightsail.lab import Lab, MakeLab
from raxx_bcp_tests.sandbox.lightsail.refusals import refusal

if TYPE_CHECKING:
    from types_boto3_lightsail import LightsailClient

VAULT = "raxx-vault"
ELSEWHERE = "eu-central-1"


def take(client: LightsailClient, name: str = "a-snapshot", **more: Any) -> list[Any]:
    """Begin a snapshot of the vault."""
    return client.create_instance_snapshot(instanceName=VAULT, instanceSnapshotName=name, **more)["operations"]


def look(client: LightsailClient, name: str = "a-snapshot") -> Any:
    """The snapshot as Lightsail shows it."""
    return client.get_instance_snapshot(instanceSnapshotName=name)["instanceSnapshot"]


def names(client: LightsailClient) -> list[str]:
    """The names of all snapshots, in Lightsail's order."""
    pages = client.get_paginator("get_instance_snapshots").paginate()
    return [one["name"] for page in pages for one in page["instanceSnapshots"]]


class TestTaking:
    def test_it_is_pending_for_a_while_and_then_available(self, lab: Lab, client: LightsailClient) -> None:
        of_snapshot, of_instance = take(client)
        assert (of_snapshot["resourceName"], of_snapshot["resourceType"]) == ("a-snapshot", "InstanceSnapshot")
        assert (of_instance["resourceName"], of_instance["operationDetails"]) == (VAULT, "a-snapshot")
        assert {each["status"] for each in (of_snapshot, of_instance)} == {"Started"}
        assert not of_snapshot["isTerminal"]
        assert look(client)["state"] == "pending"
        lab.advance(2.9)
        assert look(client)["state"] == "pending"
        lab.advance(0.2)
        assert look(client)["state"] == "available"
        for each in (of_snapshot, of_instance):
            ended = client.get_operation(operationId=each["id"])["operation"]
            assert (ended["status"], ended["isTerminal"]) == ("Succeeded", True)

    def test_it_says_what_it_was_taken_of(self, lab: Lab, client: LightsailClient) -> None:
        take(client, tags=[{"key": "kind", "value": "daily"}, {"key": "bare"}])
        instance, shown = client.get_instance(instanceName=VAULT)["instance"], look(client)
        assert shown["createdAt"] == lab.now()
        assert shown["fromInstanceName"] == VAULT
        assert shown["fromInstanceArn"] == instance["arn"]
        assert (shown["fromBlueprintId"], shown["fromBundleId"]) == (instance["blueprintId"], instance["bundleId"])
        assert (shown["sizeInGb"], shown["isFromAutoSnapshot"]) == (40, False)
        assert shown["location"] == {"availabilityZone": "all", "regionName": "us-east-1"}
        assert shown["arn"].startswith("arn:aws:lightsail:us-east-1:111122223333:InstanceSnapshot/")
        assert shown["tags"] == [{"key": "kind", "value": "daily"}, {"key": "bare"}]
        assert shown["supportCode"]

    def test_instances_and_snapshots_share_their_names_in_a_region(self, lab: Lab, client: LightsailClient) -> None:
        take(client)
        for name in ("a-snapshot", VAULT, BY_HAND):
            refused = refusal(take, client=client, name=name)
            assert (refused.code, refused.status) == ("InvalidInputException", 400)
            assert refused.message == f"Some names are already in use: {name}"
        assert refusal(lab.client(ELSEWHERE).get_instance, instanceName=VAULT).code == "NotFoundException"

    @pytest.mark.parametrize("name", ["two words", "ends-in-", "ümlaut", "x" * 256])
    def test_names_that_are_none(self, client: LightsailClient, name: str) -> None:
        refused = refusal(take, client=client, name=name)
        assert refused.code == "InvalidInputException"
        assert "alphanumerics" in refused.message

    @pytest.mark.parametrize("name", ["ab", "with_all-of.them9", "x" * 255])
    def test_names_that_are_fine(self, client: LightsailClient, name: str) -> None:
        take(client, name)
        assert look(client, name)["name"] == name

    def test_of_an_instance_that_is_not_there(self, client: LightsailClient) -> None:
        call = client.create_instance_snapshot
        refused = refusal(call, instanceName="nobody", instanceSnapshotName="a-snapshot")
        assert (refused.code, refused.message) == ("NotFoundException", "The Instance does not exist: nobody")
        refused = refusal(client.get_instance_snapshot, instanceSnapshotName="a-snapshot")
        assert refused.message == "The InstanceSnapshot does not exist: a-snapshot"

    def test_of_an_instance_that_does_not_run_yet(self, lab: Lab, client: LightsailClient) -> None:
        client.create_instances(
            instanceNames=["new-one"], availabilityZone="us-east-1a", blueprintId="debian_12", bundleId="nano_3_0"
        )
        call = client.create_instance_snapshot
        refused = refusal(call, instanceName="new-one", instanceSnapshotName="a-snapshot")
        assert (refused.code, "is pending" in refused.message) == ("OperationFailureException", True)
        lab.advance(4)
        call(instanceName="new-one", instanceSnapshotName="a-snapshot")


class TestDeleting:
    def test_it_is_gone_at_once_and_its_name_is_free(self, client: LightsailClient) -> None:
        take(client)
        (operation,) = client.delete_instance_snapshot(instanceSnapshotName="a-snapshot")["operations"]
        assert (operation["status"], operation["isTerminal"]) == ("Succeeded", True)
        assert "a-snapshot" not in names(client)
        assert refusal(client.delete_instance_snapshot, instanceSnapshotName="a-snapshot").code == "NotFoundException"
        take(client)

    def test_an_instance_is_no_snapshot(self, client: LightsailClient) -> None:
        refused = refusal(client.delete_instance_snapshot, instanceSnapshotName=VAULT)
        assert refused.message == f"The InstanceSnapshot does not exist: {VAULT}"
        assert client.get_instance(instanceName=VAULT)["instance"]["state"]["name"] == "running"


class TestListing:
    def test_a_page_holds_fifty_and_no_snapshot_comes_twice(self, make_lab: MakeLab) -> None:
        with make_lab(scale(130)) as lab:
            pages = list(lab.client().get_paginator("get_instance_snapshots").paginate())
            assert [len(page["instanceSnapshots"]) for page in pages] == [50, 50, 32]
            found = [one["name"] for page in pages for one in page["instanceSnapshots"]]
            assert len(set(found)) == 132
            assert len({one["createdAt"] for page in pages for one in page["instanceSnapshots"]}) == 132

    def test_exactly_one_full_page_has_no_second(self, make_lab: MakeLab) -> None:
        with make_lab(scale(48)) as lab:
            answer = lab.client().get_instance_snapshots()
            assert len(answer["instanceSnapshots"]) == 50
            assert "nextPageToken" not in answer

    def test_deleting_between_pages_loses_none(self, make_lab: MakeLab) -> None:
        with make_lab(scale(58)) as lab:
            client = lab.client()
            first = client.get_instance_snapshots()
            client.delete_instance_snapshot(instanceSnapshotName=first["instanceSnapshots"][10]["name"])
            second = client.get_instance_snapshots(pageToken=first["nextPageToken"])
            assert len(second["instanceSnapshots"]) == 10
            assert not {one["name"] for one in first["instanceSnapshots"]} & {
                one["name"] for one in second["instanceSnapshots"]
            }

    @pytest.mark.parametrize("token", ["nonsense", "", "ä", base64.b64encode(b"snapshots:x").decode()])
    def test_a_token_that_is_not_ours(self, client: LightsailClient, token: str) -> None:
        assert refusal(client.get_instance_snapshots, pageToken=token).code == "InvalidInputException"

    def test_a_token_of_another_list(self, client: LightsailClient) -> None:
        token = paging.page_token("operations", 1)
        assert refusal(client.get_instance_snapshots, pageToken=token).code == "InvalidInputException"
        assert client.get_operations(pageToken=token)["operations"] == []

    def test_another_region_is_another_account_to_look_at(self, lab: Lab, client: LightsailClient) -> None:
        assert names(client) == [BY_HAND, "raxx-tickets-before-upgrade"]
        assert names(lab.client(ELSEWHERE)) == []


class TestCopying:
    def copy(self, lab: Lab, region: str = ELSEWHERE, **parameters: Any) -> Any:
        client = lab.client(region)
        merged = {"targetSnapshotName": "a-copy", "sourceRegion": "us-east-1", **parameters}
        return client.copy_snapshot(**merged)["operations"]

    def test_to_another_region_without_tags(self, lab: Lab, client: LightsailClient) -> None:
        take(client, tags=[{"key": "kind", "value": "daily"}])
        lab.advance(4)
        (operation,) = self.copy(lab, sourceSnapshotName="a-snapshot")
        assert (operation["operationType"], operation["operationDetails"]) == ("CopySnapshot", "us-east-1:a-snapshot")
        away = lab.client(ELSEWHERE)
        shown = look(away, "a-copy")
        assert (shown["state"], shown["tags"], shown["fromInstanceName"]) == ("pending", [], VAULT)
        assert shown["location"]["regionName"] == ELSEWHERE
        assert shown["fromInstanceArn"] == look(client)["fromInstanceArn"]
        assert (shown["sizeInGb"], shown["isFromAutoSnapshot"]) == (40, False)
        lab.advance(4)
        assert look(away, "a-copy")["state"] == "available"
        assert away.get_operation(operationId=operation["id"])["operation"]["status"] == "Succeeded"
        away.tag_resource(resourceName="a-copy", tags=[{"key": "kind", "value": "daily"}])
        assert look(away, "a-copy")["tags"] == [{"key": "kind", "value": "daily"}]

    def test_a_pending_one_cannot_be_copied(self, lab: Lab, client: LightsailClient) -> None:
        take(client)
        refused = refusal(self.copy, lab=lab, sourceSnapshotName="a-snapshot")
        assert (refused.code, "is pending" in refused.message) == ("OperationFailureException", True)
        lab.advance(4)
        self.copy(lab, sourceSnapshotName="a-snapshot")

    def test_what_is_not_there_or_taken(self, lab: Lab) -> None:
        missing = refusal(self.copy, lab=lab, sourceSnapshotName="nothing")
        assert missing.message == "The InstanceSnapshot does not exist: nothing"
        self.copy(lab, sourceSnapshotName=BY_HAND)
        taken = refusal(self.copy, lab=lab, sourceSnapshotName=BY_HAND)
        assert taken.message == "Some names are already in use: a-copy"

    @pytest.mark.parametrize(
        ("source", "from_automatic"),
        [
            ({"sourceResourceName": "raxx-tickets", "useLatestRestorableAutoSnapshot": True}, True),
            ({"sourceResourceName": "raxx-tickets", "restoreDate": "2031-03-10"}, True),
            ({"sourceSnapshotName": BY_HAND}, False),
        ],
    )
    def test_within_a_region(self, lab: Lab, source: dict[str, Any], *, from_automatic: bool) -> None:
        self.copy(lab, "us-east-1", **source)
        shown = look(lab.client(), "a-copy")
        assert shown["isFromAutoSnapshot"] is from_automatic
        assert shown["fromInstanceName"] == ("raxx-tickets" if from_automatic else VAULT)

    @pytest.mark.parametrize(
        ("source", "code"),
        [
            ({}, "InvalidInputException"),
            ({"sourceSnapshotName": BY_HAND, "sourceResourceName": "raxx-tickets"}, "InvalidInputException"),
            ({"sourceSnapshotName": BY_HAND, "restoreDate": "2031-03-10"}, "InvalidInputException"),
            ({"sourceResourceName": "raxx-tickets"}, "InvalidInputException"),
            (
                {
                    "sourceResourceName": "raxx-tickets",
                    "restoreDate": "2031-03-10",
                    "useLatestRestorableAutoSnapshot": True,
                },
                "InvalidInputException",
            ),
            ({"sourceResourceName": "raxx-tickets", "restoreDate": "2031-01-01"}, "OperationFailureException"),
            ({"sourceResourceName": VAULT, "useLatestRestorableAutoSnapshot": True}, "OperationFailureException"),
            ({"sourceResourceName": "nobody", "useLatestRestorableAutoSnapshot": True}, "NotFoundException"),
        ],
    )
    def test_what_names_no_one_source(self, lab: Lab, source: dict[str, Any], code: str) -> None:
        assert refusal(self.copy, lab=lab, **source).code == code


class TestTagging:
    def test_tags_are_added_changed_and_removed(self, client: LightsailClient) -> None:
        take(client, tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
        client.tag_resource(resourceName="a-snapshot", tags=[{"key": "b", "value": "3"}, {"key": "c", "value": "4"}])
        client.untag_resource(resourceName="a-snapshot", tagKeys=["a", "never-there"])
        assert look(client)["tags"] == [{"key": "b", "value": "3"}, {"key": "c", "value": "4"}]
        kinds = [each["operationType"] for each in client.get_operations()["operations"]]
        assert kinds[:2] == ["UntagResource", "TagResource"]

    @pytest.mark.parametrize(
        "tags",
        [
            [{"key": "aws:mine"}],
            [{"key": "k" * 129}],
            [{"key": "k", "value": "v" * 257}],
            [{"value": "no key"}],
            [{"key": str(number)} for number in range(51)],
        ],
    )
    def test_tags_that_are_none(self, client: LightsailClient, tags: list[Any]) -> None:
        assert refusal(take, client=client, tags=tags).code == "InvalidInputException"

    def test_the_arn_must_be_the_resources(self, client: LightsailClient) -> None:
        arn = client.get_instance(instanceName=VAULT)["instance"]["arn"]
        client.tag_resource(resourceName=VAULT, resourceArn=arn, tags=[{"key": "right"}])
        refused = refusal(client.tag_resource, resourceName=BY_HAND, resourceArn=arn, tags=[{"key": "wrong"}])
        assert refused.code == "InvalidInputException"
        assert refusal(client.tag_resource, resourceName="nobody", tags=[{"key": "x"}]).code == "NotFoundException"


class TestOperations:
    def test_they_are_listed_newest_first_a_page_at_a_time(self, client: LightsailClient) -> None:
        for number in range(60):
            client.tag_resource(resourceName=VAULT, tags=[{"key": "n", "value": str(number)}])
        client.tag_resource(resourceName=BY_HAND, tags=[{"key": "n"}])
        pages = list(client.get_paginator("get_operations").paginate())
        assert [len(page["operations"]) for page in pages] == [50, 11]
        assert pages[0]["operations"][0]["resourceName"] == BY_HAND
        first = client.get_operations_for_resource(resourceName=VAULT)
        second = client.get_operations_for_resource(resourceName=VAULT, pageToken=first["nextPageToken"])
        assert (len(first["operations"]), len(second["operations"])) == (50, 10)
        assert "nextPageToken" not in second

    def test_one_that_is_not_there(self, client: LightsailClient) -> None:
        assert refusal(client.get_operation, operationId="none").code == "NotFoundException"
