"""D1 as Dagster runs and shows it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from raxx_bcp.dagster_terms import SCHEDULED_TAG
from raxx_bcp.definitions import build_defs
from raxx_bcp.policy import Policy
from raxx_bcp.resources import Raxx
from raxx_bcp_sandbox.supervisor import UNSET
from raxx_bcp_tests.snapshots.world import World, world


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def lightsail(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A Lightsail to which the environment leads, at half past six of the day on which this test runs.

    Dagster itself stamps a run with the machine's time, and the run's day is that stamp's.
    """
    today = datetime.now(UTC).date().isoformat()
    with world(f"{today}T06:30:00Z") as made:
        for name in UNSET:
            monkeypatch.delenv(name, raising=False)
        for name, value in made.lab.environment().items():
            monkeypatch.setenv(name, value)
        yield made


def run(made: World, instance: dg.DagsterInstance, job: str, **named: Any) -> dg.ExecuteInProcessResult:
    raxx = Raxx(made.policy, clock=made.clock, sleep=made.lab.advance)
    defs = build_defs(made.policy, {"raxx": raxx})
    return defs.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False, **named)


def take(made: World, instance: dg.DagsterInstance, **named: Any) -> dg.ExecuteInProcessResult:
    return run(made, instance, "daily_vault_snapshot", **named)


