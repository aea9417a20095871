"""``raxx-bcp drill`` and ``evidence`` as a person types them, and processes that are killed in the middle."""

from __future__ import annotations

import json
import signal
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from raxx_bcp.drills.engine.record_stores import record_of
from raxx_bcp.drills.engine.sweeper import Swept, sweep
from raxx_bcp.drills.places import places
from raxx_bcp.evidence.row import DrillEntry, Verdict
from raxx_bcp.policy import Policy
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.faults.commands import private_environ, run, start

DRILL = ("drill", "heroku-postgres", "--operator", "alice")


@pytest.fixture
def environ(
    sandbox_environ: dict[str, str], policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory(prefix="rb-") as folder:
        state = Path(folder) / "state"
        monkeypatch.setenv("RAXX_BCP_STATE_DIR", str(state))
        private = private_environ(sandbox_environ, Path(folder), policy.vault_export.prefix)
        yield {
            **private,
            "RAXX_BCP_EVIDENCE__PREFIX": policy.evidence.prefix,
            "RAXX_BCP_STATE_DIR": str(state),
            "RAXX_BCP_HEROKU_POSTGRES__POLL_SECONDS": "0.2",
        }


def _json(environ: dict[str, str], *arguments: str, code: int = 0) -> dict[str, Any]:
    done = run(environ, *arguments, "--json")
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    result = json.loads(done.stdout)
    assert isinstance(result, dict)
    return result


def entries(policy: Policy) -> list[DrillEntry]:
    return [row.entry for row in record_of(policy).ledger.rows() if isinstance(row.entry, DrillEntry)]


def leftovers(policy: Policy) -> list[str]:
    with places(policy) as where:
        return [one.lease.name for place in where for one in place.leftovers()]


def swept_later(policy: Policy) -> Swept:
    """The sweeper, five hours from now, when every lease is over."""
    record, later = record_of(policy), datetime.now(UTC) + timedelta(hours=5)
    with places(policy) as where:
        return sweep(where, record.journal, record.ledger, record.spool, clock=lambda: later)


def test_drill_then_list_verify_report_and_gate(environ: dict[str, str]) -> None:
    assert _json(environ, "evidence", "gate", "--card", "heroku-postgres", code=1)["open"] is False
    done = _json(environ, *DRILL)
    assert (done["ok"], done["verdict"], done["row_sequence"]) == (True, "PASS", 1)
    assert done["teardown_confirmed"] is True
    listed = _json(environ, "evidence", "list")
    assert len(listed["rows"]) == 1
    assert _json(environ, "evidence", "verify")["ok"] is True
    assert _json(environ, "evidence", "gate", "--card", "heroku-postgres")["open"] is True
    shut = _json(environ, "evidence", "gate", "--card", "freescout", code=1)
    assert "no row of a drill freescout" in shut["reason"]
    html = Path(environ["HOME"]) / "report.html"
    _json(environ, "evidence", "report", "--html", str(html))
    assert "heroku_postgres" in html.read_text()
    assert _json(environ, "drill", "sweep")["ok"] is True


def test_a_broken_backup_ends_in_one_and_says_which_check(environ: dict[str, str], breakable_sandbox: Sandbox) -> None:
    breakable_sandbox.break_("heroku-backup-half-rows")
    done = run(environ, *DRILL)
    assert done.returncode == 1
    assert "FAIL     row counts" in done.stdout
    assert "Traceback" not in done.stderr


def test_what_could_not_be_verified_ends_in_three(environ: dict[str, str], breakable_sandbox: Sandbox) -> None:
    breakable_sandbox.break_("heroku-provision-fails")
    assert _json(environ, *DRILL, code=3)["verdict"] == "COULD_NOT_VERIFY"


def test_without_an_operator_or_a_key_nothing_begins(environ: dict[str, str], policy: Policy) -> None:
    assert run(environ, "drill", "heroku-postgres").returncode == 2
    keyless = {name: value for name, value in environ.items() if name != "HEROKU_API_KEY"}
    refused = run(keyless, *DRILL)
    assert refused.returncode == 2
    assert "HEROKU_API_KEY is not set" in refused.stderr
    assert entries(policy) == []


def _until(environ: dict[str, str], words: str, number: signal.Signals) -> int:
    """Send ``number`` at the first line of progress that starts with ``words``; the exit code."""
    child = start(environ, *DRILL)
    assert child.stderr is not None
    for line in child.stderr:
        if line.startswith(words):
            child.send_signal(number)
            break
    else:
        pytest.fail(f"the drill never said {words!r}")
    child.communicate(timeout=90)
    return int(child.returncode)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_cancelled_drill_gives_everything_back_and_has_its_row(
    environ: dict[str, str], policy: Policy, number: signal.Signals
) -> None:
    assert _until(environ, "restore", number) == 3
    (entry,) = entries(policy)
    assert entry.verdict is Verdict.COULD_NOT_VERIFY
    assert entry.teardown.confirmed
    assert entry.identity.drill_id.rpartition("-")[2] not in " ".join(leftovers(policy))


def test_kill_9_at_any_moment_leaves_no_orphan_and_loses_no_row(environ: dict[str, str], policy: Policy) -> None:
    moments = ("select", "provision", "restore", "verify", "teardown")
    for moment in moments:
        assert _until(environ, moment, signal.SIGKILL) == -signal.SIGKILL
    assert entries(policy) == [], "a killed drill writes nothing"
    assert leftovers(policy), "and leaves something, else this test shows nothing"
    swept = swept_later(policy)
    assert swept.clean, swept.text()
    assert leftovers(policy) == []
    recorded = entries(policy)
    assert len(recorded) == len(moments)
    assert {entry.verdict for entry in recorded} == {Verdict.COULD_NOT_VERIFY}
    assert record_of(policy).ledger.verify().problems == ()
    assert swept_later(policy).rows_written == []


def test_s3_away_when_the_row_is_written_keeps_it_for_the_sweeper(
    environ: dict[str, str], policy: Policy, breakable_sandbox: Sandbox
) -> None:
    child = start(environ, *DRILL)
    assert child.stderr is not None
    for line in child.stderr:
        if line.startswith("verify"):
            breakable_sandbox.break_("s3-down")
            break
    _out, err = child.communicate(timeout=120)
    breakable_sandbox.mend("s3-down")
    if child.returncode == 0:
        pytest.fail("the drill was too quick: S3 went away after its row")
    assert "S3" in err
    assert leftovers(policy) == []
    assert _json(environ, "drill", "sweep")["rows_written"] == [1]
    assert entries(policy)[0].verdict is Verdict.PASS
