"""The client for S3: what each refusal means, and what each PUT promises. Answers are botocore's own, stubbed."""

from __future__ import annotations

import ast
import base64
import hashlib
import inspect
import io
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.response import StreamingBody
from botocore.stub import Stubber

from raxx_bcp.clients import s3
from raxx_bcp.clients.s3 import Bucket, ConflictError, ObjectAbsentError, ObjectVersion, Versioning
from raxx_bcp.errors import (
    BcpError,
    CouldNotVerifyError,
    CredentialsRefusedError,
    PermanentError,
    TransientError,
    UnreadableAnswerError,
    UsageError,
)
from raxx_bcp_tests.clients.leaks import everything_shown

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

KEY = "vault-exports/2026-02-03.json.gpg"
SECRET_KEY = "rxs_secret_access_key"
WHEN = datetime(2026, 2, 3, 7, 0, tzinfo=UTC)
BODY = b"ciphertext"


def make_client(endpoint: str | None = None) -> S3Client:
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=2)
    return boto3.client(
        "s3",
        region_name="eu-central-1",
        endpoint_url=endpoint,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key=SECRET_KEY,
        config=config,
    )


@pytest.fixture(scope="module")
def client() -> S3Client:
    return make_client()


@pytest.fixture
def stub(client: S3Client) -> Iterator[Stubber]:
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def bucket(client: S3Client) -> Bucket:
    return Bucket("raxx-iac-state-prod", client=client)


def put(bucket: Bucket, **conditions: Any) -> s3.Receipt:
    return bucket.put(KEY, BODY, content_type="application/pgp-encrypted", metadata={"a": "b"}, **conditions)


READS: dict[str, Callable[[Bucket], object]] = {
    "get_object": lambda bucket: bucket.get(KEY),
    "head_object": lambda bucket: bucket.head(KEY),
    "list_objects_v2": lambda bucket: bucket.objects("vault-exports/"),
    "list_object_versions": lambda bucket: bucket.versions("vault-exports/"),
    "get_bucket_versioning": lambda bucket: bucket.versioning(),
}


@pytest.mark.parametrize("operation", READS)
@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("AccessDenied", 403, CouldNotVerifyError),
        ("403", 403, CouldNotVerifyError),
        ("AllAccessDisabled", 403, CouldNotVerifyError),
        ("NotImplemented", 501, CouldNotVerifyError),
        ("501", 501, CouldNotVerifyError),
        ("InvalidAccessKeyId", 403, CredentialsRefusedError),
        ("SignatureDoesNotMatch", 403, CredentialsRefusedError),
        ("ExpiredToken", 400, CredentialsRefusedError),
        ("NoSuchBucket", 404, PermanentError),
        ("SlowDown", 503, TransientError),
        ("InternalError", 500, TransientError),
        ("503", 503, TransientError),
        ("RequestTimeout", 400, TransientError),
        ("SomethingNew", 400, PermanentError),
    ],
)
def test_each_refusal_of_a_read_has_its_meaning(
    bucket: Bucket, stub: Stubber, operation: str, code: str, status: int, kind: type[BcpError]
) -> None:
    stub.add_client_error(operation, service_error_code=code, service_message="rxs_detail", http_status_code=status)
    with pytest.raises(BcpError) as caught:
        READS[operation](bucket)
    assert type(caught.value) is kind
    assert f"bucket raxx-iac-state-prod ({code})" in caught.value.what
    assert caught.value.remedy
    assert "rxs_" not in everything_shown(caught.value)


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("AccessDenied", 403, PermanentError),
        ("PreconditionFailed", 412, ConflictError),
        ("412", 412, ConflictError),
        ("ConditionalRequestConflict", 409, ConflictError),
        ("InvalidAccessKeyId", 403, CredentialsRefusedError),
        ("NoSuchBucket", 404, PermanentError),
        ("SlowDown", 503, TransientError),
        ("NotImplemented", 501, CouldNotVerifyError),
        ("BadDigest", 400, PermanentError),
    ],
)
def test_each_refusal_of_a_write_has_its_meaning(
    bucket: Bucket, stub: Stubber, code: str, status: int, kind: type[BcpError]
) -> None:
    stub.add_client_error("put_object", service_error_code=code, http_status_code=status)
    with pytest.raises(BcpError) as caught:
        put(bucket)
    assert type(caught.value) is kind
    assert f"S3 could not store {KEY} in bucket raxx-iac-state-prod ({code})." == caught.value.what


