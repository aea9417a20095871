"""Which drills the clock starts: the policy decides, and a switch in Dagster's UI that says otherwise is shown."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from raxx_bcp.checks import Check, Status
from raxx_bcp.definitions import build_defs
from raxx_bcp.drills.kinds import DRILL_NAMES
from raxx_bcp.drills.loading import kinds
from raxx_bcp.drills.schedule_checks import monthly_schedule_checks, switches
from raxx_bcp.drills.timetable import (
    MONTHLY_SCHEDULE,
    SWITCHED_OFF,
    SWITCHED_ON,
    checks_by_asset,
    next_run,
    schedule_check,
    schedules_check,
)
from raxx_bcp.policy import Drills, Policy
from raxx_bcp.resources import Raxx

ROOT = Path(__file__).parent.parent.parent
NOW = datetime(2031, 3, 14, 9, 0, tzinfo=UTC)
LISTED = Policy(drills=Drills(scheduled=("heroku_postgres", "state_recovery")))


def test_the_names_are_those_of_the_drills_in_their_order() -> None:
    assert tuple(kind.name for kind in kinds()) == DRILL_NAMES


@pytest.mark.parametrize("name", DRILL_NAMES)
def test_a_schedule_runs_by_default_where_the_policy_names_its_drill_and_only_there(name: str) -> None:
    status = build_defs(LISTED).resolve_schedule_def(f"drill_{name}_schedule").default_status
    listed = name in LISTED.drills.scheduled
    assert status is (dg.DefaultScheduleStatus.RUNNING if listed else dg.DefaultScheduleStatus.STOPPED)


def test_a_tick_of_a_named_drill_says_who_it_is_and_is_the_same_when_run_twice() -> None:
    schedule = build_defs(LISTED).resolve_schedule_def("drill_heroku_postgres_schedule")
    due = dg.build_schedule_context(scheduled_execution_time=datetime(2031, 4, 2, 9, 0, tzinfo=UTC))
    first, again = (schedule.evaluate_tick(due).run_requests or [] for _ in range(2))
    (request,) = first
    assert request.run_config["ops"]["heroku_postgres_drill"]["config"] == {"operator": "the monthly schedule"}
    assert [one.run_key for one in again] == [request.run_key], "Dagster starts one run for one key"


def test_a_tick_that_only_a_switch_in_the_ui_brought_starts_nothing_and_says_why() -> None:
    schedule = build_defs(Policy()).resolve_schedule_def("drill_heroku_postgres_schedule")
    due = dg.build_schedule_context(scheduled_execution_time=datetime(2031, 4, 2, 9, 0, tzinfo=UTC))
    ticked = schedule.evaluate_tick(due)
    assert not ticked.run_requests
    assert "bcp.toml does not name heroku_postgres" in (ticked.skip_message or "")


@pytest.mark.parametrize("name", DRILL_NAMES)
@pytest.mark.parametrize(
    "now",
    [
        datetime(2031, 3, 14, 9, 0, tzinfo=UTC),
        datetime(2031, 12, 31, 23, 59, tzinfo=UTC),
        datetime(2032, 1, 31, 0, 0, tzinfo=UTC),
        datetime(2031, 4, 2, 8, 59, 59, tzinfo=UTC),
        datetime(2031, 4, 2, 9, 0, tzinfo=UTC),
    ],
)
def test_the_next_run_is_the_one_that_the_schedules_own_cron_line_names(name: str, now: datetime) -> None:
    cron = str(build_defs(LISTED).resolve_schedule_def(f"drill_{name}_schedule").cron_schedule)
    minute, hour, day, *_every = cron.split()
    quarter = now.replace(minute=now.minute // 15 * 15, second=0)
    while quarter <= now or (quarter.minute, quarter.hour, quarter.day) != (int(minute), int(hour), int(day)):
        quarter += timedelta(minutes=15)
    assert next_run(name, now) == quarter


@pytest.mark.parametrize(
    ("name", "switch", "status", "words"),
    [
        ("heroku_postgres", None, Status.PASS, "next on 2031-04-02 09:00 UTC"),
        ("heroku_postgres", "DECLARED_IN_CODE", Status.PASS, "on by bcp.toml"),
        ("heroku_postgres", SWITCHED_ON, Status.PASS, "on by bcp.toml"),
        ("heroku_postgres", SWITCHED_OFF, Status.FAIL, "was switched off in Dagster's UI"),
        ("freescout_dump", None, Status.PASS, "off: bcp.toml does not name it"),
        ("freescout_dump", SWITCHED_OFF, Status.PASS, "off: bcp.toml does not name it"),
        ("freescout_dump", SWITCHED_ON, Status.WARN, "which starts nothing"),
    ],
)
def test_a_switch_that_says_otherwise_than_the_policy_is_shown(
    name: str, switch: str | None, status: Status, words: str
) -> None:
    check = schedule_check(LISTED, name, NOW, switch)
    assert check.status is status
    assert words in check.detail
    assert bool(check.remedy) is (status is not Status.PASS)
    assert bool(check.warning_id) is (status is Status.FAIL), "Slack is told once a month of a promise not kept"


def test_doctor_says_what_is_on_and_when_it_runs_next() -> None:
    (some,) = schedules_check(LISTED, NOW)
    assert some.detail == (
        "on: heroku-postgres next on 2031-04-02 09:00 UTC, state-recovery next on 2031-04-07 09:00 UTC; "
        "off: freescout-snapshot, freescout-dump, vault-export, vault-snapshot (bcp.toml, [drills] scheduled)."
    )
    (none,) = schedules_check(Policy(), NOW)
    assert none.detail.startswith("on: none; off: heroku-postgres")
    assert none.status is Status.PASS


def test_the_drill_that_needs_the_private_key_is_not_promised_by_a_clock_in_silence() -> None:
    _what, alone = schedules_check(Policy(drills=Drills(scheduled=("vault_export",))), NOW)
    assert alone.status is Status.WARN
    assert "without the private key it cannot pass" in alone.detail
    assert "take it out" in alone.remedy.lower()


def test_the_catalog_says_it_on_each_drills_asset() -> None:
    graph = build_defs(LISTED).resolve_asset_graph()
    on = graph.get(dg.AssetKey("heroku_postgres_drill")).metadata["monthly_schedule"]
    off = graph.get(dg.AssetKey("vault_snapshot_drill")).metadata["monthly_schedule"]
    assert "on by bcp.toml: day 2 of each month at 09:00 UTC" in str(on)
    assert "off" in str(off)


@pytest.fixture
def dagster_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Dagster instance of this test's own, on disk, as production has one."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("RAXX_BCP_DRILLS__SCHEDULED", json.dumps(LISTED.drills.scheduled))
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    return tmp_path


def switch_in_dagster(verb: str, schedule: str) -> None:
    """What the switch in the UI does, by Dagster's own command."""
    command = [
        str(Path(sys.executable).parent / "dagster"),
        "schedule",
        verb,
        schedule,
        "-w",
        str(ROOT / "workspace.yaml"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr


def evaluated(policy: Policy) -> dict[str, tuple[bool, str]]:
    """The checks as a run leaves them in the catalog, by asset."""
    checks = monthly_schedule_checks(policy)
    job = dg.define_asset_job("looks", selection=dg.AssetSelection.checks(checks))
    defs = dg.Definitions(asset_checks=[checks], jobs=[job], resources={"raxx": Raxx(policy, lambda: NOW)})
    with dg.DagsterInstance.get() as instance:
        result = defs.resolve_job_def("looks").execute_in_process(instance=instance)
    return {
        evaluation.asset_key.to_user_string(): (evaluation.passed, evaluation.description or "")
        for evaluation in result.get_asset_check_evaluations()
    }


def test_the_schedules_are_looked_at_every_day() -> None:
    assert MONTHLY_SCHEDULE in {node.name for node in build_defs().resolve_job_def("daily_inventory").nodes}


def test_a_switch_in_dagster_that_contradicts_the_policy_turns_the_drills_asset_red(dagster_home: Path) -> None:
    before = evaluated(LISTED)
    assert len(before) == len(DRILL_NAMES)
    assert all(passed for passed, _ in before.values()), before
    assert "next on 2031-04-02 09:00 UTC" in before["heroku_postgres_drill"][1]
    switch_in_dagster("stop", "drill_heroku_postgres_schedule")
    switch_in_dagster("start", "drill_freescout_dump_schedule")
    with dg.DagsterInstance.get() as instance:
        assert switches(instance) == {
            "drill_heroku_postgres_schedule": SWITCHED_OFF,
            "drill_freescout_dump_schedule": SWITCHED_ON,
        }
    after = evaluated(LISTED)
    wrong = {asset: words for asset, (passed, words) in after.items() if not passed}
    assert set(wrong) == {"heroku_postgres_drill", "freescout_dump_drill"}
    assert wrong["heroku_postgres_drill"].startswith("FAIL: bcp.toml names this drill")
    assert wrong["freescout_dump_drill"].startswith("WARN: its schedule was switched on")


def test_an_instance_without_schedules_has_no_switches() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert switches(instance) == {}
    assert all(isinstance(check, Check) for check in checks_by_asset(LISTED, NOW, {}).values())
