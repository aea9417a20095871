"""Every way to start a drill that restores a snapshot: none makes an instance of an unguarded one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pytest
from click.testing import CliRunner

from raxx_bcp.cli import main
from raxx_bcp.definitions import build_defs
from raxx_bcp.drills.timetable import schedule_name
from raxx_bcp.evidence.row import DrillEntry, Verdict
from raxx_bcp.policy import CopyGuard, Drills, Policy
from raxx_bcp.resources import Raxx

KINDS = ("freescout_snapshot", "vault_snapshot")
ANY_AGE = 700
"""Hours: the sandbox's newest snapshot is of yesterday, which is not what these tests are about."""


@pytest.fixture
def unguarded(policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Policy:
    """No guard was ever seen on any host."""
    monkeypatch.setenv("RAXX_BCP_STATE_DIR", str(tmp_path / "state"))
    nowhere = CopyGuard(sightings_prefix=f"test-{uuid.uuid4().hex[:12]}-guards/")
    any_age = policy.vault_drill.model_copy(update={"rpo_hours": ANY_AGE})
    return policy.model_copy(update={"copy_guard": nowhere, "drills": Drills(scheduled=KINDS), "vault_drill": any_age})


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_is_made(sandbox_environ: dict[str, str]) -> Iterator[None]:
    before = standing()
    yield
    assert standing() == before


def standing() -> set[str]:
    return {one["name"] for one in boto3.client("lightsail").get_instances()["instances"]}


def refused(policy: Policy) -> None:
    """The row says why, and what to do."""
    rows = Raxx(policy).record().ledger.rows()
    (entry,) = [row.entry for row in rows if isinstance(row.entry, DrillEntry)]
    assert entry.verdict is Verdict.COULD_NOT_VERIFY
    assert "no copy guard was ever seen on" in entry.findings[0]
    assert "raxx-bcp host guard install" in entry.findings[0]
    assert entry.teardown.resources == ()


def execute(policy: Policy, instance: dg.DagsterInstance, kind: str, run_config: Any) -> bool:
    defs = build_defs(policy, {"raxx": Raxx(policy)})
    job = defs.resolve_job_def(f"drill_{kind}")
    return job.execute_in_process(instance=instance, raise_on_error=False, run_config=run_config).success


@pytest.mark.parametrize("snapshot", ["newest", "random-older"])
@pytest.mark.parametrize("kind", KINDS)
def test_from_the_ui(unguarded: Policy, instance: dg.DagsterInstance, kind: str, snapshot: str) -> None:
    config = {"ops": {f"{kind}_drill": {"config": {"operator": "alice", "snapshot": snapshot}}}}
    assert not execute(unguarded, instance, kind, config)
    refused(unguarded)


@pytest.mark.parametrize("kind", KINDS)
def test_by_the_schedule(unguarded: Policy, instance: dg.DagsterInstance, kind: str) -> None:
    defs = build_defs(unguarded, {"raxx": Raxx(unguarded)})
    schedule = defs.resolve_schedule_def(schedule_name(kind))
    context = dg.build_schedule_context(instance, scheduled_execution_time=datetime(2031, 3, 14, tzinfo=UTC))
    (request,) = schedule.evaluate_tick(context).run_requests or ()
    assert not execute(unguarded, instance, kind, request.run_config)
    refused(unguarded)


@pytest.mark.parametrize("snapshot", ["newest", "random-older"])
@pytest.mark.parametrize("kind", KINDS)
def test_from_the_command_line(unguarded: Policy, monkeypatch: pytest.MonkeyPatch, kind: str, snapshot: str) -> None:
    monkeypatch.setenv("RAXX_BCP_COPY_GUARD__SIGHTINGS_PREFIX", unguarded.copy_guard.sightings_prefix)
    monkeypatch.setenv("RAXX_BCP_EVIDENCE__PREFIX", unguarded.evidence.prefix)
    monkeypatch.setenv("RAXX_BCP_VAULT_DRILL__RPO_HOURS", str(ANY_AGE))
    argv = ["drill", kind.replace("_", "-"), "--operator", "alice", "--snapshot", snapshot]
    done = CliRunner().invoke(main, argv)
    assert done.exit_code == 3, done.output
    refused(unguarded)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reason_that_says_nothing_begins_nothing(unguarded: Policy, kind: str) -> None:
    argv = ["drill", kind.replace("_", "-"), "--operator", "alice", "--accept-unguarded", " "]
    done = CliRunner().invoke(main, argv)
    assert done.exit_code == 2
    assert "--accept-unguarded was given and says nothing" in done.output
