"""Jobs and schedules: one job for each thing that a person or the clock starts. All times are UTC."""

from datetime import UTC

import dagster as dg

from raxx_bcp.dagster_terms import SCHEDULED_TAG
from raxx_bcp.drills.clock import RESTORED_RECENTLY
from raxx_bcp.drills.kinds import DRILLS, KINDS, Kind
from raxx_bcp.drills.sweeping import drill_sweeper
from raxx_bcp.policy import Policy
from raxx_bcp.snapshots.assets import apply_vault_snapshot_addon
from raxx_bcp.state_bucket.assets import enable_state_bucket_versioning

DAILY_LOOKS = ("vault_export_inventory", "snapshot_inventory", "state_bucket_posture", "drill_evidence")
_FIRST_DRILL_DAY = 2

daily_vault_export = dg.define_asset_job(
    "daily_vault_export",
    selection=dg.AssetSelection.assets("vault_export"),
    description="D3: export the vault, store it, read it back.",
)
daily_vault_snapshot = dg.define_asset_job(
    "daily_vault_snapshot",
    selection=dg.AssetSelection.assets("vault_snapshot"),
    description="D1: take the vault host's snapshot, wait for it, keep seven.",
)
daily_inventory = dg.define_asset_job(
    "daily_inventory",
    selection=dg.AssetSelection.assets(*DAILY_LOOKS)
    | dg.AssetSelection.checks(*(dg.AssetCheckKey(dg.AssetKey(drill), RESTORED_RECENTLY) for drill in DRILLS)),
    description="What the buckets and Lightsail really hold and how they are set up: gaps, costs, versions, posture.",
)
drill_jobs = [
    dg.define_asset_job(
        kind.job,
        selection=dg.AssetSelection.assets(kind.asset),
        description=f"D4: the restore drill {kind.name}. Asks who you are.",
    )
    for kind in KINDS
]
refresh_drill_evidence = dg.define_asset_job(
    "refresh_drill_evidence",
    selection=dg.AssetSelection.assets("drill_evidence"),
    description="D4: verify the evidence ledger, store the report, judge each card's gate.",
)
freshness_sentinel = dg.define_asset_job(
    "freshness_sentinel",
    selection=dg.AssetSelection.checks(
        dg.AssetCheckKey(dg.AssetKey("vault_export"), "today_is_there"),
        dg.AssetCheckKey(dg.AssetKey("vault_snapshot"), "snapshot_is_there"),
    ),
    description="Is everything that is due there? Fails, and so alerts, when something is late.",
)

ASSET_JOBS = [
    daily_vault_snapshot,
    daily_vault_export,
    daily_inventory,
    freshness_sentinel,
    *drill_jobs,
    refresh_drill_evidence,
]
OP_JOBS = [apply_vault_snapshot_addon, enable_state_bucket_versioning, drill_sweeper]


def schedules(policy: Policy) -> list[dg.ScheduleDefinition]:
    """Every schedule, running by default."""
    return [
        _of_the_day(daily_vault_snapshot.name, policy.vault_snapshot.schedule_utc, "D1"),
        _of_the_day(daily_vault_export.name, policy.vault_export.schedule_utc, "D3"),
        _plain("daily_inventory_schedule", daily_inventory.name, "30 7 * * *"),
        _plain("freshness_sentinel_schedule", freshness_sentinel.name, "2 * * * *"),
        _plain("drill_sweeper_schedule", drill_sweeper.name, "12 * * * *"),
        *(_monthly_drill(kind, _FIRST_DRILL_DAY + day) for day, kind in enumerate(KINDS)),
    ]


def _of_the_day(job_name: str, at_utc: str, decision: str) -> dg.ScheduleDefinition:
    """A daily schedule whose runs say for which tick they are, so that a late one keeps its day."""
    hour, minute = at_utc.split(":")

    @dg.schedule(
        name=f"{job_name}_schedule",
        job_name=job_name,
        cron_schedule=f"{int(minute)} {int(hour)} * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"ADR-0103 {decision}: every day at {at_utc} UTC.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        scheduled = context.scheduled_execution_time.astimezone(UTC)
        return dg.RunRequest(run_key=scheduled.isoformat(), tags={SCHEDULED_TAG: scheduled.isoformat()})

    return schedule


def _monthly_drill(kind: Kind, day: int) -> dg.ScheduleDefinition:
    """Off until a person trusts it: a drill makes things that cost money. One drill a day, from the second on."""

    @dg.schedule(
        name=f"{kind.job}_schedule",
        job_name=kind.job,
        cron_schedule=f"0 9 {day} * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=f"D4: on day {day} of each month at 09:00 UTC. Switch it on once the drill is trusted.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        scheduled = context.scheduled_execution_time.astimezone(UTC).isoformat()
        config = {"ops": {kind.asset: {"config": {"operator": "the monthly schedule"}}}}
        return dg.RunRequest(run_key=scheduled, run_config=config, tags={SCHEDULED_TAG: scheduled})

    return schedule


def _plain(name: str, job_name: str, cron: str) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=name,
        job_name=job_name,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
