"""The client for a bucket's settings: what is absent, denied or unknown, and the one switch. Answers are stubbed."""

from __future__ import annotations

import ast
import inspect
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from raxx_bcp.clients import s3_settings
from raxx_bcp.clients.s3 import ObjectVersion, Versioning
from raxx_bcp.clients.s3_settings import (
    BucketSettings,
    DefaultEncryption,
    LifecycleRule,
    MfaDelete,
    PublicAccessBlock,
    VersioningState,
)
from raxx_bcp.errors import BcpError, CouldNotVerifyError, CredentialsRefusedError, PermanentError, TransientError
from raxx_bcp_tests.clients.leaks import everything_shown

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

NAME = "raxx-iac-state-prod"
WHEN = datetime(2026, 2, 3, 7, 0, tzinfo=UTC)


def make_client(endpoint: str | None = None) -> S3Client:
    return boto3.client(
        "s3",
        region_name="eu-central-1",
        endpoint_url=endpoint,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="rxs_secret_access_key",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=2),
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
def settings(client: S3Client) -> BucketSettings:
    return BucketSettings(NAME, client)


READS: dict[str, Callable[[BucketSettings], object]] = {
    "get_bucket_versioning": lambda settings: settings.versioning(),
    "get_bucket_encryption": lambda settings: settings.default_encryption(),
    "get_public_access_block": lambda settings: settings.public_access_block(),
    "get_bucket_lifecycle_configuration": lambda settings: settings.lifecycle_rules(),
    "get_bucket_policy": lambda settings: settings.policy(),
    "list_object_versions": lambda settings: list(settings.object_versions()),
}


@pytest.mark.parametrize("operation", READS)
@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("AccessDenied", 403, CouldNotVerifyError),
        ("NotImplemented", 501, CouldNotVerifyError),
        ("SomethingNew", 501, CouldNotVerifyError),
        ("InvalidAccessKeyId", 403, CredentialsRefusedError),
        ("NoSuchBucket", 404, PermanentError),
        ("SlowDown", 503, TransientError),
    ],
)
def test_each_refusal_of_a_look_has_its_meaning(
    settings: BucketSettings, stub: Stubber, operation: str, code: str, status: int, kind: type[BcpError]
) -> None:
    stub.add_client_error(operation, service_error_code=code, service_message="rxs_detail", http_status_code=status)
    with pytest.raises(BcpError) as caught:
        READS[operation](settings)
    assert type(caught.value) is kind
    assert f"bucket {NAME} ({code})" in caught.value.what
    assert caught.value.remedy
    assert "rxs_" not in everything_shown(caught.value)


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("get_bucket_encryption", "ServerSideEncryptionConfigurationNotFoundError"),
        ("get_public_access_block", "NoSuchPublicAccessBlockConfiguration"),
        ("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration"),
        ("get_bucket_policy", "NoSuchBucketPolicy"),
    ],
)
def test_what_is_not_set_is_a_value_and_no_error(
    settings: BucketSettings, stub: Stubber, operation: str, code: str
) -> None:
    stub.add_client_error(operation, service_error_code=code, http_status_code=404)
    assert READS[operation](settings) is None


@pytest.mark.parametrize(
    ("answer", "versioning", "mfa_delete"),
    [
        ({}, Versioning.NEVER_ENABLED, MfaDelete.NEVER_CONFIGURED),
        ({"Status": "Enabled"}, Versioning.ENABLED, MfaDelete.NEVER_CONFIGURED),
        ({"Status": "Enabled", "MFADelete": "Enabled"}, Versioning.ENABLED, MfaDelete.ENABLED),
        ({"Status": "Suspended", "MFADelete": "Disabled"}, Versioning.SUSPENDED, MfaDelete.DISABLED),
    ],
)
def test_the_states_of_versioning_and_of_mfa_delete(
    settings: BucketSettings, stub: Stubber, answer: dict[str, str], versioning: Versioning, mfa_delete: MfaDelete
) -> None:
    stub.add_response("get_bucket_versioning", answer, {"Bucket": NAME})
    assert settings.versioning() == VersioningState(versioning, mfa_delete)


