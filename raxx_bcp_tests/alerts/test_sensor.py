"""The alert sensor on a real Dagster instance and the Slack sink: nothing lost, nothing twice."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
import requests

from raxx_bcp.alerts.sensors import TOLD_TAG, alert_sensor
from raxx_bcp.checks import Check, Status
from raxx_bcp.dagster_terms import check_result
from raxx_bcp.definitions import build_defs
from raxx_bcp.errors import TransientError
from raxx_bcp.policy import Policy
from raxx_bcp.resources import Raxx
from raxx_bcp_sandbox.supervisor import Sandbox


class Alerts:
    """The sensor as the daemon drives it: one tick after the other, the cursor kept only after a good tick."""

    def __init__(self, instance: dg.DagsterInstance, policy: Policy) -> None:
        self.instance = instance
        self.policy = policy
        self.cursor: str | None = None
        self.now = datetime.now(UTC)
        self._slack = str(Raxx(policy).slack()._client.base_url).removesuffix("api/")

    def tick(self) -> None:
        raxx = Raxx(self.policy, clock=lambda: self.now)
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor, resources={"raxx": raxx})
        alert_sensor(self.policy.alerts).evaluate_tick(context)
        self.cursor = context.cursor

    def arrived(self) -> list[str]:
        messages = requests.get(f"{self._slack}_sandbox/messages", timeout=10).json()["messages"]
        return [message["blocks"][0]["text"]["text"] for message in messages]

    def clear(self) -> None:
        requests.delete(f"{self._slack}_sandbox/messages", timeout=10).raise_for_status()


class KeptConfig(dg.Config):
    """``days``: within how many the key expires; 0: not at all."""

    days: int = 0


@dg.asset
def good() -> None:
    """Materializes."""


@dg.asset
def bad() -> None:
    """Fails with a sentence."""
    raise dg.Failure("The disk is full.\nWhat to do: buy another.", allow_retries=False)


@dg.asset_check(asset="good", name="today_is_there", blocking=True)
def red() -> dg.AssetCheckResult:
    """A blocking check that is red."""
    return dg.AssetCheckResult(passed=False, description="The export of 2031-03-14 is late.")


DEFS = dg.Definitions(
    assets=[good, bad],
    asset_checks=[red],
    jobs=[
        dg.define_asset_job("nightly", selection=dg.AssetSelection.assets("good", "bad").without_checks()),
        dg.define_asset_job("only_good", selection=dg.AssetSelection.assets("good").without_checks()),
        dg.define_asset_job(
            "freshness_sentinel",
            selection=dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("good"), "today_is_there")),
        ),
    ],
)


@pytest.fixture
def alerts(policy: Policy, breakable_sandbox: Sandbox) -> Iterator[Alerts]:
    """``breakable_sandbox`` mends Slack afterwards."""
    with dg.DagsterInstance.ephemeral() as instance:
        made = Alerts(instance, policy)
        made.clear()
        yield made


def run(alerts: Alerts, job: str) -> dg.ExecuteInProcessResult:
    return DEFS.resolve_job_def(job).execute_in_process(instance=alerts.instance, raise_on_error=False)


def killed_run(alerts: Alerts, event: dg.DagsterEventType, status: dg.DagsterRunStatus) -> str:
    """A run that planned ``bad`` and whose process then vanished: no step failure, only the monitor's word."""
    job = DEFS.resolve_job_def("nightly")
    made = alerts.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    message = "Run worker vanished" if event is dg.DagsterEventType.RUN_FAILURE else "Run was cancelled"
    alerts.instance.report_dagster_event(
        dg.DagsterEvent(event.value, job_name=job.name, message=message), run_id=made.run_id
    )
    assert alerts.instance.get_run_by_id(made.run_id).status is status  # type: ignore[union-attr]
    return made.run_id


def test_a_failed_run_is_told_with_its_reason_and_a_good_one_is_not(alerts: Alerts) -> None:
    run(alerts, "only_good")
    alerts.tick()
    assert alerts.arrived() == []
    run(alerts, "nightly")
    alerts.tick()
    (text,) = alerts.arrived()
    assert "*bad failed*" in text
    assert "The disk is full.\nWhat to do: buy another." in text
    assert "Traceback" not in text


def test_nothing_is_told_twice(alerts: Alerts) -> None:
    run(alerts, "nightly")
    for _tick in range(3):
        alerts.tick()
    alerts.cursor = None
    alerts.tick()
    assert len(alerts.arrived()) == 1, "also not after the cursor was lost: the run itself remembers"