def test_the_remedies_tell_a_wrong_bucket_from_wrong_credentials_from_a_wrong_role(
    bucket: Bucket, stub: Stubber
) -> None:
    remedies = {}
    for code, status in (("NoSuchBucket", 404), ("ExpiredToken", 400), ("AccessDenied", 403)):
        stub.add_client_error("get_bucket_versioning", service_error_code=code, http_status_code=status)
        with pytest.raises(BcpError) as caught:
            bucket.versioning()
        remedies[code] = caught.value.remedy
    assert "state_bucket.name" in remedies["NoSuchBucket"]
    assert "credentials" in remedies["ExpiredToken"]
    assert "deploy/iam/" in remedies["AccessDenied"]


@pytest.mark.parametrize("code", ["NoSuchKey", "NoSuchVersion", "NotFound"])
def test_a_missing_object_is_absent_and_no_other_error(bucket: Bucket, stub: Stubber, code: str) -> None:
    stub.add_client_error("get_object", service_error_code=code, http_status_code=404)
    with pytest.raises(ObjectAbsentError):
        bucket.get(KEY)
    stub.add_client_error("head_object", service_error_code=code, http_status_code=404)
    assert bucket.head(KEY) is None


def test_a_404_without_a_word_of_s3s_is_an_absent_object_for_head_only(bucket: Bucket, stub: Stubber) -> None:
    """An answer to HEAD has no body. To anything else it is a proxy's: S3 says what is not there."""
    stub.add_client_error("head_object", service_error_code="404", http_status_code=404)
    assert bucket.head(KEY) is None
    stub.add_client_error("get_object", service_error_code="404", http_status_code=404)
    with pytest.raises(UnreadableAnswerError, match="404"):
        bucket.get(KEY)


def test_a_denied_look_is_not_taken_for_an_absent_object(bucket: Bucket, stub: Stubber) -> None:
    stub.add_client_error("head_object", service_error_code="403", http_status_code=403)
    with pytest.raises(CouldNotVerifyError):
        bucket.head(KEY)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"Status": "Enabled"}, Versioning.ENABLED),
        ({"Status": "Suspended"}, Versioning.SUSPENDED),
        ({}, Versioning.NEVER_ENABLED),
        ({"Status": "Enabled", "MFADelete": "Enabled"}, Versioning.ENABLED),
    ],
)
def test_the_three_states_of_versioning(
    bucket: Bucket, stub: Stubber, answer: dict[str, Any], expected: Versioning
) -> None:
    stub.add_response("get_bucket_versioning", answer, {"Bucket": bucket.name})
    assert bucket.versioning() is expected