def inventory(made: World, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """Only the snapshots' part of the daily inventory: the buckets have tests of their own."""
    raxx = Raxx(made.policy, clock=made.clock, sleep=made.lab.advance)
    job = build_defs(made.policy, {"raxx": raxx}).resolve_job_def("daily_inventory")
    selection = [dg.AssetKey("snapshot_inventory")]
    return job.execute_in_process(instance=instance, raise_on_error=False, asset_selection=selection)


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {check.check_name: check.passed for check in result.get_asset_check_evaluations()}


def failure_text(result: dg.ExecuteInProcessResult) -> str:
    (event,) = [event for event in result.all_events if event.is_step_failure]
    user = event.step_failure_data.user_failure_data
    return user.description or "" if user else ""


def shown(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    (event,) = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in event.metadata.items()}


def test_a_good_snapshot_materializes_with_what_an_operator_looks_at(
    lightsail: World, instance: dg.DagsterInstance
) -> None:
    result = take(lightsail, instance)
    assert result.success, failure_text(result)
    day = lightsail.clock().date().isoformat()
    metadata = shown(result, "vault_snapshot")
    assert metadata["snapshot"] == f"raxx-bcp-raxx-vault-{day}"
    assert (metadata["snapshot_count"], metadata["size_gb"], metadata["taken_by_this_run"]) == (1, 40, True)
    assert metadata["monthly_cost_usd"] == pytest.approx(2.0)
    assert checks(result) == dict.fromkeys(("available", "retention", "copy", "snapshot_is_there"), True)


def test_the_inventory_shows_numbers_to_plot_and_a_row_a_snapshot(
    lightsail: World, instance: dg.DagsterInstance
) -> None:
    today = lightsail.clock()
    for back in range(6, -1, -1):
        lightsail.lab.set_now(f"{today - timedelta(days=back):%Y-%m-%dT%H:%M:%SZ}")
        lightsail.take(lightsail.clock().date().isoformat())
    lightsail.lab.advance(3600)
    result = inventory(lightsail, instance)
    assert result.success, failure_text(result)
    (event,) = result.asset_materializations_for_node("snapshot_inventory")
    for plotted in ("snapshot_count", "newest_age_hours", "monthly_cost_usd", "gap_count"):
        assert isinstance(event.metadata[plotted], dg.IntMetadataValue | dg.FloatMetadataValue), plotted
    table = event.metadata["snapshots"]
    assert isinstance(table, dg.TableMetadataValue)
    assert len(table.records) == 7 + 2 + 7
    assert set(checks(result).values()) == {True}


def test_a_snapshot_that_hangs_materializes_nothing_is_red_and_says_could_not_verify(
    lightsail: World, instance: dg.DagsterInstance
) -> None:
    lightsail.lab.fault("lightsail-snapshot-stuck")
    result = take(lightsail, instance)
    assert not result.success
    assert result.asset_materializations_for_node("vault_snapshot") == []
    (red,) = [check for check in result.get_asset_check_evaluations() if check.check_name == "available"]
    assert (red.passed, red.metadata["status"].value) == (False, "COULD_NOT_VERIFY")
    assert "was still pending" in failure_text(result)
    assert "What to do:" in failure_text(result)


@pytest.mark.parametrize(
    "fault", ["lightsail-snapshot-error", "lightsail-denied", "lightsail-instance-missing", "lightsail-name-taken"]
)
def test_what_a_retry_cannot_help_fails_at_once_and_red(
    lightsail: World, instance: dg.DagsterInstance, fault: str
) -> None:
    lightsail.lab.fault(fault)
    result = take(lightsail, instance)
    kinds = [event.event_type for event in result.all_events]
    assert dg.DagsterEventType.STEP_UP_FOR_RETRY not in kinds
    assert checks(result)["available"] is False
    assert "Traceback" not in failure_text(result)


def test_a_refused_deletion_does_not_fail_the_run_and_warns_so_that_slack_is_told(
    lightsail: World, instance: dg.DagsterInstance
) -> None:
    today = lightsail.clock()
    for back in range(7, 0, -1):
        lightsail.lab.set_now(f"{today - timedelta(days=back):%Y-%m-%dT%H:%M:%SZ}")
        lightsail.take(lightsail.clock().date().isoformat())
    lightsail.lab.set_now(f"{today:%Y-%m-%dT%H:%M:%SZ}")
    lightsail.lab.fault("lightsail-delete-refused")
    result = take(lightsail, instance)
    assert result.success
    (retention,) = [check for check in result.get_asset_check_evaluations() if check.check_name == "retention"]
    assert (retention.passed, retention.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "warning_id" in retention.metadata


def test_a_dry_run_is_asked_for_in_the_launchpad(lightsail: World, instance: dg.DagsterInstance) -> None:
    config = {"ops": {"vault_snapshot": {"config": {"dry_run": True}}}}
    assert shown(take(lightsail, instance, run_config=config), "vault_snapshot")["dry_run"] is True


def test_a_missing_freescout_backup_fails_the_inventory_and_so_alerts(
    lightsail: World, instance: dg.DagsterInstance
) -> None:
    lightsail.take(lightsail.clock().date().isoformat())
    lightsail.lab.fault("freescout-backup-missing")
    result = inventory(lightsail, instance)
    assert not result.success
    assert checks(result)["freescout_backup"] is False
    assert checks(result)["newest_is_fresh"] is True
    assert len(result.asset_materializations_for_node("snapshot_inventory")) == 1, "what was read is shown all the same"


def test_the_belt_is_put_on_by_a_job_that_asks_who(lightsail: World, instance: dg.DagsterInstance) -> None:
    promised = lightsail.policy.vault_snapshot.model_copy(update={"addon": "18:00"})
    lightsail.policy = Policy(vault_snapshot=promised)
    config = {"ops": {"apply_addon": {"config": {"operator": "alice"}}}}
    result = run(lightsail, instance, "apply_vault_snapshot_addon", run_config=config)
    assert result.success
    assert lightsail.connections().home.instance("raxx-vault").automatic_utc == "18:00"
    nobody = {"ops": {"apply_addon": {"config": {"operator": " "}}}}
    refused = run(lightsail, instance, "apply_vault_snapshot_addon", run_config=nobody)
    assert "operator is empty" in failure_text(refused)


def test_the_schedule_asks_for_one_run_a_day_and_says_for_when() -> None:
    schedule = build_defs().resolve_schedule_def("daily_vault_snapshot_schedule")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("30 6 * * *", "UTC")
    due = datetime(2031, 3, 14, 6, 30, tzinfo=UTC)
    data = schedule.evaluate_tick(dg.build_schedule_context(scheduled_execution_time=due))
    (request,) = data.run_requests or []
    assert (request.tags[SCHEDULED_TAG], request.run_key) == (due.isoformat(), due.isoformat())
