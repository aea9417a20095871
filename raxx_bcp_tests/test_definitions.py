"""What Dagster loads, as a person sees it: a change here is a change for the operator."""

from __future__ import annotations

import tomllib
from pathlib import Path

import dagster as dg
import pytest
import yaml

from raxx_bcp.definitions import build_defs
from raxx_bcp.drills.kinds import DRILL_JOBS
from raxx_bcp.errors import UsageError

ROOT = Path(__file__).parent.parent


def test_the_assets_and_their_checks() -> None:
    graph = build_defs().resolve_asset_graph()
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == {
        "drill_evidence",
        "freescout_dump_drill",
        "freescout_dump_inventory",
        "freescout_dump_retention",
        "freescout_dumps",
        "freescout_instance",
        "freescout_snapshot_drill",
        "heroku_postgres_database",
        "heroku_postgres_drill",
        "heroku_postgres_facts",
        "infisical_vault",
        "snapshot_inventory",
        "state_bucket_posture",
        "state_recovery_drill",
        "terraform_state_bucket",
        "vault_export",
        "vault_export_drill",
        "vault_export_inventory",
        "vault_instance",
        "vault_snapshot",
        "vault_snapshot_drill",
    }
    assert {key.to_user_string() for key in graph.asset_check_keys} == {
        "drill_evidence:chain_intact",
        "drill_evidence:gate_freescout",
        "drill_evidence:gate_heroku_postgres",
        "drill_evidence:gate_terraform_state",
        "drill_evidence:gate_vault",
        "drill_evidence:gate_vault_snapshot",
        "freescout_dump_drill:monthly_schedule",
        "freescout_dump_drill:passed",
        "freescout_dump_drill:restored_recently",
        "freescout_dump_inventory:encrypted",
        "freescout_dump_inventory:no_gaps",
        "freescout_dump_inventory:size",
        "freescout_dump_inventory:today_is_there",
        "freescout_dump_retention:retention",
        "freescout_snapshot_drill:monthly_schedule",
        "freescout_snapshot_drill:passed",
        "freescout_snapshot_drill:restored_recently",
        "heroku_postgres_drill:monthly_schedule",
        "heroku_postgres_drill:passed",
        "heroku_postgres_drill:restored_recently",
        "heroku_postgres_facts:taken_soon_after_the_backup",
        "snapshot_inventory:addon_as_promised",
        "snapshot_inventory:copies",
        "snapshot_inventory:enough_good_ones",
        "snapshot_inventory:freescout_backup",
        "snapshot_inventory:newest_is_fresh",
        "snapshot_inventory:none_stuck",
        "snapshot_inventory:not_above_retention",
        "state_bucket_posture:default_encryption",
        "state_bucket_posture:mfa_delete",
        "state_bucket_posture:noncurrent_lifecycle",
        "state_bucket_posture:public_access_block",
        "state_bucket_posture:terraform_cannot_read_exports",
        "state_bucket_posture:tls_only",
        "state_bucket_posture:versioning",
        "state_recovery_drill:monthly_schedule",
        "state_recovery_drill:passed",
        "state_recovery_drill:restored_recently",
        "vault_export:completeness",
        "vault_export:key_expiry",
        "vault_export:read_back",
        "vault_export:recipients",
        "vault_export:second_copy",
        "vault_export:shrink",
        "vault_export:today_is_there",
        "vault_export_drill:monthly_schedule",
        "vault_export_drill:passed",
        "vault_export_drill:restored_recently",
        "vault_export_inventory:no_gaps",
        "vault_snapshot:available",
        "vault_snapshot:copy",
        "vault_snapshot:retention",
        "vault_snapshot:snapshot_is_there",
        "vault_snapshot_drill:monthly_schedule",
        "vault_snapshot_drill:passed",
        "vault_snapshot_drill:restored_recently",
    }


def test_the_export_says_whose_it_is_and_is_not_partitioned() -> None:
    spec = build_defs().resolve_asset_graph().get(dg.AssetKey("vault_export"))
    assert spec.owners == ["team:sre"]
    assert spec.group_name == "vault"
    assert spec.kinds == {"s3", "infisical"}
    assert spec.partitions_def is None, "a past day cannot be exported again"
    assert spec.freshness_policy is not None


def test_the_schedules_run_by_default_in_utc() -> None:
    defs = build_defs()
    crons = {
        "daily_freescout_dump_retention_schedule": "45 7 * * *",
        "daily_vault_snapshot_schedule": "30 6 * * *",
        "daily_vault_export_schedule": "0 7 * * *",
        "daily_heroku_postgres_facts_schedule": "30 5 * * *",
        "daily_inventory_schedule": "30 7 * * *",
        "drill_sweeper_schedule": "12 * * * *",
        "freshness_sentinel_schedule": "2 * * * *",
    }
    off_until_trusted = {f"{job}_schedule" for job in DRILL_JOBS}
    assert {schedule.name for schedule in defs.schedules or []} == set(crons) | off_until_trusted
    for name, cron in crons.items():
        schedule = defs.resolve_schedule_def(name)
        assert (schedule.cron_schedule, schedule.execution_timezone) == (cron, "UTC")
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


def test_a_wrong_policy_is_refused_at_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAXX_BCP_VAULT_EXPORT__CONCURRENCY", "99")
    with pytest.raises(UsageError, match="CONCURRENCY"):
        build_defs()


def test_the_code_location_has_one_name() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["dg"]["project"]
    (location,) = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    assert location["python_module"]["location_name"] == project["code_location_name"]
    assert location["python_module"]["module_name"] == project["code_location_target_module"]


def test_the_instance_gives_up_lost_runs_and_sends_nothing_home() -> None:
    config = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    assert config["run_monitoring"]["enabled"] is True
    assert config["run_monitoring"]["max_runtime_seconds"] > 0
    assert config["telemetry"]["enabled"] is False
    assert config["concurrency"]["pools"]["default_limit"] == 1
    assert "retention" in config
