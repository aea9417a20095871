"""Automatic snapshots: the hour rule, one a day, the latest seven, and what they stand in the way of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from raxx_bcp_sandbox.lightsail.records import Instance
from raxx_bcp_sandbox.lightsail.settling import BEGINS_AFTER_SECONDS, next_begin
from raxx_bcp_sandbox.lightsail.times import parse_utc
from raxx_bcp_tests.sandbox.lightsail.lab import Lab
from raxx_bcp_tests.sandbox.lightsail.refusals import refusal

if TYPE_CHECKING:
    from types_boto3_lightsail import LightsailClient

VAULT, TICKETS = "raxx-vault", "raxx-tickets"
DAY = 86_400


def enable(client: LightsailClient, hour: str, name: str = VAULT) -> Any:
    """Switch the add-on on, as the AWS CLI does."""
    request: Any = {"addOnType": "AutoSnapshot", "autoSnapshotAddOnRequest": {"snapshotTimeOfDay": hour}}
    return client.enable_add_on(resourceName=name, addOnRequest=request)["operations"]


def automatics(client: LightsailClient, name: str = VAULT) -> list[Any]:
    """The automatic snapshots, as Lightsail lists them."""
    return client.get_auto_snapshots(resourceName=name)["autoSnapshots"]


def add_ons(client: LightsailClient, name: str = VAULT) -> Any:
    """The add-ons that the instance shows."""
    return client.get_instance(instanceName=name)["instance"].get("addOns", [])


class TestTheAddOn:
    def test_a_full_hour_is_taken(self, lab: Lab, client: LightsailClient) -> None:
        assert add_ons(client) == []
        (operation,) = enable(client, "18:00")
        assert (operation["operationType"], operation["status"]) == ("EnableAddOn", "Started")
        assert add_ons(client) == [
            {
                "name": "AutoSnapshot",
                "status": "Enabled",
                "snapshotTimeOfDay": "18:00",
                "nextSnapshotTimeOfDay": "18:00",
            }
        ]
        lab.advance(4)
        assert client.get_operation(operationId=operation["id"])["operation"]["status"] == "Succeeded"

    def test_the_adrs_half_past_six_is_refused_by_the_service_and_not_by_the_wire(
        self, client: LightsailClient
    ) -> None:
        refused = refusal(enable, client=client, hour="06:30")
        assert (refused.code, refused.status) == ("InvalidInputException", 400)
        assert "must be in HH:00 format" in refused.message
        assert "06:30" in refused.message
        assert add_ons(client) == []

    @pytest.mark.parametrize(
        "request_",
        [
            {"addOnType": "AutoSnapshot"},
            {"addOnType": "StopInstanceOnIdle", "stopInstanceOnIdleRequest": {"threshold": "1", "duration": "1"}},
            {"addOnType": "AutoSnapshot", "autoSnapshotAddOnRequest": {"snapshotTimeOfDay": "24:00"}},
        ],
    )
    def test_other_requests_are_refused(self, client: LightsailClient, request_: Any) -> None:
        refused = refusal(client.enable_add_on, resourceName=VAULT, addOnRequest=request_)
        assert refused.code == "InvalidInputException"

    def test_switched_off_it_makes_no_more_and_keeps_what_there_is(self, lab: Lab, client: LightsailClient) -> None:
        before = automatics(client, TICKETS)
        client.disable_add_on(resourceName=TICKETS, addOnType="AutoSnapshot")
        lab.advance(3 * DAY)
        assert add_ons(client, TICKETS) == []
        assert automatics(client, TICKETS) == before

    def test_of_an_instance_that_is_being_deleted(self, client: LightsailClient) -> None:
        client.delete_instance(instanceName=VAULT)
        assert refusal(enable, client=client, hour="18:00").code == "OperationFailureException"

    def test_of_an_instance_that_is_not_there(self, client: LightsailClient) -> None:
        assert refusal(enable, client=client, hour="18:00", name="nobody").code == "NotFoundException"
        assert refusal(client.get_auto_snapshots, resourceName="nobody").code == "NotFoundException"


class TestTime:
    def test_ten_days_leave_exactly_the_latest_seven(self, lab: Lab, client: LightsailClient) -> None:
        enable(client, "18:00")
        for day in range(1, 11):
            lab.advance(DAY)
            assert len(automatics(client)) == min(day, 7)
        days = [one["date"] for one in automatics(client)]
        assert days == [f"2031-03-{number}" for number in range(23, 16, -1)]
        assert {one["status"] for one in automatics(client)} == {"Success"}

    def test_ten_days_at_once_leave_the_same(self, lab: Lab, client: LightsailClient) -> None:
        enable(client, "18:00")
        lab.advance(10 * DAY)
        assert [one["date"] for one in automatics(client)] == [f"2031-03-{number}" for number in range(23, 16, -1)]

    @pytest.mark.parametrize("days", [8, 9, 100, 1000])
    def test_a_long_time_away_leaves_seven_and_takes_no_long_time(
        self, lab: Lab, client: LightsailClient, days: int
    ) -> None:
        lab.advance(days * DAY)
        found = automatics(client, TICKETS)
        assert len(found) == 7
        assert found[0]["date"] == lab.now().date().isoformat()
        assert {one["createdAt"].astimezone(UTC).strftime("%H:%M") for one in found} == {"05:12"}

    def test_it_begins_after_the_hour_and_takes_a_while(self, lab: Lab, client: LightsailClient) -> None:
        enable(client, "18:00")
        lab.set_now("2031-03-14T18:11:59Z")
        assert automatics(client) == []
        lab.set_now("2031-03-14T18:12:00Z")
        (one,) = automatics(client)
        assert (one["date"], one["status"]) == ("2031-03-14", "InProgress")
        assert one["createdAt"] == datetime(2031, 3, 14, 18, 12, tzinfo=UTC)
        lab.set_now("2031-03-14T18:20:00Z")
        assert [each["status"] for each in automatics(client)] == ["Success"]

    def test_back_in_time_nothing_is_undone(self, lab: Lab, client: LightsailClient) -> None:
        lab.advance(3 * DAY)
        before = automatics(client, TICKETS)
        lab.advance(0)
        lab.set_now("2031-03-14T06:29:00Z")
        assert automatics(client, TICKETS) == before
        lab.set_now("2031-03-18T06:00:00Z")
        assert automatics(client, TICKETS)[0]["date"] == "2031-03-18"
        assert automatics(client, TICKETS)[1:] == before[:6]


class TestInTheWay:
    """You cannot create manual snapshots when an automatic snapshot is being created."""

    def take(self, client: LightsailClient, instance: str) -> None:
        client.create_instance_snapshot(instanceName=instance, instanceSnapshotName=f"of-{instance}")

    def test_a_manual_snapshot_is_refused_meanwhile(self, lab: Lab, client: LightsailClient) -> None:
        lab.set_now("2031-03-15T05:15:00Z")
        refused = refusal(self.take, client=client, instance=TICKETS)
        assert refused.code == "OperationFailureException"
        assert "when an automatic snapshot is being created" in refused.message
        self.take(client, VAULT)
        lab.set_now("2031-03-15T05:20:01Z")
        self.take(client, TICKETS)

    def test_an_add_on_at_six_collides_with_half_past_six_only_while_it_runs(self, lab: Lab) -> None:
        client = lab.client()
        enable(client, "06:00")
        lab.set_now("2031-03-15T06:13:00Z")
        assert refusal(self.take, client=client, instance=VAULT).code == "OperationFailureException"
        lab.set_now("2031-03-15T06:30:00Z")
        self.take(client, VAULT)


class TestDeleting:
    def test_one_of_a_day(self, lab: Lab, client: LightsailClient) -> None:
        (operation,) = client.delete_auto_snapshot(resourceName=TICKETS, date="2031-03-14")["operations"]
        assert operation["operationDetails"] == "DeleteAutoSnapshot-2031-03-14"
        assert automatics(client, TICKETS)[0]["date"] == "2031-03-13"
        refused = refusal(client.delete_auto_snapshot, resourceName=TICKETS, date="2031-03-14")
        assert refused.code == "NotFoundException"
        lab.advance(3600)
        assert automatics(client, TICKETS)[0]["date"] == "2031-03-13"

    def test_not_while_it_is_made(self, lab: Lab, client: LightsailClient) -> None:
        lab.set_now("2031-03-15T05:15:00Z")
        refused = refusal(client.delete_auto_snapshot, resourceName=TICKETS, date="2031-03-15")
        assert refused.code == "OperationFailureException"

    def test_all_go_with_their_instance_and_manual_ones_stay(self, lab: Lab, client: LightsailClient) -> None:
        kept = "2031-03-12"
        client.copy_snapshot(
            sourceResourceName=TICKETS, restoreDate=kept, targetSnapshotName="kept", sourceRegion="us-east-1"
        )
        client.delete_instance(instanceName=TICKETS, forceDeleteAddOns=True)
        lab.advance(DAY)
        assert refusal(client.get_auto_snapshots, resourceName=TICKETS).code == "NotFoundException"
        names = {each["name"] for each in client.get_instance_snapshots()["instanceSnapshots"]}
        assert {"kept", "raxx-tickets-before-upgrade"} <= names
        client.create_instances(
            instanceNames=[TICKETS], availabilityZone="us-east-1a", blueprintId="debian_12", bundleId="nano_3_0"
        )
        assert automatics(client, TICKETS) == []


def at(clock: str, day: int = 14) -> float:
    """A time of the day under test."""
    return parse_utc(f"2031-03-{day}T{clock}:00Z")


def instance(due: float | None) -> Instance:
    """An instance whose next automatic snapshot is due at ``due``."""
    fields: dict[str, Any] = {"blueprint": "debian_12", "bundle": "nano_3_0", "disk_gb": 20, "address": "127.0.5.9"}
    return Instance("us-east-1", "one", "id", 0.0, "us-east-1a", automatic_due=due, **fields)


@pytest.mark.parametrize(
    ("now", "before", "made_today", "hour", "expected"),
    [
        pytest.param("06:29", None, False, 18, ("18:12", 14), id="switched on for later today"),
        pytest.param("18:05", None, False, 18, ("18:12", 15), id="switched on when its hour has begun"),
        pytest.param("06:29", ("05:12", 15), True, 18, ("18:12", 15), id="made today, moved later: no second one"),
        pytest.param("06:29", ("05:12", 15), True, 3, ("03:12", 15), id="made today, moved earlier"),
        pytest.param("06:29", ("18:12", 14), False, 20, ("20:12", 14), id="not made, moved later: at once"),
        pytest.param("06:29", ("18:12", 14), False, 5, ("18:12", 14), id="not made, moved to an hour that is past"),
        pytest.param("06:29", ("18:12", 14), False, 10, ("18:12", 14), id="not made, moved earlier"),
        pytest.param("06:45", ("03:12", 15), False, 7, ("07:12", 15), id="moved into the next 30 minutes"),
        pytest.param("17:45", ("18:12", 14), False, 20, ("18:12", 14), id="due within 30 minutes, so still made"),
        pytest.param("06:29", ("05:12", 15), False, 8, ("08:12", 14), id="none was due today, now one is"),
    ],
)
def test_a_moved_hour_takes_effect_as_documented(
    now: str, before: tuple[str, int] | None, *, made_today: bool, hour: int, expected: tuple[str, int]
) -> None:
    due = next_begin(instance(before and at(*before)), hour, made_today=made_today, now=at(now))
    assert due == at(*expected)
    assert BEGINS_AFTER_SECONDS == 12 * 60