@pytest.mark.parametrize("answer", [{"Status": "On"}, {"Status": "Enabled", "MFADelete": "Perhaps"}])
def test_a_state_that_s3_does_not_have_is_unknown_and_not_off(
    settings: BucketSettings, stub: Stubber, answer: dict[str, str]
) -> None:
    stub.add_response("get_bucket_versioning", answer)
    with pytest.raises(CouldNotVerifyError, match="not a known answer"):
        settings.versioning()


def test_the_switch_is_one_call_that_says_enabled_and_nothing_else(settings: BucketSettings, stub: Stubber) -> None:
    sent = {"Bucket": NAME, "VersioningConfiguration": {"Status": "Enabled"}}
    stub.add_response("put_bucket_versioning", {}, sent)
    settings.enable_versioning()


def test_a_denied_switch_has_failed(settings: BucketSettings, stub: Stubber) -> None:
    stub.add_client_error("put_bucket_versioning", service_error_code="AccessDenied", http_status_code=403)
    with pytest.raises(PermanentError, match="S3 could not switch versioning on in bucket raxx-iac-state-prod"):
        settings.enable_versioning()


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}], DefaultEncryption("AES256")),
        (
            [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"}}],
            DefaultEncryption("aws:kms", "k"),
        ),
        ([{"BucketKeyEnabled": True}], None),
        ([], None),
    ],
)
def test_the_default_encryption(
    settings: BucketSettings, stub: Stubber, rules: list[Any], expected: DefaultEncryption | None
) -> None:
    stub.add_response("get_bucket_encryption", {"ServerSideEncryptionConfiguration": {"Rules": rules}})
    assert settings.default_encryption() == expected


def test_a_switch_of_the_public_access_block_that_is_not_mentioned_is_off(
    settings: BucketSettings, stub: Stubber
) -> None:
    answer = {"PublicAccessBlockConfiguration": {"BlockPublicAcls": True, "RestrictPublicBuckets": True}}
    stub.add_response("get_public_access_block", answer, {"Bucket": NAME})
    assert settings.public_access_block() == PublicAccessBlock(
        block_public_acls=True, ignore_public_acls=False, block_public_policy=False, restrict_public_buckets=True
    )


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (
            {"ID": "a", "Filter": {"Prefix": "x/"}, "NoncurrentVersionExpiration": {"NoncurrentDays": 90}},
            LifecycleRule("a", enabled=True, prefix="x/", narrowed=False, noncurrent_days=90),
        ),
        (
            {"Prefix": "old/", "Expiration": {"Days": 7}},
            LifecycleRule("", enabled=True, prefix="old/", narrowed=False, expires_after_days=7),
        ),
        (
            {"Filter": {"Tag": {"Key": "k", "Value": "v"}}, "Expiration": {"Date": WHEN}},
            LifecycleRule("", enabled=True, prefix="", narrowed=True, expires_on=WHEN),
        ),
        (
            {
                "Filter": {"And": {"Prefix": "y/", "ObjectSizeGreaterThan": 5}},
                "NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 20},
            },
            LifecycleRule("", enabled=True, prefix="y/", narrowed=True, noncurrent_days=1, noncurrent_kept=20),
        ),
        (
            {"Filter": {}, "Expiration": {"ExpiredObjectDeleteMarker": True}},
            LifecycleRule("", enabled=True, prefix="", narrowed=False),
        ),
        (
            {"Filter": {"Prefix": ""}, "Status": "Disabled", "Expiration": {"Days": 1}},
            LifecycleRule("", enabled=False, prefix="", narrowed=False, expires_after_days=1),
        ),
    ],
)
def test_lifecycle_rules_in_every_form_that_s3_has(
    settings: BucketSettings, stub: Stubber, written: dict[str, Any], expected: LifecycleRule
) -> None:
    stub.add_response("get_bucket_lifecycle_configuration", {"Rules": [{"Status": "Enabled", **written}]})
    assert settings.lifecycle_rules() == (expected,)


