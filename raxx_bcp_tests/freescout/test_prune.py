"""Pruning FreeScout's dump sets on a real S3 server, under the shipped policy: what goes, and what never does."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from raxx_bcp.checks import Status
from raxx_bcp.clients.s3 import Bucket
from raxx_bcp.clients.s3_dump_removal import DumpRemoval
from raxx_bcp.definitions import build_defs
from raxx_bcp.errors import CouldNotVerifyError, PermanentError, UsageError
from raxx_bcp.freescout.inventory import DayState, take_inventory
from raxx_bcp.freescout.prune import Pruned, prune
from raxx_bcp.policy import FreeScout, Policy
from raxx_bcp.resources import Raxx
from raxx_bcp_sandbox.part import Place
from raxx_bcp_sandbox.parts import s3
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.drills.freescout.stage import s3_client

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

SHIPPED = Path(__file__).resolve().parents[2] / "deploy" / "iam" / "freescout-retention-policy.json"
TODAY = date(2031, 3, 14)
NOW = datetime(2031, 3, 14, 7, 45, tzinfo=UTC)
BUCKET = "dumps"
KEYS = ("AKIARETENTIONRETENTI", "kept-in-this-test-only")
NAMES = ("database.sql.gz.gpg", "env.gpg", "attachments.tar.gz.gpg", "modules.tar.gz.gpg")


def _prepare(place: Place) -> None:
    """The sandbox's S3 with one more identity, which has the shipped policy for this test's bucket."""
    s3.PART.prepare(place)
    path = place.directory / "identities.json"
    known = json.loads(path.read_text())
    credentials = [{"accessKey": KEYS[0], "secretKey": KEYS[1]}]
    known["identities"].append({"name": "retention", "credentials": credentials, "policyNames": ["retention"]})
    content = SHIPPED.read_text().replace("raxx-iac-state-prod", BUCKET)
    known["policies"].append({"name": "retention", "content": content})
    path.write_text(json.dumps(known))


@dataclass
class Shop:
    """A bucket with an owner, and a pruner that has the shipped rights and no more. ``prefix`` is where sets lie."""

    owner: S3Client
    url: str
    prefix: str

    @property
    def policy(self) -> FreeScout:
        return FreeScout(dump_prefix=self.prefix, dump_bucket=BUCKET)

    @property
    def pruner(self) -> S3Client:
        """One more client: the client refuses everything but its own on the one that it is given."""
        return s3_client(self.url, *KEYS)

    def store(self, days: int, *, base: int | None = None, names: Sequence[str] = NAMES, manifest: bool = True) -> None:
        day = ago(days)
        files = {}
        for name in names:
            body = f"{name} of {day}".encode()
            self.owner.put_object(Bucket=BUCKET, Key=f"{self.prefix}{day}/{name}", Body=body)
            files[name] = {"size_bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        told: dict[str, Any] = {
            "kind": "raxx-bcp/freescout-dump",
            "schema_version": 1,
            "taken_utc": f"{day}T05:30:00Z",
            "files": files,
            "rows": {"threads": 3},
            "threads_fingerprint": {"count": 3, "crc32_sum": 1},
            "max_thread_id": 3,
            "emoji_threads": 1,
            "migrations": 9,
        }
        if base is not None:
            body = f"{NAMES[2]} of {ago(base)}".encode()
            fact = {"size_bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
            told["bases"] = {"attachments": {"day": ago(base), "name": NAMES[2], **fact}}
        if manifest:
            self.put(f"{self.prefix}{day}/manifest.json", json.dumps(told).encode())

    def put(self, key: str, body: bytes) -> None:
        self.owner.put_object(Bucket=BUCKET, Key=key, Body=body)

    def keys(self) -> set[str]:
        return set(Bucket(BUCKET, client=self.owner).keys(""))

    def days(self) -> set[int]:
        """How many days ago the sets are of which anything is left."""
        found = {key.removeprefix(self.prefix).partition("/")[0] for key in self.keys() if key.startswith(self.prefix)}
        return {(TODAY - date.fromisoformat(day)).days for day in found}

    def prune(self, *, apply: bool = True, removal: DumpRemoval | None = None, said: list[str] | None = None) -> Pruned:
        door = removal or DumpRemoval(BUCKET, self.prefix, client=self.pruner)
        lines = [] if said is None else said
        bucket = Bucket(BUCKET, client=self.pruner)
        return prune(bucket, door, self.policy, NOW, apply=apply, progress=lines.append)


def ago(days: int) -> str:
    return (TODAY - timedelta(days=days)).isoformat()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[tuple[str, str, str]]:
    home = Path(tempfile.mkdtemp(prefix="pr-"))
    local = Sandbox(home / "s", parts=(replace(s3.PART, prepare=_prepare),), any_ports=True)
    try:
        local.up()
        environ = local.environment()
        names = ("AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        url, key, secret = (environ[name] for name in names)
        yield url, key, secret
    finally:
        local.down(purge=(home / "s").exists())
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def shop(endpoint: tuple[str, str, str]) -> Iterator[Shop]:
    url, key, secret = endpoint
    owner = s3_client(url, key, secret)
    owner.create_bucket(Bucket=BUCKET)
    try:
        yield Shop(owner, url, f"freescout-dumps/{uuid.uuid4().hex[:8]}/")
    finally:
        for version in Bucket(BUCKET, client=owner).versions(""):
            owner.delete_object(Bucket=BUCKET, Key=version.key, VersionId=version.version_id)
        for key_ in Bucket(BUCKET, client=owner).keys(""):
            owner.delete_object(Bucket=BUCKET, Key=key_)
        owner.delete_bucket(Bucket=BUCKET)


def stored(shop: Shop, *days: int) -> None:
    for one in days:
        shop.store(one)


def test_the_shipped_rights_are_enough_to_keep_seven_and_four(shop: Shop) -> None:
    stored(shop, *range(9), 12, 19, 26, 33)
    made = shop.prune()
    assert made.check.status is Status.PASS
    assert shop.days() == {0, 1, 2, 3, 4, 5, 6, 12, 19}
    assert made.deleted == tuple(ago(days) for days in (7, 8, 26, 33))
    assert {day.state for day in take_inventory(Bucket(BUCKET, client=shop.owner), shop.policy, NOW).days[:7]} == {
        DayState.COMPLETE
    }
    assert shop.prune().deleted == (), "what is done is done"


def test_a_plan_alone_deletes_nothing_and_is_said(shop: Shop) -> None:
    stored(shop, *range(9))
    said: list[str] = []
    before = shop.keys()
    made = shop.prune(apply=False, said=said)
    assert shop.keys() == before
    assert [one.day for one in made.plan.delete] == [ago(7), ago(8)]
    assert any(line.startswith(f"goes:  {ago(8)}") for line in said)
    assert said[-1] == "only a plan: nothing was deleted (--apply deletes)"


def test_nothing_goes_while_the_newest_is_not_good(shop: Shop) -> None:
    stored(shop, *range(1, 12))
    shop.store(0, manifest=False)
    before = shop.keys()
    made = shop.prune()
    assert made.check.status is Status.WARN
    assert "is not good (no manifest)" in made.check.detail
    assert shop.keys() == before
    shop.store(0)
    shop.put(f"{shop.prefix}{ago(0)}/{NAMES[0]}", b"cut")
    assert "not as its manifest says" in shop.prune().check.detail
    shop.owner.delete_object(Bucket=BUCKET, Key=f"{shop.prefix}{ago(0)}/manifest.json")
    for name in NAMES:
        shop.owner.delete_object(Bucket=BUCKET, Key=f"{shop.prefix}{ago(0)}/{name}")
    assert f"that of {ago(0)} is due" in shop.prune().check.detail
    assert shop.days() == set(range(1, 12))


def test_a_manifest_that_is_not_ours_is_left_alone(shop: Shop) -> None:
    stored(shop, *range(8), 12, 19, 30)
    shop.put(f"{shop.prefix}{ago(30)}/manifest.json", b'{"kind": "somebody else\'s"}')
    assert shop.prune().deleted == (ago(7),)
    assert 30 in shop.days()


def test_what_is_not_ours_is_not_touched(shop: Shop) -> None:
    stored(shop, *range(8), 12, 19, 30)
    foreign = {
        f"{shop.prefix}{ago(30)}/notes.txt",
        f"{shop.prefix}{ago(30)}/database.sql.gz.gpg.bak",
        f"{shop.prefix}{ago(30)}/old/env",
        f"{shop.prefix}readme",
        f"{shop.prefix}2031-02-30/env",
        f"{shop.prefix}older/{ago(30)}/env",
        f"elsewhere/{ago(30)}/env",
        "terraform.tfstate",
    }
    for key in foreign:
        shop.put(key, b"mine")
    said: list[str] = []
    assert shop.prune(said=said).deleted == (ago(7), ago(30))
    assert foreign <= shop.keys()
    assert f"not ours, stays: {shop.prefix}{ago(30)}/notes.txt" in said


def test_what_a_kept_set_builds_on_stays(shop: Shop) -> None:
    stored(shop, 12, 19, 30, 31)
    for days in range(8):
        shop.store(days, base=30)
    assert shop.prune().deleted == (ago(7), ago(31))
    assert 30 in shop.days()
    shop.owner.delete_object(Bucket=BUCKET, Key=f"{shop.prefix}{ago(30)}/{NAMES[2]}")
    assert "not as its manifest says" in shop.prune().check.detail, "the newest cannot be restored: nothing goes"


def test_denied_is_could_not_verify_and_deletes_nothing(shop: Shop) -> None:
    stored(shop, *range(9))
    before = shop.keys()
    blind = Shop(shop.owner, shop.url, "elsewhere-dumps/")
    with pytest.raises(CouldNotVerifyError):
        blind.prune()

    class Unreadable(Bucket):
        def get(self, key: str, **_named: Any) -> bytes:
            raise CouldNotVerifyError(f"S3 could not read {key} (AccessDenied).", "Look at the role.")

    door = DumpRemoval(BUCKET, shop.prefix, client=shop.pruner)
    with pytest.raises(CouldNotVerifyError):
        prune(Unreadable(BUCKET, client=shop.pruner), door, shop.policy, NOW, apply=True)
    assert shop.keys() == before


class Breaks(DumpRemoval):
    """Loses the way to S3 behind its ``after``-th deletion."""

    def __init__(self, shop: Shop, after: int) -> None:
        super().__init__(BUCKET, shop.prefix, client=shop.pruner)
        self.left = after
        self.asked: list[str] = []

    def delete(self, day: str, name: str) -> None:
        if not self.left:
            raise PermanentError("S3 could not delete it (AccessDenied).", "Look at the role.")
        self.left -= 1
        self.asked.append(name)
        super().delete(day, name)


@pytest.mark.parametrize("after", range(6))
def test_whatever_interrupts_it_leaves_no_set_half_believed(shop: Shop, after: int) -> None:
    stored(shop, *range(8))
    door = Breaks(shop, after)
    made = shop.prune(removal=door)
    assert door.asked[:1] == ["manifest.json"][:after], "the manifest goes first"
    found = take_inventory(Bucket(BUCKET, client=shop.owner), shop.policy, NOW).days
    state = found[7].state
    expected = {0: DayState.COMPLETE, 5: DayState.MISSING}.get(after, DayState.NO_MANIFEST)
    assert state is expected
    assert {day.state for day in found[:7]} == {DayState.COMPLETE}
    assert (made.refused == ()) is (after == 5)
    assert made.check.status is (Status.PASS if after == 5 else Status.WARN)
    assert shop.prune().check.status is Status.PASS
    assert 7 not in shop.days(), "the next run takes the rest"


def test_a_set_that_changed_since_the_plan_is_left_alone(shop: Shop) -> None:
    stored(shop, *range(8))

    class Meanwhile(Bucket):
        def objects(self, prefix: str) -> Any:
            if prefix.endswith(f"{ago(7)}/"):
                shop.put(f"{shop.prefix}{ago(7)}/{NAMES[1]}", b"stored again")
            return super().objects(prefix)

    door = DumpRemoval(BUCKET, shop.prefix, client=shop.pruner)
    made = prune(Meanwhile(BUCKET, client=shop.pruner), door, shop.policy, NOW, apply=True)
    assert made.refused == ((ago(7), "it is no longer the set that was planned for: left alone"),)
    assert 7 in shop.days()


def test_where_versions_are_kept_what_went_comes_back(shop: Shop) -> None:
    shop.owner.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    stored(shop, *range(8))
    made = shop.prune()
    assert "lies below delete markers" in made.deletion
    assert 7 not in shop.days()
    bucket = Bucket(BUCKET, client=shop.owner)
    gone = [one for one in bucket.versions(f"{shop.prefix}{ago(7)}/") if one.is_delete_marker]
    assert len(gone) == 5
    for marker in gone:
        shop.owner.delete_object(Bucket=BUCKET, Key=marker.key, VersionId=marker.version_id)
    assert take_inventory(bucket, shop.policy, NOW).days[7].state is DayState.COMPLETE


def test_the_shipped_rights_end_no_version_and_reach_nothing_else(shop: Shop) -> None:
    shop.owner.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    shop.store(0)
    shop.put("terraform.tfstate", b"{}")
    (version,) = Bucket(BUCKET, client=shop.owner).versions(f"{shop.prefix}{ago(0)}/env.gpg")
    for refused in (
        lambda: shop.pruner.delete_object(Bucket=BUCKET, Key=version.key, VersionId=version.version_id),
        lambda: shop.pruner.delete_object(Bucket=BUCKET, Key="terraform.tfstate"),
        lambda: shop.pruner.get_object(Bucket=BUCKET, Key=version.key),
        lambda: shop.pruner.put_object(Bucket=BUCKET, Key=version.key, Body=b""),
    ):
        with pytest.raises(shop.pruner.exceptions.ClientError, match=r"AccessDenied|403"):
            refused()


@pytest.mark.parametrize(
    ("day", "name"),
    [
        ("2031-03-14", "notes.txt"),
        ("2031-03-14", "../env"),
        ("../2031-03-14", "env"),
        ("2031-03-14", ""),
        ("", "manifest.json"),
        ("2031-03-14\n", "env"),
    ],
)
def test_the_door_takes_only_days_and_names_of_a_set(shop: Shop, day: str, name: str) -> None:
    with pytest.raises(UsageError, match="not a file of a dump set"):
        DumpRemoval(BUCKET, shop.prefix, client=shop.pruner).delete(day, name)


@pytest.mark.parametrize("prefix", ["", "/", "a//b/", "../", "a/../b/", "dumps"])
def test_the_door_needs_a_prefix(prefix: str) -> None:
    with pytest.raises(UsageError, match="no prefix"):
        DumpRemoval(BUCKET, prefix)


def test_the_client_behind_the_door_refuses_all_else_before_it_is_sent(
    shop: Shop, endpoint: tuple[str, str, str]
) -> None:
    shop.store(0)
    before = shop.keys()
    client = s3_client(*endpoint)
    DumpRemoval(BUCKET, shop.prefix, client=client).delete(ago(40), "env")
    key = f"{shop.prefix}{ago(0)}/env.gpg"
    for asked in (
        lambda: client.delete_object(Bucket=BUCKET, Key=key, VersionId="null"),
        lambda: client.delete_object(Bucket=BUCKET, Key=f"{shop.prefix}{ago(0)}/notes"),
        lambda: client.delete_object(Bucket=BUCKET, Key=f"{ago(0)}/env.gpg"),
        lambda: client.delete_object(Bucket="other", Key=key),
        lambda: client.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key}]}),
        lambda: client.put_object(Bucket=BUCKET, Key=key, Body=b""),
        lambda: client.list_objects_v2(Bucket=BUCKET),
    ):
        with pytest.raises(PermanentError, match="refused before it was sent"):
            asked()
    assert shop.keys() == before


def test_the_asset_prunes_and_says_so(
    shop: Shop, endpoint: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(shop, *range(8))
    for name, value in zip(
        ("AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), endpoint, strict=True
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    policy = Policy(freescout=shop.policy)
    job = build_defs(policy, {"raxx": Raxx(policy, clock=lambda: NOW)}).resolve_job_def(
        "daily_freescout_dump_retention"
    )
    result = job.execute_in_process()
    assert result.success
    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == ("retention", True)
    (made,) = result.get_asset_materialization_events()
    metadata = made.materialization.metadata
    assert metadata["deleted"] == dg.TextMetadataValue(ago(7))
    assert 7 not in shop.days()