@pytest.mark.parametrize(
    ("conditions", "sent"),
    [
        ({}, {}),
        ({"only_if_absent": True}, {"IfNoneMatch": "*"}),
        ({"only_if_etag": '"e1"'}, {"IfMatch": '"e1"'}),
        (
            {"compliance_until": WHEN},
            {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": WHEN},
        ),
    ],
)
def test_a_put_is_checksummed_encrypted_at_rest_and_conditional(
    bucket: Bucket, stub: Stubber, conditions: dict[str, Any], sent: dict[str, Any]
) -> None:
    always = {
        "Bucket": bucket.name,
        "Key": KEY,
        "Body": BODY,
        "ContentType": "application/pgp-encrypted",
        "Metadata": {"a": "b"},
        "ServerSideEncryption": "AES256",
        "ChecksumSHA256": base64.b64encode(hashlib.sha256(BODY).digest()).decode(),
    }
    stub.add_response("put_object", {"ETag": '"e2"', "VersionId": "v2"}, {**always, **sent})
    receipt = put(bucket, **conditions)
    assert receipt == s3.Receipt(bucket.name, KEY, "v2", '"e2"', hashlib.sha256(BODY).hexdigest())


@pytest.mark.parametrize("answered", [{}, {"VersionId": "null"}, {"VersionId": ""}])
def test_a_bucket_without_versions_gives_no_version(bucket: Bucket, stub: Stubber, answered: dict[str, str]) -> None:
    stub.add_response("put_object", {"ETag": '"e"', **answered})
    assert put(bucket).version_id is None


def test_a_stored_object_is_described(bucket: Bucket, stub: Stubber) -> None:
    answer = {
        "ContentLength": 10,
        "ETag": '"e"',
        "LastModified": WHEN,
        "VersionId": "v1",
        "Metadata": {"Secret-Count": "7"},
    }
    stub.add_response("head_object", answer, {"Bucket": bucket.name, "Key": KEY, "VersionId": "v1"})
    assert bucket.head(KEY, version_id="v1") == s3.StoredObject(KEY, 10, '"e"', "v1", WHEN, {"secret-count": "7"})


def test_a_body_is_read_whole_at_its_version(bucket: Bucket, stub: Stubber) -> None:
    body = StreamingBody(io.BytesIO(BODY), len(BODY))
    stub.add_response("get_object", {"Body": body}, {"Bucket": bucket.name, "Key": KEY, "VersionId": "v1"})
    assert bucket.get(KEY, version_id="v1") == BODY


def test_a_body_that_stops_early_is_transient_and_never_short(bucket: Bucket, stub: Stubber) -> None:
    stub.add_response("get_object", {"Body": StreamingBody(io.BytesIO(BODY[:4]), len(BODY))})
    with pytest.raises(TransientError, match="IncompleteReadError"):
        bucket.get(KEY)


def test_a_list_is_read_to_its_last_page(bucket: Bucket, stub: Stubber) -> None:
    def row(key: str) -> dict[str, Any]:
        return {"Key": key, "Size": 1, "ETag": '"e"', "LastModified": WHEN}

    asked = {"Bucket": bucket.name, "Prefix": "vault-exports/"}
    first = {"Contents": [row("a"), row("b")], "IsTruncated": True, "NextContinuationToken": "next"}
    stub.add_response("list_objects_v2", first, asked)
    stub.add_response("list_objects_v2", {"Contents": [row("c")]}, {**asked, "ContinuationToken": "next"})
    assert [item.key for item in bucket.objects("vault-exports/")] == ["a", "b", "c"]
    stub.add_response("list_objects_v2", {}, asked)
    assert bucket.objects("vault-exports/") == []


def test_versions_and_delete_markers_come_newest_first(bucket: Bucket, stub: Stubber) -> None:
    def row(version: str, hour: int) -> dict[str, Any]:
        return {"Key": KEY, "VersionId": version, "LastModified": WHEN.replace(hour=hour), "IsLatest": version == "m"}

    pages: list[dict[str, Any]] = [
        {
            "Versions": [{**row("v2", 8), "Size": 2}],
            "DeleteMarkers": [row("m", 9)],
            "IsTruncated": True,
            "NextKeyMarker": KEY,
            "NextVersionIdMarker": "v2",
        },
        {"Versions": [{**row("v3", 10), "Size": 3}, {**row("v1", 7), "Size": 1}]},
    ]
    for page in pages:
        stub.add_response("list_object_versions", page)
    found = bucket.versions("vault-exports/")
    assert [version.version_id for version in found] == ["v3", "m", "v2", "v1"]
    assert found[1] == ObjectVersion(KEY, "m", 0, WHEN.replace(hour=9), is_latest=True, is_delete_marker=True)
    assert [version.size_bytes for version in found] == [3, 0, 2, 1]


def test_a_server_that_is_away_is_transient_and_no_secret_is_shown() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(TransientError, match="EndpointConnectionError") as caught:
        Bucket("raxx", client=make_client(url)).versioning()
    assert "rxs_" not in everything_shown(caught.value)


@pytest.fixture
def no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.mark.usefixtures("no_credentials")
def test_missing_credentials_are_wrong_use_of_the_machine() -> None:
    with pytest.raises(UsageError, match="no usable AWS credentials to read the versioning of bucket raxx"):
        Bucket("raxx", region="eu-central-1").versioning()


@pytest.mark.usefixtures("no_credentials")
def test_half_of_the_credentials_are_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    with pytest.raises(UsageError, match="PartialCredentialsError"):
        Bucket("raxx", region="eu-central-1").versioning()


@pytest.mark.usefixtures("no_credentials")
def test_an_unknown_profile_is_named() -> None:
    with pytest.raises(UsageError, match=r"The AWS profile second-account of vault_export\.second_copy"):
        Bucket("raxx", profile="second-account").versioning()


def test_making_a_bucket_connects_to_nothing() -> None:
    assert Bucket("raxx", profile="no-such-profile").name == "raxx"


def test_nothing_in_this_door_can_delete() -> None:
    methods = {name for name, _ in inspect.getmembers(Bucket, inspect.isfunction) if not name.startswith("_")}
    assert methods == {"versioning", "object_lock", "put", "head", "get", "stream", "keys", "objects", "versions"}
    tree = ast.parse(inspect.getsource(s3))
    called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names = called | {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} | vars(s3).keys()
    suspicious = {name for name in names if "delete" in name.lower() or "lifecycle" in name.lower()}
    assert suspicious <= {"is_delete_marker"}
    used_on_client = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "_client"
    }
    assert used_on_client - {"meta"} == {  # meta is what the client knows of itself
        "get_bucket_versioning",
        "get_object",
        "get_object_lock_configuration",
        "get_paginator",
        "head_object",
        "put_object",
    }
