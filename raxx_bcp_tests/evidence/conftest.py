"""The ledger's three homes on the sandbox's real S3: with kept versions, without, and with Object Lock."""

from __future__ import annotations

import uuid

import boto3
import pytest

from raxx_bcp.evidence.ledger import Ledger
from raxx_bcp_sandbox.parts.s3 import SECOND_COPY_BUCKET, STATE_BUCKET
from raxx_bcp_tests.evidence.world import plain_ledger

NO_VERSIONS = f"evidence-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def ledger(sandbox_environ: dict[str, str]) -> Ledger:
    """An empty ledger in the state bucket, which keeps versions."""
    return plain_ledger(STATE_BUCKET)


@pytest.fixture
def plain(sandbox_environ: dict[str, str]) -> Ledger:
    """An empty ledger in a bucket that keeps no versions: only the chain and ``HEAD.json`` stand there."""
    s3 = boto3.client("s3")
    if NO_VERSIONS not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=NO_VERSIONS)
    return plain_ledger(NO_VERSIONS)


@pytest.fixture
def locked(sandbox_environ: dict[str, str]) -> Ledger:
    """An empty ledger whose rows are locked for a day."""
    return plain_ledger(SECOND_COPY_BUCKET, retention_days=1)
