"""The client that deletes scratch: what it builds, what it refuses before a byte is sent, what refusals mean."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from raxx_bcp.clients.s3_scratch import ALLOWED, MARK, Scratch, Surroundings
from raxx_bcp.errors import BcpError, CouldNotVerifyError, PermanentError, TransientError, UsageError
from raxx_bcp_tests.clients.leaks import everything_shown

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

BUCKET = "raxx-iac-state-prod"
PREFIX = "drill-scratch/"
DRILL = "state_recovery-20310314T090000Z-a1b2c3"
ROOT = f"{PREFIX}{DRILL}/"
KEY = f"{ROOT}state.json"
OTHER = "state_recovery-20310314T090000Z-ffffff"
WHEN = datetime(2031, 3, 14, 9, 0, tzinfo=UTC)


def make_client(endpoint: str | None = None) -> S3Client:
    return boto3.client(
        "s3",
        region_name="eu-central-1",
        endpoint_url=endpoint,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="rxs_secret_access_key",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=2),
    )


@pytest.fixture
def client() -> S3Client:
    return make_client("http://127.0.0.1:9")


@pytest.fixture
def stub(client: S3Client) -> Iterator[Stubber]:
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def scratch(client: S3Client) -> Scratch:
    return Scratch(BUCKET, PREFIX, DRILL, client=client)


@pytest.fixture
def around(client: S3Client) -> Surroundings:
    return Surroundings(BUCKET, scratch_prefix=PREFIX, client=client)


def sent(client: S3Client) -> list[str]:
    """What leaves this process through ``client`` from now on; nothing really does."""
    seen: list[str] = []

    def stop(request: Any, **_named: Any) -> None:
        seen.append(f"{request.method} {request.url}")
        raise AssertionError(request.url)

    client.meta.events.register("before-send.s3", stop)
    return seen


NAMED: dict[str, Callable[[Scratch, str], object]] = {
    "put": lambda scratch, name: scratch.put(name, b"{}"),
    "head": lambda scratch, name: scratch.head(name),
    "get": lambda scratch, name: scratch.get(name),
    "delete": lambda scratch, name: scratch.delete(name),
    "copy_back": lambda scratch, name: scratch.copy_back(name, "v1"),
    "versions": lambda scratch, name: scratch.versions(name),
}


# -- where it may write ----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", NAMED)
@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/b", "/x", "a..b", "x\n", "a b", "raxx-app/terraform.tfstate", "%2e%2e%2fx", "a\\b", "ä"],
)
def test_anything_but_a_bare_name_is_refused_and_nothing_is_sent(
    client: S3Client, scratch: Scratch, method: str, name: str
) -> None:
    seen = sent(client)
    with pytest.raises(UsageError, match="is no name of a scratch object"):
        NAMED[method](scratch, name)
    assert seen == []


@pytest.mark.parametrize("prefix", ["", "/", "drill-scratch", "/drill-scratch/", "a//b/", "../", "a/../", "a b/"])
def test_a_prefix_that_is_none_is_refused(prefix: str) -> None:
    with pytest.raises(UsageError, match="is no prefix"):
        Scratch(BUCKET, prefix, DRILL)


@pytest.mark.parametrize(
    "drill_id", ["", "..", "x", f"{DRILL}/", f"{DRILL}/..", "vault-exports", f"../{DRILL}", f"{DRILL}\n"]
)
def test_what_is_no_drill_s_id_is_refused(drill_id: str) -> None:
    with pytest.raises(UsageError, match="is not the id of a drill"):
        Scratch(BUCKET, PREFIX, drill_id)


FOREIGN = (
    "raxx-app/terraform.tfstate",
    "vault-exports/2031-03-14.json.gpg",
    PREFIX,
    ROOT,
    f"{PREFIX}{OTHER}/state.json",
    f"{ROOT}../state.json",
    f"{ROOT}a/b",
    f"{ROOT}..",
    f"/{KEY}",
    f"drill-scratch-2/{DRILL}/state.json",
)
RAW: dict[str, Callable[[S3Client, str, str], object]] = {
    "put": lambda s3, bucket, key: s3.put_object(Bucket=bucket, Key=key, Body=b"x"),
    "delete": lambda s3, bucket, key: s3.delete_object(Bucket=bucket, Key=key),
    "delete a version": lambda s3, bucket, key: s3.delete_object(Bucket=bucket, Key=key, VersionId="v1"),
    "get": lambda s3, bucket, key: s3.get_object(Bucket=bucket, Key=key),
    "head": lambda s3, bucket, key: s3.head_object(Bucket=bucket, Key=key),
    "copy to": lambda s3, bucket, key: s3.copy_object(
        Bucket=bucket, Key=key, CopySource={"Bucket": BUCKET, "Key": KEY, "VersionId": "v1"}
    ),
    "copy from": lambda s3, bucket, key: s3.copy_object(
        Bucket=BUCKET, Key=KEY, CopySource={"Bucket": bucket, "Key": key, "VersionId": "v1"}
    ),
}


@pytest.mark.parametrize("call", RAW)
@pytest.mark.parametrize("key", FOREIGN)
def test_the_client_behind_it_refuses_every_other_key_before_a_byte_is_sent(
    client: S3Client, scratch: Scratch, call: str, key: str
) -> None:
    """Also what a mistake in the module itself would ask for."""
    seen = sent(client)
    raw = scratch._client
    with pytest.raises(PermanentError, match="was refused before it was sent"):
        RAW[call](raw, BUCKET, key)
    assert seen == []


@pytest.mark.parametrize("call", RAW)
def test_the_client_behind_it_refuses_every_other_bucket(client: S3Client, scratch: Scratch, call: str) -> None:
    seen = sent(client)
    raw = scratch._client
    with pytest.raises(PermanentError, match="was refused before it was sent"):
        RAW[call](raw, "another-bucket", KEY)
    assert seen == []


def test_every_other_operation_is_refused_whatever_it_is_called(client: S3Client, scratch: Scratch) -> None:
    seen = sent(client)
    raw, tried = scratch._client, 0
    model = client.meta.service_model
    for method, operation in client.meta.method_to_api_mapping.items():
        if operation in ALLOWED or operation == "UploadPart":
            continue
        shape = model.operation_model(operation).input_shape
        if shape is None:
            continue
        params: dict[str, Any] = {"Bucket": BUCKET, "Key": KEY, "Prefix": ROOT}
        known = {name: value for name, value in params.items() if name in shape.members}
        with pytest.raises(PermanentError, match=f"{operation} was refused before it was sent"):
            getattr(raw, method)(**known)
        tried += 1
    assert tried > 80
    assert seen == []


@pytest.mark.parametrize(
    "attempt",
    [
        lambda s3: s3.list_object_versions(Bucket=BUCKET, Prefix=""),
        lambda s3: s3.list_object_versions(Bucket=BUCKET),
        lambda s3: s3.list_object_versions(Bucket=BUCKET, Prefix=PREFIX),
        lambda s3: s3.copy_object(Bucket=BUCKET, Key=KEY, CopySource=f"{BUCKET}/{KEY}"),
        lambda s3: s3.delete_object(Bucket=BUCKET, Key=KEY, VersionId="v1", BypassGovernanceRetention=True),
    ],
    ids=["list all", "list without prefix", "list the others' scratch", "a source as text", "against a retention"],
)
def test_what_cannot_be_judged_is_refused(client: S3Client, scratch: Scratch, attempt: Callable[[Any], object]) -> None:
    seen = sent(client)
    raw = scratch._client
    with pytest.raises(PermanentError, match="was refused before it was sent"):
        attempt(raw)
    assert seen == []


# -- what it sends ---------------------------------------------------------------------------------------


def test_a_put_is_marked_checked_and_gives_its_version(scratch: Scratch, stub: Stubber) -> None:
    expected = {
        "Bucket": BUCKET,
        "Key": KEY,
        "Body": b"{}",
        "ContentType": "application/json",
        "Metadata": {MARK: DRILL},
        "ServerSideEncryption": "AES256",
        "ChecksumSHA256": "RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=",
    }
    for answered, version in (("v1", "v1"), ("null", None), (None, None)):
        answer = {"ETag": '"e"'} | ({"VersionId": answered} if answered else {})
        stub.add_response("put_object", answer, expected)
        assert scratch.put("state.json", b"{}") == version


def test_a_copy_back_names_the_version_and_lands_on_the_same_key(scratch: Scratch, stub: Stubber) -> None:
    expected = {
        "Bucket": BUCKET,
        "Key": KEY,
        "CopySource": {"Bucket": BUCKET, "Key": KEY, "VersionId": "v1"},
        "ServerSideEncryption": "AES256",
    }
    stub.add_response("copy_object", {"VersionId": "v2"}, expected)
    assert scratch.copy_back("state.json", "v1") == "v2"


def test_a_deleted_object_is_gone_and_an_unversioned_one_is_there(scratch: Scratch, stub: Stubber) -> None:
    stub.add_client_error("head_object", service_error_code="404", http_status_code=404)
    assert scratch.head("state.json") is None
    stub.add_response("head_object", {"VersionId": "v1"}, {"Bucket": BUCKET, "Key": KEY})
    assert scratch.head("state.json") == "v1"
    stub.add_response("head_object", {})
    assert scratch.head("state.json") == "null"


def version(key: str, number: str, *, latest: bool = False) -> dict[str, Any]:
    return {"Key": key, "VersionId": number, "Size": 7, "LastModified": WHEN, "IsLatest": latest, "ETag": '"e"'}


def marker(key: str, number: str, *, latest: bool = False) -> dict[str, Any]:
    return {"Key": key, "VersionId": number, "LastModified": WHEN, "IsLatest": latest}


def listing(*versions: dict[str, Any], markers: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return {"IsTruncated": False, "Versions": list(versions), "DeleteMarkers": list(markers)}


def test_a_purge_deletes_each_version_and_marker_by_its_id_until_nothing_is_listed(
    scratch: Scratch, stub: Stubber
) -> None:
    asked = {"Bucket": BUCKET, "Prefix": ROOT}
    stub.add_response("list_object_versions", listing(version(KEY, "v1"), markers=(marker(KEY, "m1"),)), asked)
    for number in ("v1", "m1"):
        stub.add_response("delete_object", {}, {"Bucket": BUCKET, "Key": KEY, "VersionId": number})
    stub.add_response("list_object_versions", listing(version(KEY, "null")), asked)
    stub.add_response("delete_object", {}, {"Bucket": BUCKET, "Key": KEY, "VersionId": "null"})
    stub.add_response("list_object_versions", listing(), asked)
    assert scratch.purge() == 3


def test_a_purge_of_what_keeps_coming_back_ends(scratch: Scratch, stub: Stubber) -> None:
    for _round in range(5):
        stub.add_response("list_object_versions", listing(version(KEY, "v1")))
        stub.add_response("delete_object", {})
    assert scratch.purge() == 5
    stub.add_response("list_object_versions", listing(version(KEY, "v1")))
    assert not scratch.is_empty()
    stub.add_response("list_object_versions", listing())
    assert scratch.is_empty()


def test_what_lies_below_a_folder_of_the_scratch_is_not_ours_and_is_not_deleted(
    scratch: Scratch, stub: Stubber
) -> None:
    stub.add_response("list_object_versions", listing(version(f"{ROOT}folder/x", "v1")))
    with pytest.raises(UsageError):
        scratch.purge()


def test_hiding_puts_a_marker_on_what_is_current_and_removes_no_version(scratch: Scratch, stub: Stubber) -> None:
    shown = listing(
        version(KEY, "v2", latest=True), version(KEY, "v1"), markers=(marker(f"{ROOT}b", "m", latest=True),)
    )
    stub.add_response("list_object_versions", shown)
    stub.add_response("delete_object", {}, {"Bucket": BUCKET, "Key": KEY})
    scratch.hide()
    stub.add_response("list_object_versions", shown)
    assert not scratch.is_hidden()
    stub.add_response("list_object_versions", listing(version(KEY, "v2"), markers=(marker(KEY, "m", latest=True),)))
    assert scratch.is_hidden()


def test_only_a_delete_marker_alone_is_not_empty(scratch: Scratch, stub: Stubber) -> None:
    stub.add_response("list_object_versions", listing(markers=(marker(KEY, "m1", latest=True),)))
    assert not scratch.is_empty()


# -- what a refusal means --------------------------------------------------------------------------------


WRITES = {"put": "put_object", "delete": "delete_object", "copy_back": "copy_object"}
LOOKS = {"head": "head_object", "get": "get_object", "versions": "list_object_versions"}


@pytest.mark.parametrize(("method", "operation"), WRITES.items())
@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [("AccessDenied", 403, PermanentError), ("SlowDown", 503, TransientError), ("NoSuchBucket", 404, PermanentError)],
)
def test_a_denied_write_has_failed(
    scratch: Scratch, stub: Stubber, method: str, operation: str, code: str, status: int, kind: type[BcpError]
) -> None:
    stub.add_client_error(operation, service_error_code=code, service_message="rxs_x", http_status_code=status)
    with pytest.raises(BcpError) as caught:
        NAMED[method](scratch, "state.json")
    assert type(caught.value) is kind
    assert "rxs_" not in everything_shown(caught.value)


@pytest.mark.parametrize(("method", "operation"), LOOKS.items())
@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [("AccessDenied", 403, CouldNotVerifyError), ("403", 403, CouldNotVerifyError), ("503", 503, TransientError)],
)
def test_a_denied_look_is_unknown(
    scratch: Scratch, stub: Stubber, method: str, operation: str, code: str, status: int, kind: type[BcpError]
) -> None:
    stub.add_client_error(operation, service_error_code=code, service_message="rxs_x", http_status_code=status)
    with pytest.raises(BcpError) as caught:
        NAMED[method](scratch, "state.json")
    assert type(caught.value) is kind
    assert "rxs_" not in everything_shown(caught.value)


def test_a_denied_deletion_of_a_version_has_failed(scratch: Scratch, stub: Stubber) -> None:
    stub.add_response("list_object_versions", listing(version(KEY, "v1")))
    stub.add_client_error("delete_object", service_error_code="AccessDenied", http_status_code=403)
    with pytest.raises(PermanentError, match="could not delete a version of"):
        scratch.purge()


def test_an_unreachable_server_is_transient() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(TransientError, match="could not be reached"):
        Scratch(BUCKET, PREFIX, DRILL, client=make_client(address)).head("state.json")


# -- around it -------------------------------------------------------------------------------------------


def test_around_it_what_is_on_top_of_each_key_is_seen_page_after_page(around: Surroundings, stub: Stubber) -> None:
    first = listing(version("a", "2", latest=True), version("a", "1"), version(KEY, "9", latest=True))
    first |= {"IsTruncated": True, "NextKeyMarker": "a", "NextVersionIdMarker": "1"}
    second = listing(version("b", "3"), markers=(marker("b", "4", latest=True),))
    stub.add_response("list_object_versions", first, {"Bucket": BUCKET, "Prefix": ""})
    stub.add_response(
        "list_object_versions",
        second,
        {"Bucket": BUCKET, "Prefix": "", "KeyMarker": "a", "VersionIdMarker": "1"},
    )
    found = around.current()
    assert set(found) == {"a", "b"}, "not the scratch"
    assert (found["a"].version_id, found["a"].version_count, found["a"].is_delete_marker) == ("2", 2, False)
    assert (found["b"].version_id, found["b"].version_count, found["b"].is_delete_marker) == ("4", 1, True)


def test_the_versions_of_a_key_are_those_of_no_longer_key(around: Surroundings, stub: Stubber) -> None:
    answer = listing(version("a", "1"), version("ab", "2"), markers=(marker("a", "3"),))
    stub.add_response("list_object_versions", answer, {"Bucket": BUCKET, "Prefix": "a"})
    assert around.version_ids("a") == {"1"}


def test_drills_are_found_by_the_names_of_their_scratch(around: Surroundings, stub: Stubber) -> None:
    keys = (KEY, f"{PREFIX}{OTHER}/x", f"{PREFIX}mine/x", f"{PREFIX}{DRILL}", f"{PREFIX}state_recovery-x/y")
    answer = listing(*(version(key, "1") for key in keys[:3]), markers=tuple(marker(key, "2") for key in keys[3:]))
    stub.add_response("list_object_versions", answer, {"Bucket": BUCKET, "Prefix": PREFIX})
    assert around.scratch_drill_ids() == sorted([DRILL, OTHER])


def test_what_lies_below_a_delete_marker_may_be_left_out(around: Surroundings, stub: Stubber) -> None:
    other = f"{PREFIX}{OTHER}/x"
    answer = listing(version(KEY, "1", latest=True), version(other, "2"), markers=(marker(other, "3", latest=True),))
    stub.add_response("list_object_versions", answer)
    assert around.scratch_drill_ids(current_only=True) == [DRILL]


@pytest.mark.parametrize(
    "attempt",
    [
        lambda s3: s3.get_object(Bucket=BUCKET, Key=KEY),
        lambda s3: s3.delete_object(Bucket=BUCKET, Key=KEY),
        lambda s3: s3.put_object(Bucket=BUCKET, Key=KEY, Body=b""),
    ],
    ids=["get", "delete", "put"],
)
def test_around_it_nothing_but_a_list_can_be_asked_for(
    client: S3Client, around: Surroundings, attempt: Callable[[Any], object]
) -> None:
    seen = sent(client)
    raw = around._client
    with pytest.raises(PermanentError, match="this client only lists"):
        attempt(raw)
    assert seen == []


def test_a_denied_list_is_unknown(around: Surroundings, stub: Stubber) -> None:
    for attempt in (around.current, around.scratch_drill_ids, lambda: around.version_ids("a")):
        stub.add_client_error("list_object_versions", service_error_code="AccessDenied", http_status_code=403)
        with pytest.raises(CouldNotVerifyError, match="could not list the versions"):
            attempt()
