"""The client for throwaway instances: what it makes and reads, and that production's can be deleted by no path."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from raxx_bcp.clients import instances as module
from raxx_bcp.clients.instance_shapes import (
    DRILL_TAG,
    EXPIRES_TAG,
    Bundle,
    Making,
    Opening,
    SnapshotSource,
    access_of,
    bundle_of,
    drill_tags,
)
from raxx_bcp.clients.instances import ALLOWED, BY_NAME, LOOKS, MAKES, Instances
from raxx_bcp.clients.lightsail_errors import AbsentError, NameTakenError
from raxx_bcp.errors import CouldNotVerifyError, PermanentError, TransientError, UsageError
from raxx_bcp_tests.clients.leaks import everything_shown
from raxx_bcp_tests.sandbox.lightsail.lab import Lab, MakeLab, lightsail_server

if TYPE_CHECKING:
    from types_boto3_lightsail import LightsailClient

PRODUCTION = ("raxx-tickets", "raxx-vault")
RESTORED = "raxx-tickets-restored"
NAMES = (RESTORED, "raxx-vault-restored")
DRILL = "freescout_snapshot-20310314T090000Z-a1b2c3"
OTHER_DRILL = "freescout_dump-20310314T080000Z-d4e5f6"
EXPIRES = datetime(2031, 3, 14, 13, 0, 0, 700, tzinfo=UTC)
MAKING = Making("us-east-1a", "small_3_0", "#!/bin/sh\n", drill_tags(DRILL, EXPIRES))
BY_HAND = "raxx-tickets-before-upgrade"
PRIVATE_KEY = "-----BEGIN RSA PRIVATE KEY-----\nrxs_private_key\n-----END RSA PRIVATE KEY-----"


@pytest.fixture(scope="module")
def make_lab() -> Iterator[MakeLab]:
    with lightsail_server() as make:
        yield make


@pytest.fixture
def lab(make_lab: MakeLab) -> Iterator[Lab]:
    with make_lab() as served:
        yield served


@pytest.fixture
def door(lab: Lab) -> Instances:
    return Instances(names=NAMES, protected=PRODUCTION, client=lab.client())


def standing(lab: Lab) -> dict[str, str]:
    """Every instance of the account with its state, as another client sees it."""
    return {one["name"]: one["state"]["name"] for one in lab.client().get_instances()["instances"]}


def make(door: Instances, lab: Lab, name: str = RESTORED, making: Making = MAKING) -> None:
    door.create_from_blueprint(name, "ubuntu_22_04", making)
    lab.advance(600)


# -- what can never be done ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRODUCTION)
def test_a_door_that_may_delete_production_is_never_made(name: str) -> None:
    with pytest.raises(UsageError, match="production"):
        Instances(names=(*NAMES, name), protected=PRODUCTION)


@pytest.mark.parametrize(("names", "protected"), [((), PRODUCTION), (NAMES, ())], ids=["no names", "no production"])
def test_a_door_that_cannot_tell_them_apart_is_never_made(names: tuple[str, ...], protected: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="nothing to tell"):
        Instances(names=names, protected=protected)


@pytest.mark.parametrize("name", [*PRODUCTION, "somebodys", ""])
def test_no_other_name_can_be_made_opened_logged_in_to_or_deleted(door: Instances, lab: Lab, name: str) -> None:
    before = standing(lab)
    source = door.source_of_snapshot(BY_HAND)
    for attempt in (
        lambda: door.delete_throwaway(name, DRILL),
        lambda: door.open_only(name, 22, "127.0.0.1/32"),
        lambda: door.access(name),
        lambda: door.create_from_snapshot(name, source, MAKING),
        lambda: door.create_from_blueprint(name, "ubuntu_22_04", MAKING),
    ):
        with pytest.raises(PermanentError, match="refused before it was sent"):
            attempt()
    assert standing(lab) == before


@pytest.mark.parametrize("force", [{}, {"forceDeleteAddOns": True}])
@pytest.mark.parametrize("name", [*PRODUCTION, "somebodys"])
def test_even_the_client_behind_the_door_deletes_no_other(lab: Lab, name: str, force: dict[str, Any]) -> None:
    client = lab.client()
    door = Instances(names=NAMES, protected=PRODUCTION, client=client)
    assert door.get("raxx-vault") is not None
    with pytest.raises(PermanentError, match="not one of the throwaway instances"):
        client.delete_instance(instanceName=name, **force)
    assert set(standing(lab)) == set(PRODUCTION)


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("stop_instance", {"instanceName": "raxx-vault"}),
        ("reboot_instance", {"instanceName": "raxx-vault"}),
        ("delete_instance_snapshot", {"instanceSnapshotName": BY_HAND}),
        ("delete_auto_snapshot", {"resourceName": "raxx-tickets", "date": "2031-03-14"}),
        ("tag_resource", {"resourceName": "raxx-vault", "tags": [{"key": DRILL_TAG, "value": DRILL}]}),
        ("untag_resource", {"resourceName": RESTORED, "tagKeys": [DRILL_TAG]}),
        ("attach_static_ip", {"staticIpName": "tickets", "instanceName": RESTORED}),
    ],
)
def test_the_client_behind_the_door_refuses_what_is_not_on_the_list(
    lab: Lab, method: str, arguments: dict[str, Any]
) -> None:
    """Least of all to put our tag on production, or to give a copy production's address."""
    client = lab.client()
    list(Instances(names=NAMES, protected=PRODUCTION, client=client).marked())
    with pytest.raises(PermanentError, match="only handles throwaway instances"):
        getattr(client, method)(**arguments)


