"""The export as Dagster runs and shows it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from raxx_bcp.dagster_terms import SCHEDULED_TAG, operator_errors
from raxx_bcp.definitions import build_defs
from raxx_bcp.errors import PermanentError, TransientError
from raxx_bcp.policy import Policy, SecondCopy
from raxx_bcp.resources import Raxx
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.vault.world import state_bucket, stored

EXPORT = dg.AssetKey("vault_export")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def run(
    policy: Policy, instance: dg.DagsterInstance, job: str = "daily_vault_export", **named: Any
) -> dg.ExecuteInProcessResult:
    clock = named.pop("clock", lambda: datetime.now(UTC))
    defs = build_defs(policy, {"raxx": Raxx(policy, clock)})
    return defs.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False, **named)


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {check.check_name: check.passed for check in result.get_asset_check_evaluations()}


def failure_text(result: dg.ExecuteInProcessResult) -> str:
    (event,) = [event for event in result.all_events if event.is_step_failure]
    user = event.step_failure_data.user_failure_data
    return user.description or "" if user else ""


def test_a_good_export_materializes_with_what_an_operator_looks_at(
    policy: Policy, instance: dg.DagsterInstance
) -> None:
    result = run(policy, instance)
    assert result.success
    (event,) = result.asset_materializations_for_node("vault_export")
    shown = event.metadata
    assert shown["secret_count"].value == 335
    assert shown["project_count"].value == 3
    for plotted in ("size_bytes", "document_size_bytes", "folder_count", "secret_count"):
        assert isinstance(shown[plotted], dg.IntMetadataValue), "Dagster plots only numbers"
    assert str(shown["s3_object"].value).startswith("s3://raxx-iac-state-prod/")
    assert len(str(shown["ciphertext_sha256"].value)) == 64
    table = shown["contents"]
    assert isinstance(table, dg.TableMetadataValue)
    assert {str(record.data["project"]) for record in table.records} == {"raxx-ops", "raxx-payments", "raxx-platform"}
    expected = {"completeness", "shrink", "recipients", "key_expiry", "read_back", "second_copy"}
    assert checks(result) == dict.fromkeys(expected | {"today_is_there"}, True)


def test_a_refused_export_materializes_nothing_and_turns_its_check_red(
    policy: Policy, instance: dg.DagsterInstance, breakable_sandbox: Sandbox
) -> None:
    breakable_sandbox.break_("vault-project-left")
    result = run(policy, instance)
    assert not result.success
    assert result.asset_materializations_for_node("vault_export") == []
    assert checks(result) == {"completeness": False}
    assert "Project raxx-payments is expected" in failure_text(result)
    assert "What to do: In Infisical add the machine identity to raxx-payments" in failure_text(result)
    assert stored(policy) == {}


def test_a_deny_privilege_is_named_with_its_project(
    policy: Policy, instance: dg.DagsterInstance, breakable_sandbox: Sandbox
) -> None:
    breakable_sandbox.break_("vault-deny-privilege")
    result = run(policy, instance)
    assert checks(result) == {"completeness": False}
    assert "In raxx-payments the additional privilege no-production-secrets denies" in failure_text(result)
    assert "remove the privilege no-production-secrets" in failure_text(result)
    assert stored(policy) == {}


@pytest.mark.parametrize("fault", ["vault-login-refused", "key-expired", "vault-hidden-values"])
def test_what_a_retry_cannot_help_is_not_tried_again(
    policy: Policy, instance: dg.DagsterInstance, breakable_sandbox: Sandbox, fault: str
) -> None:
    breakable_sandbox.break_(fault)
    result = run(policy, instance)
    kinds = [event.event_type for event in result.all_events]
    assert kinds.count(dg.DagsterEventType.STEP_START) == 1
    assert dg.DagsterEventType.STEP_UP_FOR_RETRY not in kinds


class _Attempt:
    """The little that ``operator_errors`` asks of Dagster's context."""

    def __init__(self, retry_number: int) -> None:
        self.retry_number = retry_number
        self.log = self

    def warning(self, *_words: object) -> None:
        """Heard and forgotten."""


def _attempt(number: int, error: Exception) -> None:
    context: Any = _Attempt(number)
    with operator_errors(context, max_retries=3, wait_seconds=60):
        raise error


@pytest.mark.parametrize(("number", "wait"), [(0, 60), (1, 120), (2, 240)])
def test_what_is_transient_is_tried_again_after_doubling_waits(number: int, wait: int) -> None:
    with pytest.raises(dg.RetryRequested) as asked:
        _attempt(number, TransientError("The vault is away.", "Wait."))
    assert (asked.value.max_retries, asked.value.seconds_to_wait) == (3, wait)


def test_the_last_attempt_fails_with_the_sentence() -> None:
    with pytest.raises(dg.Failure, match="The vault is away") as failed:
        _attempt(3, TransientError("The vault is away.", "Wait."))
    assert failed.value.allow_retries is False


def test_what_is_permanent_fails_at_once() -> None:
    with pytest.raises(dg.Failure, match="What to do: Mend it"):
        _attempt(0, PermanentError("It is broken.", "Mend it."))


def test_a_failed_second_copy_fails_the_run_and_the_export_stands(policy: Policy, instance: dg.DagsterInstance) -> None:
    nowhere = policy.vault_export.model_copy(update={"second_copy": SecondCopy(bucket="no-such-bucket-here")})
    result = run(policy.model_copy(update={"vault_export": nowhere}), instance)
    assert not result.success
    assert checks(result)["second_copy"] is False
    assert checks(result)["read_back"] is True
    assert len(result.asset_materializations_for_node("vault_export")) == 1


