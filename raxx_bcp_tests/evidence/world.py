"""Entries as a drill makes them, ledgers on the sandbox's real S3, and hands that tamper with them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import msgspec

from raxx_bcp.clients.s3 import Bucket
from raxx_bcp.evidence.canonical import canonical, digest
from raxx_bcp.evidence.ledger import Ledger
from raxx_bcp.evidence.names import row_name
from raxx_bcp.evidence.row import (
    CheckRow,
    CheckStatus,
    Decision,
    DrillEntry,
    EvidenceRow,
    Identity,
    People,
    Phase,
    Resource,
    ReviewEntry,
    Source,
    Target,
    Timing,
    Verdict,
    objective,
    teardown,
)
from raxx_bcp_tests.conftest import NOW

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

PASSED = CheckRow(name="alembic revision", expected="9f2c", actual="9f2c", status=CheckStatus.PASS)
FAILED = CheckRow(
    name="row counts", expected="100000", actual="50000", status=CheckStatus.FAIL, reason="orders: 50000 of 100000"
)
NOT_RUN = CheckRow(name="sample", expected="", actual="", status=CheckStatus.NOT_RUN, reason="the drill ended early")
APP = Resource(
    kind="heroku app",
    name="raxx-drill-1",
    created_utc=NOW - timedelta(minutes=9),
    gone_utc=NOW - timedelta(minutes=1),
    cost_micro_usd=1120,
)
LEFT = msgspec.structs.replace(APP, name="raxx-drill-2", gone_utc=None, problem="still listed")


def drill(
    drill_id: str = "heroku_postgres-1",
    *,
    kind: str = "heroku_postgres",
    ended: datetime = NOW,
    verdict: Verdict = Verdict.PASS,
    checks: tuple[CheckRow, ...] | None = None,
    resources: tuple[Resource, ...] = (APP,),
    rto_seconds: float | None = 431.2,
    rpo_seconds: float | None = 10_800,
    operator: str = "alice",
    findings: tuple[str, ...] = (),
) -> DrillEntry:
    """A drill of ten minutes that ended at ``ended``; what its verdict needs is filled in."""
    chosen = {Verdict.PASS: (PASSED,), Verdict.FAIL: (PASSED, FAILED), Verdict.COULD_NOT_VERIFY: (PASSED, NOT_RUN)}
    started = ended - timedelta(minutes=10)
    return DrillEntry(
        identity=Identity(drill_id=drill_id, drill=kind, system=kind.replace("_", "-"), scenario="database lost"),
        source=Source(
            backup_id="b004",
            created_utc=started - timedelta(hours=3),
            age_seconds=10_800,
            selected_because="the newest good backup",
            size_bytes=23_456_789,
        ),
        target=Target(
            resource_id="raxx-drill-1",
            region="us",
            isolation=("no dynos",),
            versions={"postgres": "17.2", "ö": "1"},
        ),
        timing=Timing(
            started_utc=started,
            ended_utc=ended,
            phases=(
                Phase(name="select", started_utc=started, ended_utc=started + timedelta(seconds=2)),
                Phase(name="restore", started_utc=started + timedelta(seconds=2), ended_utc=ended),
            ),
            rto=objective(3600, rto_seconds),
            rpo=objective(86_400, rpo_seconds),
            newest_record_utc=started - timedelta(hours=3, minutes=1),
        ),
        checks=chosen[verdict] if checks is None else checks,
        verdict=verdict,
        findings=findings,
        teardown=teardown(resources),
        people=People(operator=operator),
    )


def review(
    row: EvidenceRow, *, reviewer: str = "bob", decision: Decision = Decision.ACCEPTED, at: datetime = NOW
) -> ReviewEntry:
    assert isinstance(row.entry, DrillEntry)
    return ReviewEntry(
        row_sequence=row.sequence,
        row_sha256=row.sha256,
        drill_id=row.entry.identity.drill_id,
        reviewer=reviewer,
        reviewed_utc=at,
        decision=decision,
    )


def many(ledger: Ledger, count: int) -> list[EvidenceRow]:
    """``count`` rows of as many drills."""
    return [ledger.append(drill(f"drill-{number}")) for number in range(1, count + 1)]


def new_prefix() -> str:
    return f"test-{uuid.uuid4().hex[:12]}/"


def plain_ledger(bucket: str, prefix: str | None = None, **named: Any) -> Ledger:
    """A ledger with a client of its own, at a time that never changes."""
    return Ledger(Bucket(bucket), prefix or new_prefix(), clock=lambda: NOW, **named)


class Hand:
    """Somebody with every right on the bucket, at one ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self.s3: S3Client = boto3.client("s3")
        self.bucket, self.prefix = ledger.bucket.name, ledger.prefix

    def key(self, name: int | str) -> str:
        return self.prefix + (row_name(name) if isinstance(name, int) else name)

    def read(self, name: int | str) -> bytes:
        return self.s3.get_object(Bucket=self.bucket, Key=self.key(name))["Body"].read()

    def write(self, name: int | str, body: bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=self.key(name), Body=body)

    def delete(self, name: int | str) -> None:
        self.s3.delete_object(Bucket=self.bucket, Key=self.key(name))

    def change(self, name: int, change: Callable[[dict[str, Any]], None]) -> str:
        """Change a row's content and give it a fresh hash, which is returned."""
        content: dict[str, Any] = json.loads(self.read(name))
        change(content)
        content.pop("sha256", None)
        content["sha256"] = digest(content)
        self.write(name, canonical(content))
        return str(content["sha256"])

    def rewrite_from(self, first: int, last: int) -> str:
        """Change row ``first`` and give every later one a fresh hash: a chain without a flaw. The last hash."""
        fresh = self.change(first, forge)
        for sequence in range(first + 1, last + 1):
            fresh = self.change(sequence, lambda row, before=fresh: row.update(previous_sha256=before))  # type: ignore[misc]
        return fresh


def forge(row: dict[str, Any]) -> None:
    """Another operator."""
    row["entry"]["people"]["operator"] = "mallory"


def at(days: float) -> datetime:
    """So many days before the tests' day."""
    return NOW - timedelta(days=days)
