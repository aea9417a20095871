"""FreeScout's two drills on the whole sandbox: Lightsail, SSH, MariaDB and a mail sink that must stay empty.

As they are started by a person, against the ledger and the gate. What each trouble of a host and of a dump ends in is
shown in ``freescout/``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest

from raxx_bcp.clients.lightsail import Snapshots
from raxx_bcp.drills.engine.drill import CheckResult
from raxx_bcp.drills.engine.run import FinishedDrill
from raxx_bcp.drills.freescout.kinds import DUMP, SNAPSHOT
from raxx_bcp.drills.freescout.wanted import NEWEST, DumpWanted, SnapshotWanted
from raxx_bcp.drills.kind import Asked
from raxx_bcp.drills.places import places
from raxx_bcp.evidence.gate import card_named, gate
from raxx_bcp.evidence.row import CheckStatus, Verdict
from raxx_bcp.policy import Policy
from raxx_bcp.resources import Raxx
from raxx_bcp.waiting import silent
from raxx_bcp_sandbox import freescout
from raxx_bcp_sandbox.freescout.sink import received
from raxx_bcp_sandbox.parts.operator_keys import operator_key
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.faults.scanning import found_in_bytes

ASKED = Asked("alice")


@dataclass
class HastyClock:
    """Real time from ``start`` on, save that every sleep lets a minute pass: deadlines come soon."""

    start: datetime
    began: float
    slept: timedelta = timedelta()

    def __call__(self) -> datetime:
        return self.start + timedelta(seconds=time.monotonic() - self.began) + self.slept

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, 0.3))  # real hosts boot meanwhile
        self.slept += timedelta(minutes=1)


@dataclass
class Stage:
    """One test's Raxx. ``mail`` is where the sink keeps what it received."""

    raxx: Raxx
    sandbox: Sandbox
    mail: Path

    def tier_1(self, snapshot: str = NEWEST) -> FinishedDrill:
        return SNAPSHOT.start(self.raxx, ASKED, SnapshotWanted(snapshot), silent)

    def tier_2(self) -> FinishedDrill:
        key = self.mail.parent / "operator.asc"
        key.write_text(operator_key(self.sandbox.directory).secret)
        return DUMP.start(self.raxx, ASKED, DumpWanted(private_key_file=str(key)), silent)

    def leftovers(self) -> list[str]:
        with places(self.raxx.policy) as where:
            return [one.lease.name for place in where for one in place.leftovers()]

    def opens_the_gate(self) -> bool:
        ledger = self.raxx.record().ledger
        return gate(ledger.rows(), card_named("freescout"), self.raxx.clock(), ledger.verify()).open


@pytest.fixture
def stage(
    policy: Policy, breakable_sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    """Two hours after FreeScout's newest snapshot, whatever hour it is."""
    monkeypatch.setenv("RAXX_BCP_STATE_DIR", str(tmp_path / "state"))
    newest = max(one.created_utc for one in Snapshots().automatic(policy.freescout.instance))
    clock = HastyClock(newest + timedelta(hours=2), time.monotonic())
    mail = breakable_sandbox.directory / "lightsail" / "hosts" / "mail"
    before = len(received(mail))
    made = Stage(Raxx(policy, clock, clock.sleep), breakable_sandbox, mail)
    yield made
    assert len(received(mail)) == before, "a restored copy has sent mail"
    assert made.leftovers() == []


def unmet(done: FinishedDrill) -> dict[str, CheckResult]:
    return {one.name: one for one in done.drill.results if one.status is not CheckStatus.PASS}


def test_both_tiers_pass_open_the_gate_and_leak_nothing(stage: Stage) -> None:
    assert not stage.opens_the_gate()
    first = stage.tier_1()
    assert first.verdict is Verdict.PASS, (unmet(first), first.drill.findings)
    assert {one.name for one in first.drill.results} == set(SNAPSHOT.checks)
    assert len(first.drill.isolation) >= 5
    assert first.drill.leases.confirmed
    assert stage.opens_the_gate()
    second = stage.tier_1()
    rows = {one.name: one for one in second.drill.results}["rows"]
    assert second.verdict is Verdict.PASS, (unmet(second), second.drill.findings)
    assert first.drill.id in rows.expected, "compared with the drill that passed before"
    third = stage.tier_2()
    assert third.verdict is Verdict.PASS, (unmet(third), third.drill.findings)
    assert {one.name for one in third.drill.results} == set(DUMP.checks)
    bucket, prefix = stage.raxx.state_bucket(), stage.raxx.policy.evidence.prefix
    stored = b"".join(bucket.get(key) for key in bucket.keys(prefix))
    assert b"freescout_dump" in stored
    assert found_in_bytes(stored, list(freescout.planted())) == []


def test_a_name_that_somebody_else_has_is_left_alone(stage: Stage) -> None:
    name = stage.raxx.policy.freescout.restored_instance
    plain = boto3.client("lightsail")
    plain.create_instances(
        instanceNames=[name], availabilityZone="us-east-1a", blueprintId="ubuntu_22_04", bundleId="small_3_0"
    )
    try:
        done = stage.tier_1()
        assert done.verdict is Verdict.COULD_NOT_VERIFY
        assert name in " ".join(done.drill.findings)
        assert plain.get_instance(instanceName=name)["instance"]["state"]["name"] in ("pending", "running")
    finally:
        plain.delete_instance(instanceName=name)
        _until(lambda: name not in {one["name"] for one in plain.get_instances()["instances"]})


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.2)  # a real instance is being waited for


def test_the_clock_of_these_tests_hurries() -> None:
    clock = HastyClock(datetime(2031, 3, 14, 7, tzinfo=UTC), time.monotonic())
    clock.sleep(0.0)
    assert clock() - clock.start >= timedelta(minutes=1)