def test_an_accepted_shrink_is_given_as_config_and_shown(
    policy: Policy, instance: dg.DagsterInstance, breakable_sandbox: Sandbox
) -> None:
    assert run(policy, instance).success
    breakable_sandbox.break_("vault-shrunk")
    assert not run(policy, instance).success
    config = {"ops": {"vault_export": {"config": {"accept_shrink": "ticket 4711"}}}}
    result = run(policy, instance, run_config=config)
    assert result.success
    (event,) = result.asset_materializations_for_node("vault_export")
    assert event.metadata["accepted_shrink_reason"].value == "ticket 4711"


def test_an_emptied_folder_is_red_until_it_is_accepted_as_config_and_then_a_warning_with_its_name(
    policy: Policy, instance: dg.DagsterInstance, breakable_sandbox: Sandbox
) -> None:
    assert run(policy, instance).success
    breakable_sandbox.break_("vault-folder-silent")
    refused = run(policy, instance)
    assert checks(refused) == {"completeness": False}
    assert "accept_emptied" in failure_text(refused)
    config = {"ops": {"vault_export": {"config": {"accept_emptied": ["raxx-ops/dev/backups"]}}}}
    result = run(policy, instance, run_config=config)
    assert result.success
    (event,) = result.asset_materializations_for_node("vault_export")
    assert event.metadata["accepted_emptied_folders"].value == "raxx-ops/dev/backups"
    later = run(policy, instance)
    assert later.success
    (check,) = [one for one in later.get_asset_check_evaluations() if one.check_name == "completeness"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "raxx-ops/dev/backups had secrets at some time" in (check.description or "")
    assert str(check.metadata["warning_id"].value).startswith("emptied-")
    (event,) = later.asset_materializations_for_node("vault_export")
    assert event.metadata["emptied_folders"].value == "raxx-ops/dev/backups"
    assert "accepted_emptied_folders" not in event.metadata


def test_each_check_that_refused_turns_red(
    policy: Policy, instance: dg.DagsterInstance, breakable_sandbox: Sandbox
) -> None:
    assert run(policy, instance).success
    breakable_sandbox.break_("vault-folder-silent")
    strict = policy.vault_export.model_copy(update={"shrink_threshold_ratio": 0.0})
    refused = run(policy.model_copy(update={"vault_export": strict}), instance)
    assert checks(refused) == {"completeness": False, "shrink": False}


def test_a_key_that_expires_soon_warns_in_the_catalog_and_can_be_told(
    policy: Policy, instance: dg.DagsterInstance, breakable_sandbox: Sandbox
) -> None:
    breakable_sandbox.break_("key-expires-soon")
    result = run(policy, instance)
    assert result.success
    (check,) = [one for one in result.get_asset_check_evaluations() if one.check_name == "key_expiry"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert str(check.metadata["warning_id"].value).endswith("-30-days")


def test_a_scheduled_run_stores_under_the_day_of_its_schedule(policy: Policy, instance: dg.DagsterInstance) -> None:
    scheduled = datetime.now(UTC) - timedelta(minutes=5)
    assert run(policy, instance, tags={SCHEDULED_TAG: scheduled.isoformat()}).success
    assert f"{policy.vault_export.prefix}{scheduled.date()}.json.gpg" in stored(policy)


def test_the_schedule_asks_for_one_run_a_day_and_says_for_when(policy: Policy) -> None:
    schedule = build_defs(policy).resolve_schedule_def("daily_vault_export_schedule")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 7 * * *", "UTC")
    due = datetime(2031, 3, 14, 7, 0, tzinfo=UTC)
    data = schedule.evaluate_tick(dg.build_schedule_context(scheduled_execution_time=due))
    (request,) = data.run_requests or []
    assert request.tags[SCHEDULED_TAG] == due.isoformat()
    assert request.run_key == due.isoformat()


def test_a_late_export_turns_the_catalog_red_and_fails_the_sentinel(
    policy: Policy, instance: dg.DagsterInstance
) -> None:
    noon = datetime(2031, 3, 14, 12, 0, tzinfo=UTC)
    late = run(policy, instance, "freshness_sentinel", clock=lambda: noon)
    assert not late.success, "only a failed run raises an alert"
    (check,) = [one for one in late.get_asset_check_evaluations() if one.asset_key == EXPORT]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "2031-03-14 is late" in (check.description or "")


def test_a_fresh_export_keeps_the_sentinel_green(policy: Policy, instance: dg.DagsterInstance) -> None:
    assert run(policy, instance).success
    assert run(policy, instance, "daily_vault_snapshot").success
    assert run(policy, instance, "freshness_sentinel").success


def test_an_unreadable_bucket_is_red_and_called_unverified(
    policy: Policy, instance: dg.DagsterInstance, breakable_sandbox: Sandbox
) -> None:
    breakable_sandbox.break_("s3-down")
    assert not run(policy, instance, "freshness_sentinel").success


def test_the_inventory_shows_every_day_and_names_the_gaps(policy: Policy, instance: dg.DagsterInstance) -> None:
    bucket = state_bucket(policy)
    today = datetime.now(UTC).date()
    for back in (5, 3):
        key = f"{policy.vault_export.prefix}{today - timedelta(days=back)}.json.gpg"
        bucket.put(key, b"x", content_type="x/y", metadata={})
    result = run(policy, instance, "daily_inventory", asset_selection=[dg.AssetKey("vault_export_inventory")])
    assert result.success
    (event,) = result.asset_materializations_for_node("vault_export_inventory")
    table = event.metadata["days"]
    assert isinstance(table, dg.TableMetadataValue)
    assert len(table.records) == 30
    assert event.metadata["export_count"].value == 2
    (check,) = result.get_asset_check_evaluations()
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert str(today - timedelta(days=4)) in (check.description or "")
