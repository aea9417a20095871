"""Jobs and schedules: one job for each thing that a person or the clock starts. All times are UTC."""

from datetime import UTC

import dagster as dg

from raxx_bcp.dagster_terms import SCHEDULED_TAG
from raxx_bcp.policy import Policy

daily_vault_export = dg.define_asset_job(
    "daily_vault_export",
    selection=dg.AssetSelection.assets("vault_export"),
    description="D3: export the vault, store it, read it back.",
)
daily_inventory = dg.define_asset_job(
    "daily_inventory",
    selection=dg.AssetSelection.assets("vault_export_inventory"),
    description="What the buckets really hold: gaps, sizes, versions.",
)
freshness_sentinel = dg.define_asset_job(
    "freshness_sentinel",
    selection=dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("vault_export"), "today_is_there")),
    description="Is everything that is due there? Fails, and so alerts, when something is late.",
)

JOBS = [daily_vault_export, daily_inventory, freshness_sentinel]


def schedules(policy: Policy) -> list[dg.ScheduleDefinition]:
    """Every schedule, running by default."""
    return [
        _daily_export(policy.vault_export.schedule_utc),
        _plain("daily_inventory_schedule", daily_inventory.name, "30 7 * * *"),
        _plain("freshness_sentinel_schedule", freshness_sentinel.name, "2 * * * *"),
    ]


def _daily_export(at_utc: str) -> dg.ScheduleDefinition:
    hour, minute = at_utc.split(":")

    @dg.schedule(
        name="daily_vault_export_schedule",
        job=daily_vault_export,
        cron_schedule=f"{int(minute)} {int(hour)} * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"ADR-0103 D3: every day at {at_utc} UTC.",
    )
    def daily_vault_export_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        scheduled = context.scheduled_execution_time.astimezone(UTC)
        return dg.RunRequest(run_key=scheduled.isoformat(), tags={SCHEDULED_TAG: scheduled.isoformat()})

    return daily_vault_export_schedule


def _plain(name: str, job_name: str, cron: str) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=name,
        job_name=job_name,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
