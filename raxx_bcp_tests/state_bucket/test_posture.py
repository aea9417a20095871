"""The posture of a real bucket, healthy and broken; one closed client does not hide what is behind the others."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest
from botocore.stub import Stubber

from raxx_bcp.checks import Check, Status
from raxx_bcp.clients.s3_settings import BucketSettings
from raxx_bcp.errors import BcpError, PermanentError, TransientError
from raxx_bcp.policy import Policy, StateBucket
from raxx_bcp.state_bucket.posture import BLOCKING, CHECK_NAMES, Posture, examine
from raxx_bcp_sandbox.parts.s3 import TERRAFORM_ROLES
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.conftest import NOW
from raxx_bcp_tests.state_bucket.conftest import BUCKET, deny, impatient_client, put_policy

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

HEALTHY_SANDBOX = {
    "versioning": Status.PASS,
    "mfa_delete": Status.WARN,
    "default_encryption": Status.PASS,
    "public_access_block": Status.COULD_NOT_VERIFY,
    "noncurrent_lifecycle": Status.PASS,
    "tls_only": Status.WARN,
    "terraform_cannot_read_exports": Status.PASS,
}
UNREAD = Status.COULD_NOT_VERIFY
LINE_OF_ACTION = {
    "s3:GetBucketVersioning": ("versioning", "mfa_delete"),
    "s3:GetEncryptionConfiguration": ("default_encryption",),
    "s3:GetBucketPublicAccessBlock": ("public_access_block",),
    "s3:GetLifecycleConfiguration": ("noncurrent_lifecycle",),
    "s3:GetBucketPolicy": ("tls_only", "terraform_cannot_read_exports"),
    "s3:ListBucketVersions": (),
}


def statuses(posture: Posture) -> dict[str, Status]:
    return {check.name: check.status for check in posture.checks}


def line(posture: Posture, name: str) -> Check:
    (found,) = [check for check in posture.checks if check.name == name]
    return found


def test_the_sandbox_is_as_healthy_as_a_server_without_tls_mfa_and_access_block_can_be(
    shipped: Policy, settings: BucketSettings
) -> None:
    posture = examine(settings, shipped, NOW)
    assert statuses(posture) == HEALTHY_SANDBOX
    assert tuple(statuses(posture)) == CHECK_NAMES
    assert posture.status is Status.WARN
    assert "NotImplemented" in line(posture, "public_access_block").detail, "unknown to the server is not off"
    assert "beside lifecycle rules" in line(posture, "mfa_delete").detail
    counts = {one.key: one.prior_version_count for one in posture.state_files}
    assert (counts["raxx-app/terraform.tfstate"], counts["raxx-dns/terraform.tfstate"]) == (3, 2)
    assert posture.state_files_unknown == ""


def test_what_it_says_for_machines(shipped: Policy, settings: BucketSettings) -> None:
    said = examine(settings, shipped, NOW).as_dict()
    assert (said["ok"], said["status"], said["bucket"]) == (True, "WARN", BUCKET)
    assert said["examined_utc"] == "2031-03-14T09:00:00Z"
    assert said["open_finding_count"] == 3
    assert said["prior_version_count"] >= 5
    assert [check["name"] for check in said["checks"]] == list(CHECK_NAMES)


@pytest.mark.parametrize(
    ("fault", "changed"),
    [
        ("bucket-versioning-off", {"versioning": Status.FAIL}),
        ("terraform-reads-exports", {"terraform_cannot_read_exports": Status.FAIL}),
    ],
)
def test_each_fault_is_seen_and_gone_when_it_is_mended(
    shipped: Policy, settings: BucketSettings, breakable_sandbox: Sandbox, fault: str, changed: dict[str, Status]
) -> None:
    breakable_sandbox.break_(fault)
    broken = examine(settings, shipped, NOW)
    assert statuses(broken) == {**HEALTHY_SANDBOX, **changed}
    assert broken.status is Status.FAIL
    breakable_sandbox.mend(fault)
    assert statuses(examine(settings, shipped, NOW)) == HEALTHY_SANDBOX


def test_denied_is_unknown_line_by_line_and_survives_a_restart(
    shipped: Policy, settings: BucketSettings, breakable_sandbox: Sandbox
) -> None:
    breakable_sandbox.break_("state-bucket-denied")
    unread = ("versioning", "mfa_delete", "default_encryption", "public_access_block", "noncurrent_lifecycle")
    expected = {**HEALTHY_SANDBOX, **dict.fromkeys(unread, UNREAD)}
    for restarted in (False, True):
        if restarted:
            breakable_sandbox.up()
        posture = examine(settings, shipped, NOW)
        assert statuses(posture) == expected
        assert posture.status is UNREAD, "versioning that cannot be read is not a pass"
        assert posture.state_files == ()
        assert "could not list the versions in bucket raxx-iac-state-prod (AccessDenied)" in posture.state_files_unknown
    breakable_sandbox.mend("state-bucket-denied")
    assert statuses(examine(settings, shipped, NOW)) == HEALTHY_SANDBOX


@pytest.mark.parametrize("action", LINE_OF_ACTION)
def test_one_denied_look_closes_only_its_own_lines(
    shipped: Policy,
    settings: BucketSettings,
    operator: S3Client,
    bucket_policy: list[dict[str, Any]],
    action: str,
) -> None:
    put_policy(operator, [*bucket_policy, deny("OneLook", action)])
    posture = examine(settings, shipped, NOW)
    assert statuses(posture) == {**HEALTHY_SANDBOX, **dict.fromkeys(LINE_OF_ACTION[action], UNREAD)}
    assert (posture.state_files == ()) is (action == "s3:ListBucketVersions")
    assert (posture.status is UNREAD) is (action == "s3:GetBucketVersioning"), "only the blocking line decides"
    for name in LINE_OF_ACTION[action]:
        assert "(AccessDenied)" in line(posture, name).detail
        assert "deploy/iam/" in line(posture, name).remedy


def test_roles_that_nobody_named_cannot_be_judged(shipped: Policy, settings: BucketSettings) -> None:
    nameless = shipped.state_bucket.model_copy(update={"terraform_role_arns": ()})
    posture = examine(settings, shipped.model_copy(update={"state_bucket": nameless}), NOW)
    assert line(posture, "terraform_cannot_read_exports").status is UNREAD
    assert "state_bucket.terraform_role_arns" in line(posture, "terraform_cannot_read_exports").remedy


def test_a_new_pipeline_s_role_is_named_until_the_bucket_s_policy_knows_it(
    shipped: Policy, settings: BucketSettings
) -> None:
    roles = (*TERRAFORM_ROLES, "arn:aws:iam::123456789012:role/raxx-new-pipeline")
    more = shipped.state_bucket.model_copy(update={"terraform_role_arns": roles})
    found = line(
        examine(settings, shipped.model_copy(update={"state_bucket": more}), NOW), "terraform_cannot_read_exports"
    )
    assert found.status is Status.FAIL
    assert "keeps raxx-new-pipeline from reading vault-exports/*" in found.detail


STUBBED = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "x"}


def test_an_aws_bucket_with_all_that_seaweedfs_lacks_passes_everywhere() -> None:
    """In the order in which the lines are read; the answers are S3's own, by botocore's model."""
    client = impatient_client("http://127.0.0.1:9", STUBBED)
    roles = ("arn:aws:iam::123456789012:role/t",)
    arn = f"arn:aws:s3:::{BUCKET}"
    document = {
        "Statement": [
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [arn, f"{arn}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
            {"Effect": "Deny", "Principal": {"AWS": roles}, "Action": "s3:Get*", "Resource": f"{arn}/vault-exports/*"},
        ]
    }
    on = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    default = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"}}]}
    with Stubber(client) as stub:
        stub.add_response("get_bucket_versioning", {"Status": "Enabled", "MFADelete": "Enabled"})
        stub.add_client_error("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration", "", 404)
        stub.add_response("get_bucket_policy", {"Policy": json.dumps(document)})
        stub.add_response("list_object_versions", {})
        stub.add_response("get_bucket_encryption", {"ServerSideEncryptionConfiguration": default})
        stub.add_response("get_public_access_block", {"PublicAccessBlockConfiguration": dict.fromkeys(on, True)})
        policy = Policy(state_bucket=StateBucket(name=BUCKET, terraform_role_arns=roles))
        posture = examine(BucketSettings(BUCKET, client), policy, NOW)
        stub.assert_no_pending_responses()
    assert statuses(posture) == dict.fromkeys(CHECK_NAMES, Status.PASS)
    assert posture.status is Status.PASS
    assert posture.open_findings == ()


def test_a_policy_that_is_no_policy_closes_only_its_own_lines() -> None:
    client = impatient_client("http://127.0.0.1:9", STUBBED)
    with Stubber(client) as stub:
        stub.add_response("get_bucket_versioning", {"Status": "Enabled"})
        stub.add_client_error("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration", "", 404)
        stub.add_response("get_bucket_policy", {"Policy": "<html>"})
        stub.add_response("list_object_versions", {})
        stub.add_client_error("get_bucket_encryption", "ServerSideEncryptionConfigurationNotFoundError", "", 404)
        stub.add_client_error("get_public_access_block", "NoSuchPublicAccessBlockConfiguration", "", 404)
        policy = Policy(state_bucket=StateBucket(name=BUCKET, terraform_role_arns=TERRAFORM_ROLES))
        posture = examine(BucketSettings(BUCKET, client), policy, NOW)
    assert statuses(posture) == {
        "versioning": Status.PASS,
        "mfa_delete": Status.WARN,
        "default_encryption": Status.WARN,
        "public_access_block": Status.WARN,
        "noncurrent_lifecycle": Status.WARN,
        "tls_only": UNREAD,
        "terraform_cannot_read_exports": UNREAD,
    }
    assert "lifecycle" not in line(posture, "mfa_delete").detail, "no rules, no conflict"


def test_only_versioning_stops_the_run() -> None:
    assert {"versioning"} == BLOCKING


def failing(settings: BucketSettings, kind: type[BcpError]) -> BcpError:
    with pytest.raises(BcpError) as caught:
        examine(settings, Policy(), NOW)
    assert type(caught.value) is kind
    return caught.value


def test_when_s3_is_away_there_is_no_posture_and_it_may_be_tried_again() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    failing(BucketSettings(BUCKET, impatient_client(url, STUBBED)), TransientError)


def test_when_s3_fails_in_the_middle_it_may_be_tried_again() -> None:
    client = impatient_client("http://127.0.0.1:9", STUBBED)
    with Stubber(client) as stub:
        stub.add_response("get_bucket_versioning", {"Status": "Enabled"})
        stub.add_client_error("get_bucket_lifecycle_configuration", "SlowDown", "", 503)
        failing(BucketSettings(BUCKET, client), TransientError)


def test_a_bucket_that_is_not_there_is_an_error_and_no_posture(operator: S3Client) -> None:
    error = failing(BucketSettings("raxx-no-such-bucket", operator), PermanentError)
    assert "state_bucket.name" in error.remedy