def test_removing_only_spent_delete_markers_does_not_expire_what_is_in_use() -> None:
    assert not LifecycleRule("", enabled=True, prefix="", narrowed=False).expires_current
    assert LifecycleRule("", enabled=True, prefix="", narrowed=False, expires_after_days=1).expires_current
    assert LifecycleRule("", enabled=True, prefix="", narrowed=False, expires_on=WHEN).expires_current


def test_the_policy_is_the_text_that_s3_keeps(settings: BucketSettings, stub: Stubber) -> None:
    stub.add_response("get_bucket_policy", {"Policy": '{"Statement": []}'}, {"Bucket": NAME})
    assert settings.policy() == '{"Statement": []}'


def test_versions_are_read_to_the_last_page(settings: BucketSettings, stub: Stubber) -> None:
    first = {"Key": "a", "VersionId": "2", "Size": 5, "LastModified": WHEN, "IsLatest": False}
    marker = {"Key": "a", "VersionId": "3", "LastModified": WHEN, "IsLatest": True}
    page = {
        "Versions": [first],
        "DeleteMarkers": [marker],
        "IsTruncated": True,
        "NextKeyMarker": "a",
        "NextVersionIdMarker": "2",
    }
    stub.add_response("list_object_versions", page, {"Bucket": NAME})
    asked = {"Bucket": NAME, "KeyMarker": "a", "VersionIdMarker": "2"}
    stub.add_response("list_object_versions", {"Versions": [{**first, "VersionId": "1"}]}, asked)
    assert list(settings.object_versions()) == [
        ObjectVersion("a", "2", 5, WHEN, is_latest=False, is_delete_marker=False),
        ObjectVersion("a", "3", 0, WHEN, is_latest=True, is_delete_marker=True),
        ObjectVersion("a", "1", 5, WHEN, is_latest=False, is_delete_marker=False),
    ]


def test_a_page_that_is_refused_in_the_middle_is_no_end_of_the_list(settings: BucketSettings, stub: Stubber) -> None:
    page = {"IsTruncated": True, "NextKeyMarker": "a", "NextVersionIdMarker": "2"}
    stub.add_response("list_object_versions", page)
    stub.add_client_error("list_object_versions", service_error_code="SlowDown", http_status_code=503)
    with pytest.raises(TransientError):
        list(settings.object_versions())


def test_a_server_that_is_away_is_transient_and_no_secret_is_shown() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    settings = BucketSettings(NAME, make_client(url))
    for read in READS.values():
        with pytest.raises(TransientError, match="EndpointConnectionError") as caught:
            read(settings)
        assert "rxs_" not in everything_shown(caught.value)


def test_making_it_connects_to_nothing() -> None:
    assert BucketSettings(NAME).name == NAME


def test_nothing_in_this_door_can_delete_or_switch_off() -> None:
    methods = {name for name, _ in inspect.getmembers(BucketSettings, inspect.isfunction) if not name.startswith("_")}
    assert methods == {
        "default_encryption",
        "enable_versioning",
        "lifecycle_rules",
        "object_versions",
        "policy",
        "public_access_block",
        "versioning",
    }
    tree = ast.parse(inspect.getsource(s3_settings))
    called = {
        node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    on_s3 = {name for name in called if hasattr(make_client(), name)}
    assert on_s3 == {
        "get_bucket_encryption",
        "get_bucket_lifecycle_configuration",
        "get_bucket_policy",
        "get_bucket_versioning",
        "get_paginator",
        "get_public_access_block",
        "put_bucket_versioning",
    }
