"""The account as it starts, at any hour of the day, and that it is filled only once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from raxx_bcp_sandbox.lightsail.records import Snapshot
from raxx_bcp_sandbox.lightsail.seed import BY_HAND, REGION, TICKETS_BY_HAND, empty, in_use, raxx, scale, seed
from raxx_bcp_sandbox.lightsail.store import Store
from raxx_bcp_sandbox.lightsail.world import World
from raxx_bcp_tests.sandbox.lightsail.lab import Lab, MakeLab

if TYPE_CHECKING:
    from types_boto3_lightsail import LightsailClient

VAULT, TICKETS = "raxx-vault", "raxx-tickets"


def automatics(client: LightsailClient) -> list[tuple[str, str]]:
    """Day and status of FreeScout's backups."""
    return [(one["date"], one["status"]) for one in client.get_auto_snapshots(resourceName=TICKETS)["autoSnapshots"]]


def test_the_two_instances(client: LightsailClient) -> None:
    vault, tickets = (client.get_instance(instanceName=name)["instance"] for name in (VAULT, TICKETS))
    assert (vault["blueprintId"], vault["hardware"]["ramSizeInGb"]) == ("ubuntu_22_04", 2.0)
    assert (vault["hardware"]["disks"][0]["sizeInGb"], tickets["hardware"]["disks"][0]["sizeInGb"]) == (40, 60)
    assert vault["tags"] == [{"key": "project", "value": "raxx"}]
    assert "addOns" not in vault
    assert tickets["addOns"][0]["snapshotTimeOfDay"] == "05:00"


def test_two_snapshots_by_hand_and_none_of_ours(lab: Lab, client: LightsailClient) -> None:
    found = {one["name"]: one for one in client.get_instance_snapshots()["instanceSnapshots"]}
    assert set(found) == {BY_HAND, TICKETS_BY_HAND}
    assert {one["state"] for one in found.values()} == {"available"}
    assert all(one["tags"] == [{"key": "made-by", "value": "alice"}] for one in found.values())
    assert (lab.now() - found[BY_HAND]["createdAt"]).days == 40
    assert found[BY_HAND]["fromInstanceName"] == VAULT


@pytest.mark.parametrize(
    ("clock", "newest", "status"),
    [
        ("00:00", "2031-03-13", "Success"),
        ("05:11", "2031-03-13", "Success"),
        ("05:12", "2031-03-14", "InProgress"),
        ("05:19", "2031-03-14", "InProgress"),
        ("05:20", "2031-03-14", "Success"),
        ("23:59", "2031-03-14", "Success"),
    ],
)
def test_freescouts_backup_of_today_is_there_once_it_is_due(
    make_lab: MakeLab, clock: str, newest: str, status: str
) -> None:
    with make_lab(now=f"2031-03-14T{clock}:00Z") as lab:
        found = automatics(lab.client())
        assert found[0] == (newest, status)
        assert len(found) == 7
        assert {one for _, one in found[1:]} == {"Success"}


def test_a_store_is_filled_once(lab: Lab, client: LightsailClient) -> None:
    client.delete_instance_snapshot(instanceSnapshotName=BY_HAND)
    client.tag_resource(resourceName=VAULT, tags=[{"key": "project", "value": "mine"}])
    assert lab.world is not None
    seed(lab.world, raxx)
    assert [one["name"] for one in client.get_instance_snapshots()["instanceSnapshots"]] == [TICKETS_BY_HAND]
    assert client.get_instance(instanceName=VAULT)["instance"]["tags"] == [{"key": "project", "value": "mine"}]


def test_half_a_seed_is_none(make_lab: MakeLab) -> None:
    def breaks(world: World) -> None:
        raxx(world)
        raise RuntimeError

    with make_lab(empty) as lab:
        fresh = World(Store(lab.store.with_name("other.sqlite3")), real=lambda: 1.9e9)
        with pytest.raises(RuntimeError):
            seed(fresh, breaks)
        assert fresh.store.all_instances() == []
        seed(fresh, raxx)
        assert len(fresh.store.all_instances()) == 2
        fresh.store.close()


def test_empty(make_lab: MakeLab) -> None:
    with make_lab(empty) as lab:
        client = lab.client()
        assert client.get_instances()["instances"] == client.get_instance_snapshots()["instanceSnapshots"] == []


def test_scale(make_lab: MakeLab) -> None:
    with make_lab(scale(5000)) as lab:
        assert lab.world is not None
        rows = [snapshot for _, snapshot in lab.world.store.page(Snapshot, REGION, 0, 10_000)]
        assert len(rows) == len({one.name for one in rows}) == 5002
        assert sum(one.instance == VAULT for one in rows) == 5001
    with pytest.raises(ValueError, match="negative"):
        scale(-1)


def test_in_use_is_a_week_of_our_own_daily_snapshots(make_lab: MakeLab) -> None:
    with make_lab(in_use) as lab:
        answer = lab.client().get_instance_snapshots()
    ours = sorted(each["name"] for each in answer["instanceSnapshots"] if each["name"].startswith("raxx-bcp-"))
    assert ours == [f"raxx-bcp-raxx-vault-2031-03-{day:02}" for day in range(7, 14)]