def test_the_list_is_what_the_door_calls() -> None:
    called = {
        node.attr
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "_client"
    }
    pages = {"get_bundles", "get_instances"}
    words = {"".join(part.capitalize() for part in name.split("_")) for name in called | pages}
    assert words - {"Meta", "GetPaginator"} == ALLOWED
    assert {one for one in ALLOWED if not one.startswith("Get")} | {"GetInstanceAccessDetails"} == BY_NAME | MAKES
    assert not LOOKS & (BY_NAME | MAKES)


def test_the_role_may_do_what_the_door_does_and_never_to_production() -> None:
    file = Path(__file__).resolve().parents[2] / "deploy" / "iam" / "instance-drill-policy.json"
    by_sid = {one["Sid"]: one for one in json.loads(file.read_text())["Statement"]}
    allowed = {action for one in by_sid.values() if one["Effect"] == "Allow" for action in one["Action"]}
    asked_elsewhere = {"lightsail:TagResource", "lightsail:GetInstanceSnapshots"}
    assert allowed - asked_elsewhere == {f"lightsail:{operation}" for operation in ALLOWED}
    changes = {f"lightsail:{operation}" for operation in BY_NAME}
    assert set(by_sid["OpenLogInAndDeleteOnlyThat"]["Action"]) == changes
    assert by_sid["OpenLogInAndDeleteOnlyThat"]["Condition"] == {"Null": {f"aws:ResourceTag/{DRILL_TAG}": "false"}}
    makes = by_sid["MakeOnlyWhatSaysWhoseItIs"]["Condition"]["Null"]
    assert makes == {f"aws:RequestTag/{DRILL_TAG}": "false", f"aws:RequestTag/{EXPIRES_TAG}": "false"}
    assert changes | {"lightsail:TagResource"} <= set(by_sid["NeverProduction"]["Action"])
    assert by_sid["NeverProduction"]["Effect"] == "Deny"


def test_an_instance_without_both_tags_is_never_made(door: Instances, lab: Lab) -> None:
    for tags in ({}, {DRILL_TAG: DRILL}, {EXPIRES_TAG: "2031-03-14T13:00:00Z"}):
        with pytest.raises(PermanentError, match="whose it is"):
            door.create_from_blueprint(RESTORED, "ubuntu_22_04", Making("us-east-1a", "small_3_0", "", tags))
    assert set(standing(lab)) == set(PRODUCTION)


# -- deleting --------------------------------------------------------------------------------------------


def test_the_drills_own_instance_is_deleted_and_absent_is_fine(door: Instances, lab: Lab) -> None:
    make(door, lab)
    door.delete_throwaway(RESTORED, DRILL)
    door.delete_throwaway(RESTORED, DRILL)
    lab.advance(600)
    assert door.get(RESTORED) is None
    door.delete_throwaway(RESTORED, DRILL)
    assert set(standing(lab)) == set(PRODUCTION)


@pytest.mark.parametrize("drill_id", [OTHER_DRILL, "", DRILL[:-1]])
def test_another_drills_instance_is_not_deleted(door: Instances, lab: Lab, drill_id: str) -> None:
    make(door, lab)
    with pytest.raises(PermanentError, match="was not deleted"):
        door.delete_throwaway(RESTORED, drill_id)
    assert standing(lab)[RESTORED] == "running"


@pytest.mark.parametrize("drill_id", [DRILL, ""])
def test_somebodys_instance_of_that_name_is_not_deleted(door: Instances, lab: Lab, drill_id: str) -> None:
    lab.client().create_instances(
        instanceNames=[RESTORED], availabilityZone="us-east-1a", blueprintId="ubuntu_22_04", bundleId="small_3_0"
    )
    with pytest.raises(PermanentError, match="the tag of no drill"):
        door.delete_throwaway(RESTORED, drill_id)
    assert RESTORED in standing(lab)


