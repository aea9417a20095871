"""The Heroku drill, the evidence and the sweeper as Dagster runs and shows them, on the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from raxx_bcp.checks import Status
from raxx_bcp.definitions import build_defs
from raxx_bcp.drills.engine.drill import Drill
from raxx_bcp.drills.restored_clock import restored_recently
from raxx_bcp.evidence.row import DrillEntry, Verdict
from raxx_bcp.policy import Policy
from raxx_bcp.resources import Raxx
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.drills.engine.doubles import order

JOB = "drill_heroku_postgres"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture(autouse=True)
def state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAXX_BCP_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def run(
    policy: Policy, instance: dg.DagsterInstance, job: str, *, clock: Any = lambda: datetime.now(UTC), **named: Any
) -> dg.ExecuteInProcessResult:
    defs = build_defs(policy, {"raxx": Raxx(policy, clock)})
    return defs.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False, **named)


def drill(policy: Policy, instance: dg.DagsterInstance, **config: Any) -> dg.ExecuteInProcessResult:
    given = {"operator": "alice", **config}
    return run(policy, instance, JOB, run_config={"ops": {"heroku_postgres_drill": {"config": given}}})


def failure_text(result: dg.ExecuteInProcessResult) -> str:
    (event,) = [event for event in result.all_events if event.is_step_failure]
    user = event.step_failure_data.user_failure_data
    return user.description or "" if user else ""


def entries(policy: Policy) -> list[DrillEntry]:
    rows = Raxx(policy).record().ledger.rows()
    return [row.entry for row in rows if isinstance(row.entry, DrillEntry)]


def test_a_passed_drill_materializes_with_its_tables_and_numbers_and_opens_the_gate(
    policy: Policy, instance: dg.DagsterInstance
) -> None:
    result = drill(policy, instance)
    assert result.success, failure_text(result)
    (event,) = result.asset_materializations_for_node("heroku_postgres_drill")
    shown = event.metadata
    for plotted in ("rto_seconds", "rpo_seconds", "backup_age_hours"):
        assert isinstance(shown[plotted], dg.FloatMetadataValue), plotted
    assert (shown["verdict"].value, shown["operator"].value, shown["row_sequence"].value) == ("PASS", "alice", 1)
    table = shown["checks"]
    assert isinstance(table, dg.TableMetadataValue)
    assert {str(record.data["status"]) for record in table.records} == {"PASS"}
    (entry,) = entries(policy)
    assert entry.identity.dagster_run_id == result.run_id
    assert entry.identity.dagster_run_url.endswith(result.run_id)

    evidence = run(policy, instance, "refresh_drill_evidence")
    assert evidence.success
    gates = {check.check_name: check for check in evidence.get_asset_check_evaluations()}
    assert gates["gate_heroku_postgres"].passed
    assert gates["chain_intact"].passed
    assert not gates["gate_freescout"].passed
    assert "no row of a drill freescout" in (gates["gate_freescout"].description or "")
    (seen,) = evidence.asset_materializations_for_node("drill_evidence")
    assert (seen.metadata["row_count"].value, seen.metadata["open_cards"].value) == (1, "heroku-postgres")


def test_a_failed_drill_is_red_materializes_nothing_and_keeps_its_row_and_shuts_the_gate(
    policy: Policy, instance: dg.DagsterInstance, breakable_sandbox: Sandbox
) -> None:
    assert drill(policy, instance).success
    breakable_sandbox.break_("heroku-backup-missing-table")
    result = drill(policy, instance)
    assert not result.success
    assert result.asset_materializations_for_node("heroku_postgres_drill") == []
    (check,) = result.get_asset_check_evaluations()
    assert (check.passed, check.severity, check.blocking) == (False, dg.AssetCheckSeverity.ERROR, True)
    assert str(check.metadata["status"].value) == "FAIL"
    assert "tables" in failure_text(result)
    assert [entry.verdict for entry in entries(policy)] == [Verdict.PASS, Verdict.FAIL]
    evidence = run(policy, instance, "refresh_drill_evidence")
    gates = {check.check_name: check.passed for check in evidence.get_asset_check_evaluations()}
    assert gates["gate_heroku_postgres"] is False


def test_could_not_verify_is_red_and_never_fresh(
    policy: Policy, instance: dg.DagsterInstance, breakable_sandbox: Sandbox
) -> None:
    breakable_sandbox.break_("heroku-provision-fails")
    result = drill(policy, instance)
    assert not result.success
    (check,) = result.get_asset_check_evaluations()
    assert (check.passed, str(check.metadata["status"].value)) == (False, "COULD_NOT_VERIFY")
    assert result.asset_materializations_for_node("heroku_postgres_drill") == []


def test_an_old_pass_shuts_the_gate_by_its_age(policy: Policy, instance: dg.DagsterInstance) -> None:
    assert drill(policy, instance).success
    later = datetime.now(UTC) + timedelta(days=91)
    evidence = run(policy, instance, "refresh_drill_evidence", clock=lambda: later)
    gates = {check.check_name: check for check in evidence.get_asset_check_evaluations()}
    assert not gates["gate_heroku_postgres"].passed
    assert "warning_id" in gates["gate_heroku_postgres"].metadata, "Slack is told once a month"
    assert "warning_id" not in gates["gate_vault"].metadata, "what nobody ever drilled is no news"


def test_a_proof_that_has_grown_old_turns_the_drills_own_asset_red(
    policy: Policy, instance: dg.DagsterInstance
) -> None:
    assert drill(policy, instance).success
    ledger, now = Raxx(policy).record().ledger, datetime.now(UTC)
    assert restored_recently(ledger, ["heroku_postgres"], 90, now)["heroku_postgres"].status is Status.PASS
    old = restored_recently(ledger, ["heroku_postgres"], 90, now + timedelta(days=91))["heroku_postgres"]
    assert (old.status, bool(old.warning_id)) == (Status.FAIL, True)
    never = restored_recently(ledger, ["freescout_dump"], 90, now)["freescout_dump"]
    assert (never.status, never.warning_id) == (Status.FAIL, "")
    graph = build_defs(policy).resolve_asset_graph()
    assert dg.AssetCheckKey(dg.AssetKey("heroku_postgres_drill"), "restored_recently") in graph.asset_check_keys


def test_the_operator_is_asked_for(policy: Policy, instance: dg.DagsterInstance) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match="operator"):
        run(policy, instance, JOB)
    refused = drill(policy, instance, operator=" ")
    assert "no operator" in failure_text(refused)
    assert entries(policy) == []


def test_a_tampered_ledger_fails_the_evidence_run(policy: Policy, instance: dg.DagsterInstance) -> None:
    assert drill(policy, instance).success
    ledger = Raxx(policy).record().ledger
    key = f"{policy.evidence.prefix}00000001.json"
    changed = ledger.bucket.get(key).replace(b'"alice"', b'"mallory"')
    ledger.bucket.put(key, changed, content_type="application/json", metadata={})
    evidence = run(policy, instance, "refresh_drill_evidence")
    assert not evidence.success
    gates = {check.check_name: check.passed for check in evidence.get_asset_check_evaluations()}
    assert gates["chain_intact"] is False
    assert gates["gate_heroku_postgres"] is False


def test_the_sweeper_writes_the_row_of_a_killed_drill_and_is_silent_otherwise(
    policy: Policy, instance: dg.DagsterInstance
) -> None:
    assert run(policy, instance, "drill_sweeper").success
    long_ago = datetime.now(UTC) - timedelta(days=1)
    killed = Drill(order("revision"), lambda: long_ago, lambda _seconds: None, lambda _message: None)
    Raxx(policy).record().journal.begin(killed)
    assert run(policy, instance, "drill_sweeper").success
    (entry,) = entries(policy)
    assert (entry.identity.drill_id, entry.verdict) == (killed.id, Verdict.COULD_NOT_VERIFY)


def test_the_sweeper_fails_when_it_cannot_see(
    policy: Policy, instance: dg.DagsterInstance, breakable_sandbox: Sandbox
) -> None:
    breakable_sandbox.break_("heroku-denied")
    result = run(policy, instance, "drill_sweeper")
    assert not result.success
    assert "could not finish" in failure_text(result)


def test_the_evidence_is_looked_at_again_after_each_drill_once(policy: Policy, instance: dg.DagsterInstance) -> None:
    sensor = build_defs(policy).resolve_sensor_def("refresh_evidence")
    result = drill(policy, instance)
    run(policy, instance, "refresh_drill_evidence")
    for _tick in range(2):
        ticked = sensor.evaluate_tick(dg.build_sensor_context(instance=instance))
        assert [request.run_key for request in ticked.run_requests or []] == [f"after-{result.run_id}"]
