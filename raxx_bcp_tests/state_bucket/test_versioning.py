"""The one switch: what it does over the wire, what it refuses, and that it does nothing twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.stub import Stubber

from raxx_bcp.clients.s3 import Versioning
from raxx_bcp.clients.s3_settings import BucketSettings
from raxx_bcp.errors import BcpError, CouldNotVerifyError, PermanentError, UsageError
from raxx_bcp.state_bucket.versioning import enable_versioning
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.state_bucket.conftest import BUCKET, impatient_client

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

NOBODY = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "x"}


def wire(client: S3Client) -> list[str]:
    """The operations that ``client`` sends from now on, in order, with what a write says."""
    sent: list[str] = []

    def remember(model: Any, params: dict[str, Any], **_: Any) -> None:
        body = params.get("body") or b""
        sent.append(f"{model.name} {bytes(body).decode()}".strip() if body else model.name)

    client.meta.events.register("before-call.s3", remember)
    return sent


def test_it_is_switched_on_with_three_calls_and_read_back(
    breakable_sandbox: Sandbox, operator: S3Client, settings: BucketSettings
) -> None:
    breakable_sandbox.break_("bucket-versioning-off")
    sent, said = wire(operator), list[str]()
    enabled = enable_versioning(settings, BUCKET, said.append)
    assert enabled.changed
    assert enabled.before is Versioning.SUSPENDED
    assert [call.split()[0] for call in sent] == ["GetBucketVersioning", "PutBucketVersioning", "GetBucketVersioning"]
    assert "<Status>Enabled</Status>" in sent[1]
    assert "MfaDelete" not in sent[1]
    assert operator.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    assert "Before: versioning of bucket raxx-iac-state-prod is Suspended" in said[0]
    assert "After: versioning of bucket raxx-iac-state-prod is Enabled." in said[-1]
    assert "15 minutes" in enabled.text()


def test_where_it_is_on_already_nothing_is_written(operator: S3Client, settings: BucketSettings) -> None:
    sent = wire(operator)
    enabled = enable_versioning(settings, BUCKET)
    assert not enabled.changed
    assert sent == ["GetBucketVersioning"]
    assert "nothing was changed" in enabled.text()


@pytest.mark.parametrize("typed", ["", "yes", BUCKET.upper(), f" {BUCKET}", f"{BUCKET}-2", "*"])
def test_without_the_bucket_s_name_nothing_is_even_asked(
    operator: S3Client, settings: BucketSettings, typed: str
) -> None:
    sent = wire(operator)
    with pytest.raises(UsageError, match="Nothing was changed: the confirmation is not the name of the bucket"):
        enable_versioning(settings, typed)
    assert sent == []


def stubbed(*answers: dict[str, str] | str) -> tuple[BucketSettings, Stubber]:
    """``{}`` and the like answer GetBucketVersioning; ``put`` accepts the switch and ``denied`` refuses it."""
    client = impatient_client("http://127.0.0.1:9", NOBODY)
    stub = Stubber(client)
    for answer in answers:
        if isinstance(answer, dict):
            stub.add_response("get_bucket_versioning", answer)
        elif answer == "put":
            stub.add_response("put_bucket_versioning", {})
        else:
            stub.add_client_error("put_bucket_versioning", service_error_code="AccessDenied", http_status_code=403)
    stub.activate()
    return BucketSettings(BUCKET, client), stub


def refused(kind: type[BcpError], *answers: dict[str, str] | str) -> BcpError:
    settings, stub = stubbed(*answers)
    with pytest.raises(kind) as caught:
        enable_versioning(settings, BUCKET)
    stub.assert_no_pending_responses()
    return caught.value


def test_a_bucket_that_never_had_versions_is_switched_on() -> None:
    settings, stub = stubbed({}, "put", {"Status": "Enabled"})
    assert enable_versioning(settings, BUCKET).before is Versioning.NEVER_ENABLED
    stub.assert_no_pending_responses()


def test_under_mfa_delete_it_is_left_to_the_root_user() -> None:
    error = refused(PermanentError, {"Status": "Suspended", "MFADelete": "Enabled"})
    assert "MFA delete is on: only the root user" in error.what
    assert "--versioning-configuration Status=Enabled,MFADelete=Enabled --mfa" in error.remedy


def test_what_s3_does_not_confirm_is_not_called_done() -> None:
    error = refused(CouldNotVerifyError, {}, "put", {"Status": "Suspended"})
    assert "still says that versioning of bucket raxx-iac-state-prod is Suspended" in error.what


def test_a_denied_switch_has_failed() -> None:
    assert "AccessDenied" in refused(PermanentError, {}, "denied").what
