"""The S3 part, judged by boto3: what is in it, who may do what, how it breaks, and that it forgets nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError

from raxx_bcp.errors import UsageError
from raxx_bcp_sandbox import processes
from raxx_bcp_sandbox.part import Place
from raxx_bcp_sandbox.parts import s3
from raxx_bcp_sandbox.parts.s3_identities import EXPORTS_PREFIX
from raxx_bcp_sandbox.report import Condition
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_sandbox.waiting import Clock
from raxx_bcp_tests.sandbox.conftest import MakeSandbox, kill

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

BUCKET = s3.STATE_BUCKET
EXPORT = f"{EXPORTS_PREFIX}2026-01-01.json.gpg"


def connect(local: Sandbox, key: str, secret: str) -> S3Client:
    """A client with its own credentials and without patience."""
    retries: Any = {"total_max_attempts": 1}
    return boto3.client(
        "s3",
        endpoint_url=local.environment()["AWS_ENDPOINT_URL_S3"],
        region_name=s3.REGION,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries=retries),
    )


def as_operator(local: Sandbox) -> S3Client:
    """With the credentials that ``sandbox env`` hands out."""
    environment = local.environment()
    return connect(local, environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])


def as_exporter(local: Sandbox) -> S3Client:
    """With the least privilege that the vault export needs."""
    credentials = local.credentials()
    return connect(local, credentials[s3.EXPORTER_ID], credentials[s3.EXPORTER_SECRET])


def refused(error: pytest.ExceptionInfo[ClientError]) -> tuple[int, str]:
    """The status and the code that S3 refused with."""
    answer = error.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


@pytest.fixture
def operator(sandbox: Sandbox) -> S3Client:
    return as_operator(sandbox)


@pytest.fixture
def exporter(sandbox: Sandbox) -> S3Client:
    return as_exporter(sandbox)


class TestWhatIsInIt:
    def test_terraform_states_have_versions_to_go_back_to(self, operator: S3Client) -> None:
        assert operator.get_bucket_versioning(Bucket=BUCKET).get("Status") == "Enabled"
        listed = operator.list_object_versions(Bucket=BUCKET, Prefix="raxx-app/terraform.tfstate")["Versions"]
        serials = [
            json.loads(operator.get_object(Bucket=BUCKET, Key=each["Key"], VersionId=each["VersionId"])["Body"].read())
            for each in listed
        ]
        assert [state["serial"] for state in serials] == [4, 3, 2, 1]
        assert listed[0]["IsLatest"]

    def test_the_second_bucket_has_object_lock(self, operator: S3Client) -> None:
        lock = operator.get_object_lock_configuration(Bucket=s3.SECOND_COPY_BUCKET)
        assert lock["ObjectLockConfiguration"]["ObjectLockEnabled"] == "Enabled"

    def test_the_receipt_of_an_upload_holds_version_checksum_and_encryption(self, operator: S3Client) -> None:
        body = b"-----BEGIN PGP MESSAGE-----"
        checksum = base64.b64encode(hashlib.sha256(body).digest()).decode()
        receipt = operator.put_object(
            Bucket=BUCKET,
            Key=f"{EXPORTS_PREFIX}receipt",
            Body=body,
            ChecksumSHA256=checksum,
            ServerSideEncryption="AES256",
            IfNoneMatch="*",
            Metadata={"run": "1"},
        )
        head = operator.head_object(Bucket=BUCKET, Key=f"{EXPORTS_PREFIX}receipt", ChecksumMode="ENABLED")
        for answer in (receipt, head):
            assert answer["ChecksumSHA256"] == checksum
            assert answer["ServerSideEncryption"] == "AES256"
            assert answer["VersionId"] == receipt["VersionId"]
        assert head["Metadata"] == {"run": "1"}

    def test_conditional_writes_refuse_an_overwrite(self, operator: S3Client) -> None:
        key = f"{EXPORTS_PREFIX}conditional"
        first = operator.put_object(Bucket=BUCKET, Key=key, Body=b"1", IfNoneMatch="*")
        with pytest.raises(ClientError) as error:
            operator.put_object(Bucket=BUCKET, Key=key, Body=b"2", IfNoneMatch="*")
        assert refused(error) == (412, "PreconditionFailed")
        operator.put_object(Bucket=BUCKET, Key=key, Body=b"3", IfMatch=first["ETag"])
        with pytest.raises(ClientError) as error:
            operator.put_object(Bucket=BUCKET, Key=key, Body=b"4", IfMatch=first["ETag"])
        assert refused(error) == (412, "PreconditionFailed")

    def test_a_bucket_that_does_not_exist_is_not_made_by_writing(self, operator: S3Client) -> None:
        with pytest.raises(ClientError) as error:
            operator.put_object(Bucket="no-such-bucket", Key="x", Body=b"")
        assert refused(error) == (404, "NoSuchBucket")


class TestWhoMayDoWhat:
    def test_the_exporter_can_do_its_work(self, exporter: S3Client) -> None:
        for bucket in (BUCKET, s3.SECOND_COPY_BUCKET):
            exporter.put_object(Bucket=bucket, Key=EXPORT, Body=b"x")
            assert exporter.head_object(Bucket=bucket, Key=EXPORT)["ContentLength"] == 1
            assert exporter.list_objects_v2(Bucket=bucket, Prefix=EXPORTS_PREFIX)["KeyCount"] >= 1
            assert exporter.get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled"

    def test_the_exporter_can_do_nothing_else(self, exporter: S3Client) -> None:
        state = "raxx-app/terraform.tfstate"
        attempts: list[Callable[[], object]] = [
            lambda: exporter.get_object(Bucket=BUCKET, Key=state),
            lambda: exporter.head_object(Bucket=BUCKET, Key=state),
            lambda: exporter.put_object(Bucket=BUCKET, Key=state, Body=b""),
            lambda: exporter.delete_object(Bucket=BUCKET, Key=EXPORT),
            lambda: exporter.list_objects_v2(Bucket=BUCKET),
            lambda: exporter.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"}),
            lambda: exporter.put_bucket_policy(Bucket=BUCKET, Policy="{}"),
        ]
        for attempt in attempts:
            with pytest.raises(ClientError) as error:
                attempt()
            assert refused(error)[0] == 403

    def test_a_wrong_secret_is_refused(self, sandbox: Sandbox) -> None:
        with pytest.raises(ClientError) as error:
            connect(sandbox, sandbox.environment()["AWS_ACCESS_KEY_ID"], "wrong").list_buckets()
        assert refused(error) == (403, "SignatureDoesNotMatch")


class TestFaults:
    def test_denied(self, breakable_sandbox: Sandbox, operator: S3Client, exporter: S3Client) -> None:
        mine = {"Sid": "Mine", "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject"}
        policy = {"Version": "2012-10-17", "Statement": [{**mine, "Resource": f"arn:aws:s3:::{BUCKET}/none/*"}]}
        before = operator.get_bucket_policy(Bucket=BUCKET)["Policy"]
        operator.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))
        breakable_sandbox.break_("s3-denied")
        breakable_sandbox.break_("s3-denied")
        for client in (operator, exporter):
            with pytest.raises(ClientError) as error:
                client.put_object(Bucket=BUCKET, Key=EXPORT, Body=b"x")
            assert refused(error) == (403, "AccessDenied")
        operator.put_object(Bucket=BUCKET, Key="other", Body=b"x")
        breakable_sandbox.mend("s3-denied")
        exporter.put_object(Bucket=BUCKET, Key=EXPORT, Body=b"x")
        left = json.loads(operator.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]
        assert [statement["Sid"] for statement in left] == ["Mine"]
        operator.put_bucket_policy(Bucket=BUCKET, Policy=before)

    def test_versioning_off(self, breakable_sandbox: Sandbox, operator: S3Client) -> None:
        breakable_sandbox.break_("bucket-versioning-off")
        assert operator.get_bucket_versioning(Bucket=BUCKET).get("Status") == "Suspended"
        breakable_sandbox.up()
        assert operator.get_bucket_versioning(Bucket=BUCKET).get("Status") == "Suspended"
        breakable_sandbox.mend("bucket-versioning-off")
        assert operator.get_bucket_versioning(Bucket=BUCKET).get("Status") == "Enabled"

    def test_down(self, breakable_sandbox: Sandbox, operator: S3Client) -> None:
        breakable_sandbox.break_("s3-down")
        with pytest.raises(EndpointConnectionError):
            operator.list_buckets()
        assert breakable_sandbox.up().part("s3").state is Condition.KEPT_DOWN
        assert not breakable_sandbox.status().healthy
        assert breakable_sandbox.environment()["AWS_ENDPOINT_URL_S3"]
        with pytest.raises(UsageError, match="s3 is kept down by s3-down, so s3-denied cannot be switched"):
            breakable_sandbox.break_("s3-denied")
        breakable_sandbox.mend("s3-down")
        assert operator.list_buckets()["Buckets"]


class TestKilling:
    def test_nothing_is_lost_also_with_new_ports_and_credentials(self, make: MakeSandbox) -> None:
        local = make([s3.PART])
        before = local.up().part("s3")
        assert before.pid is not None
        version = as_operator(local).put_object(Bucket=BUCKET, Key=EXPORT, Body=b"kept")["VersionId"]
        old = local.environment()
        pid = before.pid
        kill(pid)
        assert Clock().until(lambda: not processes.exists(pid), 5)
        (local.directory / "state.json").unlink()
        s3.PART.tidy(Place(local.directory, "s3", before.ports))  # nothing else remembers these ports now
        local = make([s3.PART])
        local.up()
        kept = as_operator(local).get_object(Bucket=BUCKET, Key=EXPORT, VersionId=version)
        assert kept["Body"].read() == b"kept"
        assert local.environment()["AWS_ENDPOINT_URL_S3"] != old["AWS_ENDPOINT_URL_S3"]
        with pytest.raises(ClientError):
            connect(local, old["AWS_ACCESS_KEY_ID"], old["AWS_SECRET_ACCESS_KEY"]).list_buckets()

    def test_the_operators_aws_setup_is_not_asked(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_PROFILE", "production")
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        assert sandbox.up().healthy