def test_a_tag_that_was_removed_in_between_is_seen(door: Instances, lab: Lab) -> None:
    make(door, lab)
    assert [one.name for one in door.marked()] == [RESTORED]
    lab.client().untag_resource(resourceName=RESTORED, tagKeys=[DRILL_TAG])
    with pytest.raises(PermanentError, match="the tag of no drill"):
        door.delete_throwaway(RESTORED, DRILL)
    assert standing(lab)[RESTORED] == "running"
    assert list(door.marked()) == []


def test_add_ons_are_deleted_only_with_a_throwaway(door: Instances, lab: Lab) -> None:
    """Raxx's own instance has automatic snapshots, which go with it; ours could have been given some."""
    make(door, lab)
    request: Any = {"addOnType": "AutoSnapshot", "autoSnapshotAddOnRequest": {"snapshotTimeOfDay": "18:00"}}
    lab.client().enable_add_on(resourceName=RESTORED, addOnRequest=request)
    door.delete_throwaway(RESTORED, DRILL)
    lab.advance(600)
    assert door.get(RESTORED) is None


def test_where_lightsail_cannot_be_seen_nothing_is_deleted(door: Instances, lab: Lab) -> None:
    make(door, lab)
    lab.fault("lightsail-denied")
    with pytest.raises(CouldNotVerifyError):
        door.delete_throwaway(RESTORED, DRILL)
    lab.fault("lightsail-denied", on=False)
    assert standing(lab)[RESTORED] == "running"


# -- making ----------------------------------------------------------------------------------------------


def test_an_instance_from_a_snapshot_says_whose_it_is(door: Instances, lab: Lab) -> None:
    door.create_from_snapshot(RESTORED, door.source_of_snapshot(BY_HAND), MAKING)
    pending = door.get(RESTORED)
    assert pending is not None
    assert pending.state == "pending"
    lab.advance(600)
    found = door.get(RESTORED)
    assert found is not None
    assert (found.state, found.drill_id, found.bundle) == ("running", DRILL, "small_3_0")
    assert found.expires_utc == datetime(2031, 3, 14, 13, 0, tzinfo=UTC)
    assert found.address


def test_an_instance_from_an_automatic_snapshot(door: Instances, lab: Lab) -> None:
    day = lab.client().get_auto_snapshots(resourceName="raxx-tickets")["autoSnapshots"][0]["date"]
    source = door.source_of_automatic("raxx-tickets", day)
    assert (source.state, source.bundle_id, source.disk_gb) == ("available", "small_3_0", 60)
    assert source.label == f"the automatic snapshot of raxx-tickets of {day}"
    door.create_from_snapshot(RESTORED, source, MAKING)
    assert RESTORED in standing(lab)
    with pytest.raises(AbsentError, match="2020-01-01"):
        door.source_of_automatic("raxx-tickets", "2020-01-01")
    with pytest.raises(AbsentError):
        door.source_of_snapshot("no-such-snapshot")


