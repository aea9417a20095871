"""A restore of one dump set onto a local host, as the Tier 2 drill does it: everything but Lightsail and SSH."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from raxx_bcp.clients.s3 import Bucket
from raxx_bcp.drills.engine.drill import CheckResult, Drill, Order
from raxx_bcp.drills.freescout import adopted, artefact, dump_set, examine, restoring
from raxx_bcp.drills.freescout.expected import NOTHING_KNOWN, Expectation
from raxx_bcp.drills.freescout.wanted import NEWEST
from raxx_bcp.drills.hosts.shell import SQL_CLIENT
from raxx_bcp.errors import BcpError
from raxx_bcp.evidence.row import CheckStatus
from raxx_bcp.policy import FreeScout
from raxx_bcp.policy_adopted import Adopted
from raxx_bcp.waiting import silent
from raxx_bcp_sandbox import freescout
from raxx_bcp_sandbox.freescout import dumps
from raxx_bcp_tests.drills.engine.doubles import StillClock
from raxx_bcp_tests.drills.freescout.local_host import LocalHost
from raxx_bcp_tests.faults.freescout_dumps import TAKEN, Build, HealthySet

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

TODAY = TAKEN.date()
CHECKS = (*artefact.CHECKS, *examine.CHECKS)


def s3_client(endpoint: str, key: str, secret: str) -> S3Client:
    """A client of a server on this machine, whatever the developer's AWS profile says."""
    return boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, proxies={}),
    )


@dataclass(frozen=True)
class Shelf:
    """A bucket, and a client that may write to it."""

    bucket: Bucket
    client: S3Client


@dataclass
class Stage:
    """``restore`` runs a drill's restore and verify phases on the host."""

    healthy: HealthySet
    host: LocalHost
    shelf: Shelf
    prefix: str
    folder: Path
    private_key: bytes | None = None
    adopted: Adopted = field(default_factory=Adopted)
    clock: StillClock = field(default_factory=lambda: StillClock(TAKEN + timedelta(hours=3)))

    @property
    def policy(self) -> FreeScout:
        return FreeScout(
            site_directory=freescout.SITE,
            database=freescout.DATABASE,
            site_host="localhost",
            site_port=self.host.port,
            dump_prefix=self.prefix,
            adopted=self.adopted,
        )

    def store(self, made: dumps.DumpSet, day: date = TODAY) -> None:
        dumps.upload(self.shelf.client, self.shelf.bucket.name, self.prefix, day, made)

    def build(self, build: Build) -> dumps.DumpSet:
        """Make a set and store it."""
        made = build(self.healthy, self.folder / "set")
        self.store(made)
        return made

    def drill(self) -> Drill:
        order = Order(
            kind="freescout_dump",
            system="freescout",
            operator="alice",
            scenario="a test",
            rto_target_seconds=7200,
            rpo_target_seconds=90000,
            lease=timedelta(hours=4),
            checks=CHECKS,
        )
        return Drill(order, self.clock, self.clock.sleep, silent)

    def restore(self, expected: Expectation | None = None) -> Drill:
        """Restore the newest stored set and examine it; what ended it early is in the drill."""
        drill = self.drill()
        try:
            self._restore(drill, expected)
        except BcpError as error:
            drill.broke(error)
        drill.close()
        return drill

    def _restore(self, drill: Drill, expected: Expectation | None) -> None:
        bucket = self.shelf.bucket
        listed = adopted.stored_sets(bucket, self.policy)
        chosen = listed.with_manifest(bucket, dump_set.choose(listed.sets, NEWEST)[0])
        chosen = adopted.looked_into(bucket, chosen, self.policy.dump_parts, self.private_key)
        target = restoring.Target(self.host, self.policy, 600.0)
        report = restoring.restore(drill, target, bucket, chosen, self.private_key)
        known = expected or (chosen.manifest.expectation if chosen.manifest else NOTHING_KNOWN)
        restored = dataclasses.replace(
            self.restored(known, chosen.taken_utc), known_to=chosen.known_to, unproved=chosen.unproved
        )
        found = examine.examine(drill, restored)
        if found is not None:
            drill.add(artefact.dump_rows(report["rows"], found.rows))

    def restored(self, known: Expectation, taken: datetime = TAKEN) -> examine.Restored:
        return examine.Restored(self.host, self.policy, known, taken, self.quieten, SQL_CLIENT, 600.0)

    def quieten(self) -> int:
        """As ``drills.isolation`` does it: count what is queued, and delete it."""
        script = "SELECT COUNT(*) FROM jobs; DELETE FROM jobs;"
        ((count,),) = self.host.sql(script, database=freescout.DATABASE)
        return int(count)


def failed(drill: Drill) -> set[str]:
    return {one.name for one in drill.results if one.status is CheckStatus.FAIL}


def not_run(drill: Drill) -> set[str]:
    return {one.name for one in drill.results if one.status is CheckStatus.NOT_RUN}


def passed(drill: Drill) -> set[str]:
    return {one.name for one in drill.results if one.status is CheckStatus.PASS}


def check(drill: Drill, name: str) -> CheckResult:
    (found,) = [one for one in drill.results if one.name == name]
    return found


def said(drill: Drill) -> str:
    """Everything that would be on record."""
    return "\n".join([*map(repr, drill.results), *drill.findings, *drill.isolation, repr(drill.target)])
