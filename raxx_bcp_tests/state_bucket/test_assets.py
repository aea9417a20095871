"""The posture as Dagster runs and shows it, and the job that switches versioning on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from raxx_bcp.checks import Check, Status
from raxx_bcp.clients.s3_settings import BucketSettings
from raxx_bcp.policy import Policy
from raxx_bcp.resources import Raxx
from raxx_bcp.state_bucket import assets
from raxx_bcp.state_bucket.posture import BLOCKING, CHECK_NAMES
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.conftest import NOW
from raxx_bcp_tests.state_bucket.conftest import BUCKET, impatient_client

POSTURE = "state_bucket_posture"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def definitions(policy: Policy) -> dg.Definitions:
    return dg.Definitions(
        assets=[assets.terraform_state_bucket, assets.state_bucket_posture_asset(policy)],
        jobs=[
            dg.define_asset_job("posture", selection=dg.AssetSelection.assets(POSTURE)),
            assets.enable_state_bucket_versioning,
        ],
        resources={"raxx": Raxx(policy, lambda: NOW)},
        executor=dg.in_process_executor,
    )


def run(policy: Policy, instance: dg.DagsterInstance, job: str = "posture", **config: str) -> dg.ExecuteInProcessResult:
    run_config = {"ops": {"switch_versioning_on": {"config": config}}} if config else None
    resolved = definitions(policy).resolve_job_def(job)
    return resolved.execute_in_process(instance=instance, raise_on_error=False, run_config=run_config)


def evaluations(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {check.check_name: check for check in result.get_asset_check_evaluations()}


def shown(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (event,) = result.asset_materializations_for_node(POSTURE)
    return dict(event.metadata)


def failure_text(result: dg.ExecuteInProcessResult) -> str:
    (event,) = [event for event in result.all_events if event.is_step_failure]
    user = event.step_failure_data.user_failure_data
    return user.description or "" if user else ""


def test_the_sandbox_s_bucket_gives_a_green_run_with_what_an_operator_looks_at(
    shipped: Policy, instance: dg.DagsterInstance
) -> None:
    result = run(shipped, instance)
    assert result.success
    metadata = shown(result)
    assert metadata["state_object_count"].value >= 2
    assert metadata["prior_version_count"].value >= 5
    assert metadata["open_finding_count"].value == 3
    for plotted in ("state_object_count", "prior_version_count", "open_finding_count"):
        assert isinstance(metadata[plotted], dg.IntMetadataValue), "Dagster plots only numbers"
    rows = metadata["line"].records
    assert [row.data["name"] for row in rows] == list(CHECK_NAMES)
    assert all(row.data["remedy"] for row in rows if row.data["status"] != "PASS")
    states = {row.data["key"]: row.data["prior_version_count"] for row in metadata["state_files"].records}
    assert states["raxx-app/terraform.tfstate"] == 3


def test_each_line_is_a_check_and_the_yellow_ones_say_why(shipped: Policy, instance: dg.DagsterInstance) -> None:
    checks = evaluations(run(shipped, instance))
    assert tuple(checks) == CHECK_NAMES
    yellow = {name for name, check in checks.items() if not check.passed}
    assert yellow == {"mfa_delete", "public_access_block", "tls_only"}
    assert {checks[name].severity for name in yellow} == {dg.AssetCheckSeverity.WARN}
    assert (checks["public_access_block"].description or "").startswith("COULD_NOT_VERIFY: S3 could not read")
    assert checks["public_access_block"].metadata["status"].value == "COULD_NOT_VERIFY"
    assert "arn:aws:iam::ACCOUNT:mfa/DEVICE CODE" in (checks["mfa_delete"].description or "")


def test_without_versions_the_run_fails_and_the_posture_is_still_shown(
    shipped: Policy, instance: dg.DagsterInstance, breakable_sandbox: Sandbox
) -> None:
    breakable_sandbox.break_("bucket-versioning-off")
    result = run(shipped, instance)
    assert not result.success, "only a failed run raises an alert"
    red = evaluations(result)["versioning"]
    assert (red.passed, red.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "raxx-bcp state-bucket enable-versioning" in (red.description or "")
    assert shown(result)["open_finding_count"].value == 4


def test_versioning_that_cannot_be_read_is_red_and_the_other_unread_lines_are_yellow(
    shipped: Policy, instance: dg.DagsterInstance, breakable_sandbox: Sandbox
) -> None:
    breakable_sandbox.break_("state-bucket-denied")
    result = run(shipped, instance)
    assert not result.success
    checks = evaluations(result)
    unread = {name for name, check in checks.items() if check.metadata["status"].value == "COULD_NOT_VERIFY"}
    assert {name: checks[name].severity for name in unread} == {
        "versioning": dg.AssetCheckSeverity.ERROR,
        "mfa_delete": dg.AssetCheckSeverity.WARN,
        "default_encryption": dg.AssetCheckSeverity.WARN,
        "public_access_block": dg.AssetCheckSeverity.WARN,
        "noncurrent_lifecycle": dg.AssetCheckSeverity.WARN,
    }
    assert not any(checks[name].passed for name in unread)
    assert "(AccessDenied)" in shown(result)["state_files"].value
    assert "state_object_count" not in shown(result), "unknown is not zero"


def test_an_open_export_is_red_without_failing_the_run_and_is_told_once(
    shipped: Policy, instance: dg.DagsterInstance, breakable_sandbox: Sandbox
) -> None:
    breakable_sandbox.break_("terraform-reads-exports")
    result = run(shipped, instance)
    assert result.success
    red = evaluations(result)["terraform_cannot_read_exports"]
    assert (red.passed, red.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert red.metadata["warning_id"].value == "2031-03 raxx-terraform-plan raxx-terraform-apply"


@pytest.mark.parametrize("name", CHECK_NAMES)
@pytest.mark.parametrize("status", Status)
def test_the_colour_of_every_line(name: str, status: Status) -> None:
    result = assets.line_result(Check(name, status, "seen", "do"))
    yellow = status is Status.WARN or (status is Status.COULD_NOT_VERIFY and name not in BLOCKING)
    assert result.passed is (status is Status.PASS)
    assert result.severity is (dg.AssetCheckSeverity.WARN if yellow else dg.AssetCheckSeverity.ERROR)


def test_s3_that_is_away_is_tried_again_and_then_fails_with_its_sentence(
    shipped: Policy, instance: dg.DagsterInstance, breakable_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, credentials = breakable_sandbox.environment()["AWS_ENDPOINT_URL_S3"], breakable_sandbox.credentials()
    breakable_sandbox.break_("s3-down")
    monkeypatch.setattr(assets, "RETRY_WAIT_SECONDS", 0)
    monkeypatch.setattr(
        assets, "state_bucket_settings", lambda _policy: BucketSettings(BUCKET, impatient_client(endpoint, credentials))
    )
    result = run(shipped, instance)
    assert not result.success
    kinds = [event.event_type for event in result.all_events]
    assert kinds.count(dg.DagsterEventType.STEP_UP_FOR_RETRY) == assets.MAX_RETRIES
    assert "S3 could not be reached to read the versioning of bucket raxx-iac-state-prod" in failure_text(result)
    assert result.asset_materializations_for_node(POSTURE) == []


def test_the_bucket_itself_is_upstream(shipped: Policy) -> None:
    graph = definitions(shipped).resolve_asset_graph()
    assert graph.get(dg.AssetKey(POSTURE)).parent_keys == {dg.AssetKey("terraform_state_bucket")}
    assert not graph.get(dg.AssetKey("terraform_state_bucket")).is_materializable


def switch(policy: Policy, instance: dg.DagsterInstance, confirmation: str, operator: str) -> dg.ExecuteInProcessResult:
    return run(policy, instance, "enable_state_bucket_versioning", confirmation=confirmation, operator=operator)


def output_metadata(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (event,) = [event for event in result.all_events if event.is_successful_output]
    return {name: value.value for name, value in event.step_output_data.metadata.items()}


def test_a_person_switches_versioning_on_and_the_second_time_nothing_is_changed(
    shipped: Policy, instance: dg.DagsterInstance, breakable_sandbox: Sandbox
) -> None:
    breakable_sandbox.break_("bucket-versioning-off")
    first = switch(shipped, instance, BUCKET, "Ada")
    assert first.success
    assert output_metadata(first) == {
        "ok": True,
        "bucket": BUCKET,
        "versioning": "Enabled",
        "before": "Suspended",
        "changed": True,
        "operator": "Ada",
    }
    assert run(shipped, instance).success, "the posture is green again"
    second = switch(shipped, instance, BUCKET, "Ada")
    assert second.success
    assert output_metadata(second)["changed"] is False


@pytest.mark.parametrize(
    ("confirmation", "who", "words"),
    [
        ("yes", "Ada", "the confirmation is not the name of the bucket, raxx-iac-state-prod"),
        ("", "Ada", "the confirmation is not the name of the bucket"),
        (BUCKET, " ", "operator is empty"),
    ],
)
def test_without_confirmation_or_a_name_nothing_is_changed(
    shipped: Policy,
    instance: dg.DagsterInstance,
    breakable_sandbox: Sandbox,
    settings: BucketSettings,
    confirmation: str,
    who: str,
    words: str,
) -> None:
    breakable_sandbox.break_("bucket-versioning-off")
    result = switch(shipped, instance, confirmation, who)
    assert not result.success
    assert "Nothing was changed" in failure_text(result)
    assert words in failure_text(result)
    assert settings.versioning().versioning.value == "Suspended"


def test_the_launchpad_asks_for_both(shipped: Policy, instance: dg.DagsterInstance) -> None:
    job = definitions(shipped).resolve_job_def("enable_state_bucket_versioning")
    with pytest.raises(dg.DagsterInvalidConfigError, match="confirmation"):
        job.execute_in_process(instance=instance, run_config={"ops": {"switch_versioning_on": {"config": {}}}})
