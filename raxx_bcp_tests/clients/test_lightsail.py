"""The client for Lightsail's snapshots: what each refusal means, and what can never be asked for."""

from __future__ import annotations

import ast
import inspect
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from raxx_bcp.clients import lightsail
from raxx_bcp.clients.lightsail import ALLOWED, Snapshots
from raxx_bcp.clients.lightsail_errors import AbsentError, AutomaticSnapshotRunningError, NameTakenError
from raxx_bcp.errors import (
    BcpError,
    CouldNotVerifyError,
    CredentialsRefusedError,
    PermanentError,
    TransientError,
    UsageError,
)
from raxx_bcp_tests.clients.leaks import everything_shown

if TYPE_CHECKING:
    from types_boto3_lightsail import LightsailClient

SECRET_KEY = "rxs_secret_access_key"
WHEN = datetime(2031, 3, 14, 6, 30, tzinfo=UTC)
NAME = "raxx-bcp-raxx-vault-2031-03-14"
SNAPSHOT = {
    "name": NAME,
    "state": "available",
    "createdAt": WHEN,
    "sizeInGb": 40,
    "fromInstanceName": "raxx-vault",
    "tags": [{"key": "a", "value": "b"}, {"key": "keyed"}],
}


def make_client(endpoint: str | None = None) -> LightsailClient:
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=2)
    return boto3.client(
        "lightsail",
        region_name="eu-central-1",
        endpoint_url=endpoint,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key=SECRET_KEY,
        config=config,
    )


@pytest.fixture
def client() -> LightsailClient:
    return make_client()


@pytest.fixture
def stub(client: LightsailClient) -> Iterator[Stubber]:
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def door(client: LightsailClient) -> Snapshots:
    return Snapshots(client=client)


def refusal(stub: Stubber, operation: str, code: str, message: str = "", status: int = 400) -> None:
    stub.add_client_error(operation, code, message, status)


# -- what cannot be done ---------------------------------------------------------------------------------


