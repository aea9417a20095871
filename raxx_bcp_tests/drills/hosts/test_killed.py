"""Drills that make instances, as a person types them, killed in the middle: the sweeper leaves nothing of them."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest

from raxx_bcp.drills.engine.record_stores import record_of
from raxx_bcp.drills.engine.sweeper import Swept, sweep
from raxx_bcp.drills.places import places
from raxx_bcp.evidence.row import DrillEntry, Verdict
from raxx_bcp.policy import Policy
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.faults.commands import private_environ, run, start


@pytest.fixture
def environ(
    sandbox_environ: dict[str, str], policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory(prefix="rb-") as folder:
        state = Path(folder) / "state"
        monkeypatch.setenv("RAXX_BCP_STATE_DIR", str(state))
        yield {
            **private_environ(sandbox_environ, Path(folder), policy.vault_export.prefix),
            "RAXX_BCP_EVIDENCE__PREFIX": policy.evidence.prefix,
            "RAXX_BCP_STATE_DIR": str(state),
        }


def killed_at(environ: dict[str, str], drill: str, words: str, *options: str) -> None:
    """kill -9 at the first line of progress that starts with ``words``."""
    child = start(environ, "drill", drill, "--operator", "alice", *options)
    assert child.stderr is not None
    for line in child.stderr:
        if line.startswith(words):
            child.kill()
            break
    else:
        pytest.fail(f"the drill never said {words!r}")
    child.communicate(timeout=90)
    assert child.returncode == -signal.SIGKILL


def leftovers(policy: Policy) -> list[str]:
    with places(policy) as where:
        return [one.lease.name for place in where for one in place.leftovers()]


def swept(policy: Policy, *, hours: float) -> Swept:
    """The sweeper, so many hours from now."""
    record, later = record_of(policy), datetime.now(UTC) + timedelta(hours=hours)
    with places(policy) as where:
        return sweep(where, record.journal, record.ledger, record.spool, clock=lambda: later)


def instances() -> set[str]:
    return {one["name"] for one in boto3.client("lightsail").get_instances()["instances"]}


@pytest.mark.parametrize(
    ("drill", "moments"),
    [
        ("freescout-snapshot", ("provision", "isolate", "verify", "teardown")),
        ("freescout-dump", ("restore",)),
        ("vault-snapshot", ("verify",)),
    ],
)
def test_kill_9_at_any_moment_leaves_nothing_after_the_sweeper(
    environ: dict[str, str], policy: Policy, sandbox: Sandbox, drill: str, moments: tuple[str, ...]
) -> None:
    production, found = instances(), 0
    key = str(sandbox.directory / "keys" / "operator.key.asc")
    for moment in moments:
        killed_at(environ, drill, moment, *(["--private-key-file", key] if drill == "freescout-dump" else []))
        standing = leftovers(policy)
        found += len(standing)
        assert swept(policy, hours=0).gone == [], "inside its lease it is left alone"
        over = swept(policy, hours=5)
        assert over.clean, over.text()
        assert [one.name for one in over.gone] == standing
        assert leftovers(policy) == []
    assert found, "something was left standing, else this test shows nothing"
    assert instances() == production
    rows = [row.entry for row in record_of(policy).ledger.rows() if isinstance(row.entry, DrillEntry)]
    assert [entry.verdict for entry in rows] == [Verdict.COULD_NOT_VERIFY] * len(moments)
    assert [len(entry.teardown.resources) for entry in rows].count(1) == found, "each row tells what became of it"


def test_what_a_killed_drill_left_is_explained_to_the_next_one(environ: dict[str, str], policy: Policy) -> None:
    killed_at(environ, "freescout-dump", "isolate")
    again = run(environ, "drill", "freescout-dump", "--operator", "bob")
    assert again.returncode == 3
    assert f"{policy.freescout.restored_instance} " in again.stdout
    assert "Traceback" not in again.stderr
    assert leftovers(policy) == [policy.freescout.restored_instance]
    assert swept(policy, hours=5).clean
