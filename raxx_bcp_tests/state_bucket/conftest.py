"""The sandbox's state bucket as it was seeded, and the policy that is shipped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from raxx_bcp.clients.s3_settings import BucketSettings
from raxx_bcp.policy import Policy, load_policy
from raxx_bcp_sandbox.parts import s3
from raxx_bcp_sandbox.supervisor import Sandbox

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

BUCKET = s3.STATE_BUCKET


@pytest.fixture
def operator(sandbox_environ: dict[str, str]) -> S3Client:
    """A client without patience, for arranging and for counting what goes over the wire."""
    return impatient_client(sandbox_environ["AWS_ENDPOINT_URL_S3"], sandbox_environ)


@pytest.fixture
def shipped(sandbox: Sandbox, sandbox_environ: dict[str, str], operator: S3Client) -> Policy:
    """The shipped policy, on a bucket that has its own policy again: another test may have taken it away."""
    try:
        operator.get_bucket_policy(Bucket=BUCKET)
    except ClientError:
        s3.PART.fill(s3.PART.place(sandbox.directory, sandbox.status().part("s3").ports, sandbox.credentials()))
    return load_policy(environ=sandbox_environ)


@pytest.fixture
def settings(shipped: Policy, operator: S3Client) -> BucketSettings:
    """The sandbox's bucket through ``operator``."""
    return BucketSettings(BUCKET, operator)


@pytest.fixture
def bucket_policy(operator: S3Client) -> Iterator[list[dict[str, Any]]]:
    """The statements of the bucket's policy; whatever a test puts there is replaced by them afterwards."""
    before = operator.get_bucket_policy(Bucket=BUCKET)["Policy"]
    yield list(json.loads(before)["Statement"])
    operator.put_bucket_policy(Bucket=BUCKET, Policy=before)


def impatient_client(endpoint: str, credentials: dict[str, str]) -> S3Client:
    """One attempt for each call."""
    retries: Any = {"total_max_attempts": 1}
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=s3.REGION,
        aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries=retries),
    )


def deny(sid: str, *actions: str) -> dict[str, Any]:
    """A statement that denies ``actions`` on the bucket to everybody."""
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": list(actions),
        "Resource": f"arn:aws:s3:::{BUCKET}",
    }


def put_policy(client: S3Client, statements: list[dict[str, Any]]) -> None:
    """Make ``statements`` the bucket's policy."""
    client.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