def test_the_door_has_no_method_that_touches_an_instance() -> None:
    public = [name for name, _value in inspect.getmembers(Snapshots, inspect.isfunction) if not name.startswith("_")]
    assert [name for name in public if "delete" in name] == ["delete_snapshot"]
    called = {
        node.func.attr
        for node in ast.walk(ast.parse(inspect.getsource(lightsail)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert "delete_instance_snapshot" in called, "the search must find something"
    assert not called & {"delete_instance", "stop_instance", "reboot_instance", "create_instances"}


def test_no_operation_on_instances_is_allowed() -> None:
    assert not {operation for operation in ALLOWED if operation.startswith(("Delete", "Stop", "Reboot", "Create"))} - {
        "DeleteInstanceSnapshot",
        "CreateInstanceSnapshot",
    }


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("delete_instance", {"instanceName": "raxx-vault"}),
        ("delete_instance", {"instanceName": "raxx-vault", "forceDeleteAddOns": True}),
        ("stop_instance", {"instanceName": "raxx-vault"}),
        ("delete_auto_snapshot", {"resourceName": "raxx-vault", "date": "2031-03-14"}),
        ("delete_disk", {"diskName": "data"}),
    ],
)
def test_even_the_client_behind_the_door_refuses_before_it_sends(
    door: Snapshots, client: LightsailClient, stub: Stubber, method: str, arguments: dict[str, Any]
) -> None:
    stub.add_response("get_instance", {"instance": {"name": "raxx-vault"}}, {"instanceName": "raxx-vault"})
    door.instance("raxx-vault")
    with pytest.raises(PermanentError, match="refused before it was sent"):
        getattr(client, method)(**arguments)


# -- what is read ----------------------------------------------------------------------------------------


def test_a_snapshot_is_read_with_its_tags(door: Snapshots, stub: Stubber) -> None:
    stub.add_response("get_instance_snapshot", {"instanceSnapshot": SNAPSHOT}, {"instanceSnapshotName": NAME})
    found = door.get(NAME)
    assert found is not None
    assert (found.name, found.state, found.created_utc, found.size_gb) == (NAME, "available", WHEN, 40)
    assert (found.instance_name, dict(found.tags)) == ("raxx-vault", {"a": "b", "keyed": ""})


def test_a_state_that_the_model_does_not_know_is_passed_on(door: Snapshots, stub: Stubber) -> None:
    odd = {**SNAPSHOT, "state": "Pending-Copy"}
    stub.add_response("get_instance_snapshot", {"instanceSnapshot": odd})
    found = door.get(NAME)
    assert found is not None
    assert found.state == "Pending-Copy"


def test_no_such_snapshot_is_none(door: Snapshots, stub: Stubber) -> None:
    refusal(stub, "get_instance_snapshot", "NotFoundException", "The InstanceSnapshot does not exist")
    assert door.get(NAME) is None


def test_all_pages_are_read(door: Snapshots, stub: Stubber) -> None:
    first = {"instanceSnapshots": [{**SNAPSHOT, "name": "one"}], "nextPageToken": "more"}
    stub.add_response("get_instance_snapshots", first, {})
    stub.add_response("get_instance_snapshots", {"instanceSnapshots": [SNAPSHOT]}, {"pageToken": "more"})
    assert [one.name for one in door.all()] == ["one", NAME]


def test_a_list_that_breaks_off_is_an_error_and_not_a_short_list(door: Snapshots, stub: Stubber) -> None:
    first = {"instanceSnapshots": [SNAPSHOT], "nextPageToken": "more"}
    stub.add_response("get_instance_snapshots", first, {})
    refusal(stub, "get_instance_snapshots", "ServiceException", "try again", 500)
    with pytest.raises(TransientError):
        list(door.all())


@pytest.mark.parametrize(("status", "hour"), [("Enabled", "18:00"), ("Enabling", "18:00"), ("Disabled", None)])
def test_the_add_on_is_read_from_the_instance(door: Snapshots, stub: Stubber, status: str, hour: str | None) -> None:
    addons = [{"name": "AutoSnapshot", "status": status, "snapshotTimeOfDay": "18:00"}]
    hardware = {"disks": [{"sizeInGb": 40}]}
    answer = {"name": "raxx-vault", "addOns": addons, "hardware": hardware, "state": {"code": 16, "name": "running"}}
    stub.add_response("get_instance", {"instance": answer})
    found = door.instance("raxx-vault")
    assert (found.disk_gb, found.state, found.automatic_utc) == (40, "running", hour)


def test_automatic_snapshots_come_newest_first(door: Snapshots, stub: Stubber) -> None:
    earlier = WHEN.replace(day=13)
    snapshots = [
        {"date": "2031-03-13", "createdAt": earlier, "status": "Success", "fromAttachedDisks": []},
        {"date": "2031-03-14", "createdAt": WHEN, "status": "InProgress", "fromAttachedDisks": []},
    ]
    stub.add_response("get_auto_snapshots", {"resourceName": "raxx-tickets", "autoSnapshots": snapshots})
    assert [one.day for one in door.automatic("raxx-tickets")] == ["2031-03-14", "2031-03-13"]


# -- what a refusal means --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "message", "status", "kind"),
    [
        ("NotFoundException", "The Instance does not exist: raxx-vault", 400, AbsentError),
        ("InvalidInputException", "Some names are already in use: x", 400, NameTakenError),
        (
            "OperationFailureException",
            "You cannot create manual snapshots when an automatic snapshot is being created.",
            400,
            AutomaticSnapshotRunningError,
        ),
        ("AccessDeniedException", "not authorized", 400, PermanentError),
        ("ThrottlingException", "Rate exceeded", 400, TransientError),
        ("ServiceException", "", 500, TransientError),
        ("RegionSetupInProgressException", "", 400, TransientError),
        ("SomethingNew", "", 503, TransientError),
        ("UnrecognizedClientException", "", 400, CredentialsRefusedError),
        ("InvalidSignatureException", "", 400, CredentialsRefusedError),
        ("SomethingNew", "odd", 400, PermanentError),
    ],
)
def test_what_a_refused_snapshot_means(
    door: Snapshots, stub: Stubber, code: str, message: str, status: int, kind: type[BcpError]
) -> None:
    refusal(stub, "create_instance_snapshot", code, message, status)
    with pytest.raises(kind) as caught:
        door.create(NAME, "raxx-vault", {"a": "b"})
    assert type(caught.value) is kind
    assert f"take snapshot {NAME} of instance raxx-vault ({code}" in caught.value.what
    assert caught.value.remedy


def test_a_denied_look_is_unknown_and_a_denied_write_has_failed(door: Snapshots, stub: Stubber) -> None:
    refusal(stub, "get_instance_snapshots", "AccessDeniedException")
    with pytest.raises(CouldNotVerifyError):
        list(door.all())
    refusal(stub, "delete_instance_snapshot", "AccessDeniedException")
    with pytest.raises(PermanentError, match="deploy/iam"):
        door.delete_snapshot(NAME)


def test_an_operation_that_failed_at_once_is_a_failure(door: Snapshots, stub: Stubber) -> None:
    operation = {"status": "Failed", "errorCode": "QuotaExceeded", "errorDetails": "too many snapshots"}
    stub.add_response("create_instance_snapshot", {"operations": [operation]})
    with pytest.raises(PermanentError, match="too many snapshots"):
        door.create(NAME, "raxx-vault", {})
    stub.add_response("create_instance_snapshot", {"operations": [{"status": "Started"}]})
    door.create(NAME, "raxx-vault", {})


def test_nobody_there_is_transient_and_names_the_variable() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        door = Snapshots(client=make_client(f"http://127.0.0.1:{nobody.getsockname()[1]}"))
        with pytest.raises(TransientError, match="AWS_ENDPOINT_URL_LIGHTSAIL"):
            door.get(NAME)


def test_no_credentials_and_no_region_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(UsageError, match="Set AWS_REGION"):
        Snapshots().get(NAME)
    with pytest.raises(UsageError, match="no usable AWS settings"):
        Snapshots("us-east-1").get(NAME)


def test_no_secret_is_shown(door: Snapshots, stub: Stubber) -> None:
    refusal(stub, "get_instance", "AccessDeniedException", "User: arn:aws:iam::1:user/x is not authorized")
    with pytest.raises(CouldNotVerifyError) as caught:
        door.instance("raxx-vault")
    assert SECRET_KEY not in everything_shown(caught.value) + repr(door)