@pytest.mark.parametrize(
    ("status", "state"), [("Success", "available"), ("InProgress", "pending"), ("Failed", "error"), ("Odd", "Odd")]
)
def test_an_automatic_snapshot_speaks_the_words_of_manual_ones(status: str, state: str) -> None:
    client = boto3.client("lightsail", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    when = datetime(2031, 3, 14, 5, 10, tzinfo=UTC)
    one = {"date": "2031-03-14", "createdAt": when, "status": status}
    with Stubber(client) as stub:
        stub.add_response("get_auto_snapshots", {"resourceName": "raxx-tickets", "autoSnapshots": [one]})
        stub.add_response("get_instance", {"instance": {"name": "raxx-tickets", "bundleId": "small_3_0"}})
        door = Instances(names=NAMES, protected=PRODUCTION, client=client)
        source = door.source_of_automatic("raxx-tickets", "2031-03-14")
    assert source == SnapshotSource(state, when, "small_3_0", 0, automatic_of="raxx-tickets", day="2031-03-14")


def test_a_name_that_is_taken_is_said_so(door: Instances, lab: Lab) -> None:
    make(door, lab)
    with pytest.raises(NameTakenError):
        door.create_from_blueprint(RESTORED, "ubuntu_22_04", MAKING)


def test_bundles_come_with_those_that_are_sold_no_more(door: Instances) -> None:
    found = {one.id: one for one in door.bundles()}
    assert found["small_1_0"] == Bundle("small_1_0", 1, 2.0, 40, 20.0, active=False)
    assert found["small_3_0"].active
    assert found["small_3_0"].usd_per_hour == pytest.approx(12.0 / 730)
    assert found["small_3_0"].holds(found["small_1_0"])
    assert not found["micro_3_0"].holds(found["small_1_0"])


@pytest.mark.parametrize(
    "odd",
    [
        {"supportedPlatforms": ["WINDOWS"]},
        {"publicIpv4AddressCount": 0},
        {"supportedAppCategories": ["LfR"]},
    ],
    ids=["windows", "IPv6 only", "research"],
)
def test_a_cheaper_bundle_that_no_drill_could_use_is_none(odd: dict[str, Any]) -> None:
    plain = {"bundleId": "nano_ipv6_3_0", "cpuCount": 2, "ramSizeInGb": 0.5, "diskSizeInGb": 20, "price": 3.5}
    assert bundle_of(plain) is not None
    assert bundle_of({**plain, **odd}) is None


# -- the firewall and the login --------------------------------------------------------------------------


def test_the_firewall_lets_in_one_address_to_one_port(door: Instances, lab: Lab) -> None:
    make(door, lab)
    assert len(door.openings(RESTORED)) > 1, "a new instance has the default rules"
    door.open_only(RESTORED, 22, "203.0.113.9/32")
    assert door.openings(RESTORED) == [Opening("tcp", 22, 22, ("203.0.113.9/32",))]


def test_a_login_is_read_and_never_shown() -> None:
    until = datetime(2031, 3, 14, 9, 5, tzinfo=UTC)
    answer = {
        "certKey": "ssh-rsa-cert-v01@openssh.com AAAArxs_certificate",
        "privateKey": PRIVATE_KEY,
        "username": "ubuntu",
        "ipAddress": "203.0.113.5",
        "expiresAt": until,
        "hostKeys": [
            {"algorithm": "ssh-ed25519", "publicKey": "AAAAC3"},
            {"algorithm": "ssh-rsa", "publicKey": "ssh-rsa AAAAB3NzaC1yc2E comment"},
            {"algorithm": "ssh-dss"},
        ],
    }
    access = access_of(answer)
    assert access.host_keys == (("ssh-ed25519", "AAAAC3"), ("ssh-rsa", "AAAAB3NzaC1yc2E"))
    assert (access.user, access.address, access.expires_utc) == ("ubuntu", "203.0.113.5", until)
    assert "rxs_" not in repr(access)
    with pytest.raises(CouldNotVerifyError, match="lacks privateKey") as caught:
        access_of({**answer, "privateKey": ""})
    assert "rxs_" not in everything_shown(caught.value)


def test_an_instance_that_cannot_be_logged_in_to_is_said_so(door: Instances, lab: Lab) -> None:
    make(door, lab)
    with pytest.raises(PermanentError, match=f"get a login to instance {RESTORED}"):
        door.access(RESTORED)


# -- looking ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("expires", ["", "tomorrow", "2031-03-14 13:00", "2031-13-14T13:00:00Z"])
def test_an_expiry_that_cannot_be_read_is_none(door: Instances, lab: Lab, expires: str) -> None:
    make(door, lab, making=Making("us-east-1a", "small_3_0", "", {DRILL_TAG: DRILL, EXPIRES_TAG: expires}))
    (found,) = door.marked()
    assert (found.drill_id, found.expires_utc) == (DRILL, None)


def _page(name: str, more: str = "") -> dict[str, Any]:
    one = {"name": name, "createdAt": EXPIRES, "tags": [{"key": DRILL_TAG, "value": DRILL}]}
    return {
        "instances": [one, {"name": "raxx-vault", "createdAt": EXPIRES}],
        **({"nextPageToken": more} if more else {}),
    }


def _client() -> LightsailClient:
    config = Config(retries={"total_max_attempts": 1})
    return boto3.client(
        "lightsail", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b", config=config
    )


def test_marked_instances_are_found_on_every_page() -> None:
    client = _client()
    with Stubber(client) as stub:
        stub.add_response("get_instances", _page("one", "more"), {})
        stub.add_response("get_instances", _page("two"), {"pageToken": "more"})
        door = Instances(names=NAMES, protected=PRODUCTION, client=client)
        assert [one.name for one in door.marked()] == ["one", "two"]


def test_a_list_that_breaks_off_is_an_error() -> None:
    client = _client()
    with Stubber(client) as stub:
        stub.add_response("get_instances", _page("one", "more"), {})
        stub.add_client_error("get_instances", "ServiceException", "try again", 500)
        with pytest.raises(TransientError):
            list(Instances(names=NAMES, protected=PRODUCTION, client=client).marked())


def test_no_credentials_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(UsageError, match="no usable AWS settings"):
        Instances(names=NAMES, protected=PRODUCTION).get(RESTORED)
