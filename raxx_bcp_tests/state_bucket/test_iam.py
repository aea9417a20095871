"""The shipped rights are enough for the posture and for the switch, and for nothing else: tried on a real server."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from raxx_bcp.clients.s3_settings import BucketSettings
from raxx_bcp.policy import Policy
from raxx_bcp.state_bucket.posture import examine
from raxx_bcp.state_bucket.versioning import enable_versioning
from raxx_bcp_sandbox.part import Place
from raxx_bcp_sandbox.parts import s3
from raxx_bcp_sandbox.parts.s3_identities import EXPORTS_PREFIX
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.conftest import NOW
from raxx_bcp_tests.state_bucket.conftest import BUCKET, impatient_client

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

SHIPPED = Path(__file__).resolve().parent.parent.parent / "deploy" / "iam" / "state-bucket-keeper-policy.json"
KEEPER = {"AWS_ACCESS_KEY_ID": "AKIAKEEPERKEEPERKEEP", "AWS_SECRET_ACCESS_KEY": "kept-in-this-test-only"}


def statements() -> list[dict[str, Any]]:
    return list(json.loads(SHIPPED.read_text())["Statement"])


def _prepare(place: Place) -> None:
    """The sandbox's S3 with one more identity, which has exactly the shipped policy."""
    s3.PART.prepare(place)
    path = place.directory / "identities.json"
    known = json.loads(path.read_text())
    secret = {"accessKey": KEEPER["AWS_ACCESS_KEY_ID"], "secretKey": KEEPER["AWS_SECRET_ACCESS_KEY"]}
    known["identities"].append({"name": "keeper", "credentials": [secret], "policyNames": ["keeper"]})
    known["policies"].append({"name": "keeper", "content": SHIPPED.read_text()})
    path.write_text(json.dumps(known))


@pytest.fixture(scope="module")
def environ() -> Iterator[dict[str, str]]:
    home = Path(tempfile.mkdtemp(prefix="raxx-"))
    local = Sandbox(home / "s", parts=[replace(s3.PART, prepare=_prepare)], any_ports=True)
    try:
        local.up()
        yield local.environment()
    finally:
        local.down(purge=(home / "s").exists())
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def operator(environ: dict[str, str]) -> S3Client:
    return impatient_client(environ["AWS_ENDPOINT_URL_S3"], environ)


@pytest.fixture
def keeper(environ: dict[str, str]) -> S3Client:
    return impatient_client(environ["AWS_ENDPOINT_URL_S3"], KEEPER)


def test_the_keeper_sees_what_an_administrator_sees(operator: S3Client, keeper: S3Client) -> None:
    seen = examine(BucketSettings(BUCKET, keeper), Policy(), NOW)
    assert seen == examine(BucketSettings(BUCKET, operator), Policy(), NOW)
    assert not any("AccessDenied" in check.detail for check in seen.checks)
    assert len(seen.state_files) == 2


def test_the_keeper_can_switch_versioning_on(operator: S3Client, keeper: S3Client) -> None:
    operator.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    assert enable_versioning(BucketSettings(BUCKET, keeper), BUCKET).changed


def test_the_keeper_can_do_nothing_else(operator: S3Client, keeper: S3Client) -> None:
    export, state = f"{EXPORTS_PREFIX}2031-03-14.json.gpg", "raxx-app/terraform.tfstate"
    operator.put_object(Bucket=BUCKET, Key=export, Body=b"x")
    attempts: list[Callable[[], object]] = [
        lambda: keeper.get_object(Bucket=BUCKET, Key=state),
        lambda: keeper.get_object(Bucket=BUCKET, Key=export),
        lambda: keeper.put_object(Bucket=BUCKET, Key=state, Body=b""),
        lambda: keeper.delete_object(Bucket=BUCKET, Key=state),
        lambda: keeper.put_bucket_policy(Bucket=BUCKET, Policy="{}"),
        lambda: keeper.delete_bucket_policy(Bucket=BUCKET),
        lambda: keeper.delete_bucket_lifecycle(Bucket=BUCKET),
    ]
    for attempt in attempts:
        with pytest.raises(ClientError) as error:
            attempt()
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_the_rights_are_named_one_by_one_and_only_for_the_bucket_itself() -> None:
    actions = [action for statement in statements() for action in statement["Action"]]
    assert {statement["Effect"] for statement in statements()} == {"Allow"}
    assert {statement["Resource"] for statement in statements()} == {f"arn:aws:s3:::{BUCKET}"}
    assert not [action for action in actions if "*" in action or "Delete" in action or "Object" in action]
    assert [action for action in actions if action.startswith("s3:Put")] == ["s3:PutBucketVersioning"]
