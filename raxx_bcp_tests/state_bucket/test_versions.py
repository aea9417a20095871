"""The history of the state: what is counted, and that a long history needs no memory."""

from __future__ import annotations

import tracemalloc
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from raxx_bcp.clients.s3 import ObjectVersion
from raxx_bcp.clients.s3_settings import BucketSettings
from raxx_bcp.state_bucket.versions import StateFile, state_files
from raxx_bcp_tests.state_bucket.conftest import BUCKET

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

EXPORTS = "vault-exports/"
START = datetime(2031, 3, 14, 9, 0, tzinfo=UTC)


def version(key: str, number: int, *, latest: bool = False, marker: bool = False) -> ObjectVersion:
    at = START + timedelta(minutes=number)
    return ObjectVersion(key, f"v{number}", 0 if marker else 100 + number, at, latest, marker)


def test_the_newest_is_shown_with_how_far_it_can_be_taken_back() -> None:
    found = state_files(
        [version("b.tfstate", 3, latest=True), version("b.tfstate", 1), version("b.tfstate", 2)], EXPORTS
    )
    assert found == (StateFile("b.tfstate", START + timedelta(minutes=3), 103, 2, "v3", delete_marked=False),)


def test_a_deleted_state_keeps_all_its_versions_and_is_marked() -> None:
    (found,) = state_files(
        [version("a.tfstate", 2), version("a.tfstate", 1), version("a.tfstate", 3, latest=True, marker=True)], EXPORTS
    )
    assert (found.prior_version_count, found.version_id, found.delete_marked, found.size_bytes) == (2, "v3", True, 0)


def test_an_old_delete_marker_is_no_version_to_go_back_to() -> None:
    (found,) = state_files(
        [version("a.tfstate", 3, latest=True), version("a.tfstate", 2, marker=True), version("a.tfstate", 1)], EXPORTS
    )
    assert (found.prior_version_count, found.delete_marked) == (1, False)


def test_only_state_files_count_and_no_export_is_one() -> None:
    keys = ["z.tfstate", "env:/dev/a.tfstate", "a.tfstate.tflock", "a.tfstate.backup", "vault-exports/x.tfstate", "x"]
    found = state_files([version(key, 1, latest=True) for key in keys], EXPORTS)
    assert [one.key for one in found] == ["env:/dev/a.tfstate", "z.tfstate"]


def test_the_newest_is_found_in_whatever_order_they_come() -> None:
    (found,) = state_files([version("a.tfstate", 9), version("a.tfstate", 5, latest=True)], EXPORTS)
    assert found.version_id == "v5", "S3's own word counts, not the clock"
    (silent,) = state_files([version("a.tfstate", 5), version("a.tfstate", 9), version("a.tfstate", 7)], EXPORTS)
    assert silent.version_id == "v9"


class Pages:
    """Stands where boto3's client stands, and makes one page after the other."""

    def __init__(self, pages: int, rows: int) -> None:
        self._pages, self._rows = pages, rows

    def get_paginator(self, _operation: str) -> Pages:
        return self

    def paginate(self, **_asked: str) -> Iterator[dict[str, Any]]:
        for page in range(self._pages):
            newest = page == 0
            yield {"Versions": [self._row(page * self._rows + row, newest and not row) for row in range(self._rows)]}

    def _row(self, number: int, latest: bool) -> dict[str, Any]:  # noqa: FBT001 - as S3 says it
        return {
            "Key": "raxx-app/terraform.tfstate",
            "VersionId": uuid.uuid4().hex,
            "Size": 100,
            "LastModified": START - timedelta(seconds=number),
            "IsLatest": latest,
        }


def peak_bytes(pages: int) -> tuple[int, int]:
    client: Any = Pages(pages, 1000)
    tracemalloc.start()
    try:
        (found,) = state_files(BucketSettings("b", client).object_versions(), EXPORTS)
        return found.prior_version_count, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_long_history_is_never_held_at_once() -> None:
    peak_bytes(1)  # whatever is loaded on first use
    few, small = peak_bytes(2)
    many, large = peak_bytes(16)
    assert (few, many) == (1_999, 15_999)
    assert large < 1.5 * small


@pytest.fixture
def prefix(operator: S3Client) -> Iterator[str]:
    """A place of this test's own in the bucket; nothing is left in it."""
    own = f"test-{uuid.uuid4().hex[:12]}/"
    yield own
    left = operator.list_object_versions(Bucket=BUCKET, Prefix=own)
    for each in [*left.get("Versions", []), *left.get("DeleteMarkers", [])]:
        operator.delete_object(Bucket=BUCKET, Key=each["Key"], VersionId=each["VersionId"])


def test_the_real_server_says_the_same(operator: S3Client, settings: BucketSettings, prefix: str) -> None:
    key = f"{prefix}terraform.tfstate"
    written = [operator.put_object(Bucket=BUCKET, Key=key, Body=b"x" * size)["VersionId"] for size in (1, 2, 3)]
    operator.put_object(Bucket=BUCKET, Key=f"{key}.tflock", Body=b"")

    def ours() -> StateFile:
        (found,) = [one for one in state_files(settings.object_versions(), EXPORTS) if one.key.startswith(prefix)]
        return found

    assert (ours().version_id, ours().size_bytes, ours().prior_version_count) == (written[-1], 3, 2)
    operator.delete_object(Bucket=BUCKET, Key=key)
    assert (ours().delete_marked, ours().prior_version_count) == (True, 3)
    operator.put_object(Bucket=BUCKET, Key=key, Body=b"back")
    assert (ours().delete_marked, ours().prior_version_count) == (False, 3)