@pytest.mark.parametrize("fault", ["slack-down", "slack-ratelimited", "slack-channel-gone", "slack-token-revoked"])
def test_an_alert_that_slack_did_not_take_arrives_once_it_does(
    alerts: Alerts, breakable_sandbox: Sandbox, fault: str
) -> None:
    alerts.tick()
    breakable_sandbox.break_(fault)
    run(alerts, "nightly")
    for _tick in range(3):
        with pytest.raises(dg.Failure, match="was not delivered"):
            alerts.tick()
    breakable_sandbox.mend(fault)
    assert alerts.arrived() == []
    alerts.tick()
    alerts.tick()
    assert len(alerts.arrived()) == 1


def test_of_several_failures_each_is_told_also_when_slack_fails_in_between(
    alerts: Alerts, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _run in range(3):
        run(alerts, "nightly")
    sent: list[Any] = []
    genuine = Raxx.slack

    class Flaky:
        def __init__(self, raxx: Raxx) -> None:
            self._slack = genuine(raxx)

        def post(self, channel: str, message: Any) -> str:
            sent.append(message)
            if len(sent) == 2:
                raise TransientError("Slack is busy.", "Wait.")
            return self._slack.post(channel, message)

    monkeypatch.setattr(Raxx, "slack", lambda raxx: Flaky(raxx))
    with pytest.raises(dg.Failure):
        alerts.tick()
    alerts.tick()
    assert len(alerts.arrived()) == 3
    assert len(sent) == 4


def test_a_long_backlog_of_both_kinds_is_told_whole(alerts: Alerts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raxx_bcp.alerts.sensors._BATCH", 2)
    monkeypatch.setattr("raxx_bcp.alerts.sensors._OVERLAP_IDS", 1)
    for _run in range(5):
        killed_run(alerts, dg.DagsterEventType.RUN_FAILURE, dg.DagsterRunStatus.FAILURE)
    killed_run(alerts, dg.DagsterEventType.RUN_CANCELED, dg.DagsterRunStatus.CANCELED)
    for _tick in range(8):
        alerts.tick()
    assert len(alerts.arrived()) == 6


def test_a_killed_run_names_its_asset_and_says_how_it_ended(alerts: Alerts) -> None:
    killed_run(alerts, dg.DagsterEventType.RUN_FAILURE, dg.DagsterRunStatus.FAILURE)
    alerts.tick()
    (text,) = alerts.arrived()
    assert "bad" in text.splitlines()[0]
    assert "Run worker vanished\nWhat to do: its process was killed" in text


def test_a_cancelled_run_is_told_too(alerts: Alerts) -> None:
    killed_run(alerts, dg.DagsterEventType.RUN_CANCELED, dg.DagsterRunStatus.CANCELED)
    alerts.tick()
    (text,) = alerts.arrived()
    assert "was cancelled" in text.splitlines()[0]
    assert "What to do: a person or the time limit ended it" in text


def test_what_failed_before_the_very_first_tick_is_told_unless_it_is_old_history(alerts: Alerts) -> None:
    run(alerts, "nightly")
    alerts.now += timedelta(hours=25)
    alerts.tick()
    assert alerts.arrived() == [], "a day-old failure is history when the sensor first starts"
    alerts.cursor, alerts.now = None, datetime.now(UTC)
    alerts.tick()
    assert len(alerts.arrived()) == 1


def test_a_lateness_is_told_once_and_not_every_hour(alerts: Alerts) -> None:
    for _hour in range(4):
        run(alerts, "freshness_sentinel")
        alerts.tick()
    (text,) = alerts.arrived()
    assert "The export of 2031-03-14 is late." in text
    told = [record.dagster_run.tags.get(TOLD_TAG, "") for record in alerts.instance.get_run_records()]
    assert sum(tag.startswith("slack ") for tag in told) == 1
    assert sum(tag.startswith("covered") for tag in told) == 3


def test_a_lateness_after_a_good_hour_is_told_again(alerts: Alerts) -> None:
    run(alerts, "freshness_sentinel")
    alerts.tick()
    healthy = dg.Definitions(assets=[good], jobs=[dg.define_asset_job("freshness_sentinel", selection="good")])
    done = healthy.resolve_job_def("freshness_sentinel").execute_in_process(instance=alerts.instance)
    assert done.success
    alerts.tick()
    run(alerts, "freshness_sentinel")
    alerts.tick()
    assert len(alerts.arrived()) == 2


@dg.asset_check(asset="bad", name="snapshot_is_there", blocking=True)
def red_too() -> dg.AssetCheckResult:
    """A second thing that the sentinel watches."""
    return dg.AssetCheckResult(passed=False, description="The snapshot of 2031-03-14 is late.")


def test_a_second_lateness_is_news_while_the_first_one_lasts(alerts: Alerts) -> None:
    run(alerts, "freshness_sentinel")
    alerts.tick()
    both = dg.Definitions(
        assets=[good, bad],
        asset_checks=[red, red_too],
        jobs=[dg.define_asset_job("freshness_sentinel", selection=dg.AssetSelection.all_asset_checks())],
    )
    for _hour in range(3):
        job = both.resolve_job_def("freshness_sentinel")
        job.execute_in_process(instance=alerts.instance, raise_on_error=False)
        alerts.tick()
    first, second = alerts.arrived()
    assert "snapshot of 2031-03-14 is late" not in first
    assert "The snapshot of 2031-03-14 is late." in second


@dg.asset(
    check_specs=[dg.AssetCheckSpec("loud", asset="mixed", blocking=True), dg.AssetCheckSpec("quiet", asset="mixed")]
)
def mixed() -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster knows only the bare class
    """One check fails the run, another only warns."""
    loud = Check("loud", Status.FAIL, "The versions are off.", "Switch them on.")
    quiet = Check("quiet", Status.WARN, "MFA delete is off.", "Think about it.")
    return dg.MaterializeResult(check_results=[check_result(loud), check_result(quiet)])


def test_the_alert_names_what_failed_the_run_and_not_what_only_warns(alerts: Alerts) -> None:
    job = dg.Definitions(assets=[mixed]).resolve_implicit_global_asset_job_def()
    job.execute_in_process(instance=alerts.instance, raise_on_error=False)
    alerts.tick()
    (text,) = alerts.arrived()
    assert "The versions are off." in text
    assert "MFA delete" not in text


@dg.asset(check_specs=[dg.AssetCheckSpec("key_expiry", asset="kept")])
def kept(config: KeptConfig) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster knows only the bare class
    """Good, with or without a warning."""
    status = Status.WARN if config.days else Status.PASS
    warning_id = f"ABCD-{config.days}-days" if config.days else ""
    check = Check("key_expiry", status, f"ABCD expires (within {config.days}).", "Extend it.", warning_id)
    return dg.MaterializeResult(check_results=[check_result(check)])


def _keep(alerts: Alerts, days: int) -> None:
    job = dg.Definitions(assets=[kept]).resolve_implicit_global_asset_job_def()
    config = {"ops": {"kept": {"config": {"days": days}}}}
    assert job.execute_in_process(instance=alerts.instance, run_config=config).success


def test_a_warning_is_told_when_it_begins_and_not_every_day(alerts: Alerts, breakable_sandbox: Sandbox) -> None:
    _keep(alerts, 0)
    alerts.tick()
    assert alerts.arrived() == []
    breakable_sandbox.break_("slack-down")
    _keep(alerts, 60)
    with pytest.raises(dg.Failure):
        alerts.tick()
    breakable_sandbox.mend("slack-down")
    for _day in range(3):
        alerts.tick()
        _keep(alerts, 60)
    (text,) = alerts.arrived()
    assert "*kept: key_expiry warns*" in text
    assert "ABCD expires (within 60). Extend it." in text
    _keep(alerts, 30)
    alerts.tick()
    assert len(alerts.arrived()) == 2, "the next threshold is a new warning"


def test_the_channel_and_the_link_are_the_policys(alerts: Alerts) -> None:
    policy = alerts.policy
    elsewhere = policy.alerts.model_copy(update={"ui_url": "https://bcp.example.com"})
    alerts.policy = policy.model_copy(update={"alerts": elsewhere})
    run(alerts, "nightly")
    alerts.tick()
    assert "<https://bcp.example.com/runs/" in alerts.arrived()[0]


def test_the_sensor_is_on_by_default_and_part_of_the_definitions() -> None:
    sensor = build_defs().resolve_sensor_def("alert_on_trouble")
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING


def test_no_secret_is_in_what_the_resource_shows(alerts: Alerts) -> None:
    raxx = replace(Raxx(alerts.policy))
    shown = repr(raxx) + repr(raxx.slack()) + repr(raxx.export_connections()) + repr(raxx.operator_key())
    for name in ("INFISICAL_CLIENT_SECRET", "AWS_SECRET_ACCESS_KEY", "SLACK_BOT_TOKEN"):
        assert os.environ[name] not in shown
