"""Jobs and schedules: one job for each thing that a person or a schedule starts. All times are UTC."""

from datetime import UTC

import dagster as dg

from raxx_bcp.dagster_terms import SCHEDULED_TAG
from raxx_bcp.drills.kinds import DRILL_NAMES, DRILLS, asset_of, job_of
from raxx_bcp.drills.restored_clock import RESTORED_RECENTLY
from raxx_bcp.drills.sweep_job import drill_sweeper
from raxx_bcp.drills.timetable import HOUR_UTC, MONTHLY_SCHEDULE, day_of_month, described, schedule_name
from raxx_bcp.policy import Policy
from raxx_bcp.snapshots.assets import apply_vault_snapshot_addon
from raxx_bcp.state_bucket.assets import enable_state_bucket_versioning

DAILY_LOOKS = (
    "vault_export_inventory",
    "snapshot_inventory",
    "state_bucket_posture",
    "freescout_dump_inventory",
    "drill_evidence",
)

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
    | dg.AssetSelection.checks(
        *(
            dg.AssetCheckKey(dg.AssetKey(drill), check)
            for drill in DRILLS
            for check in (RESTORED_RECENTLY, MONTHLY_SCHEDULE)
        )
    ),
    description="What the buckets and Lightsail really hold and how they are set up: gaps, costs, versions, posture.",
)
daily_freescout_dump_retention = dg.define_asset_job(
    "daily_freescout_dump_retention",
    selection=dg.AssetSelection.assets("freescout_dump_retention"),
    description="FreeScout's dump sets that the policy no longer keeps go, once the newest one is good.",
)
daily_heroku_postgres_facts = dg.define_asset_job(
    "daily_heroku_postgres_facts",
    selection=dg.AssetSelection.assets("heroku_postgres_facts"),
    description="D4: what the customer database holds, taken right after Heroku's own backup, for the drill of it.",
)
drill_jobs = [
    dg.define_asset_job(
        job_of(name),
        selection=dg.AssetSelection.assets(asset_of(name)),
        description=f"D4: the restore drill {name}. Asks who you are.",
    )
    for name in DRILL_NAMES
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
        dg.AssetCheckKey(dg.AssetKey("freescout_dump_inventory"), "today_is_there"),
    ),
    description="Is everything that is due there? Fails, and so alerts, when something is late.",
)

ASSET_JOBS = [
    daily_vault_snapshot,
    daily_vault_export,
    daily_inventory,
    daily_freescout_dump_retention,
    daily_heroku_postgres_facts,
    freshness_sentinel,
    *drill_jobs,
    refresh_drill_evidence,
]
OP_JOBS = [apply_vault_snapshot_addon, enable_state_bucket_versioning, drill_sweeper]


def schedules(policy: Policy) -> list[dg.ScheduleDefinition]:
    """Every schedule, running by default; of the drills only those that the policy names."""
    return [
        _of_the_day(daily_vault_snapshot.name, policy.vault_snapshot.schedule_utc, "D1"),
        _of_the_day(daily_vault_export.name, policy.vault_export.schedule_utc, "D3"),
        _of_the_day(daily_heroku_postgres_facts.name, policy.heroku_postgres.facts_at_utc, "D4"),
        _plain("daily_inventory_schedule", daily_inventory.name, "30 7 * * *"),
        _plain("daily_freescout_dump_retention_schedule", daily_freescout_dump_retention.name, "45 7 * * *"),
        _plain("freshness_sentinel_schedule", freshness_sentinel.name, "2 * * * *"),
        _plain("drill_sweeper_schedule", drill_sweeper.name, "12 * * * *"),
        *(_monthly_drill(name, policy) for name in DRILL_NAMES),
    ]


def _of_the_day(job_name: str, at_utc: str, decision: str) -> dg.ScheduleDefinition:
    """A daily schedule whose runs record their tick, so that a late one keeps its day."""
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


def _monthly_drill(name: str, policy: Policy) -> dg.ScheduleDefinition:
    """On where the policy names the drill. A drill makes things that cost money, so a person must trust it first.

    Switching it on in the UI starts nothing, and the tick says why: the daemon forgets such a switch (dagster 26634),
    and what runs must not depend on it.
    """
    listed = name in policy.drills.scheduled

    @dg.schedule(
        name=schedule_name(name),
        job_name=job_of(name),
        cron_schedule=f"0 {HOUR_UTC} {day_of_month(name)} * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING if listed else dg.DefaultScheduleStatus.STOPPED,
        description=f"D4: {described(policy, name)}. The switch here does not decide.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if not listed:
            return dg.SkipReason(
                f"bcp.toml does not name {name} in [drills] scheduled, and a switch here does not decide. "
                "Write it there, or switch this schedule off."
            )
        scheduled = context.scheduled_execution_time.astimezone(UTC).isoformat()
        config = {"ops": {asset_of(name): {"config": {"operator": "the monthly schedule"}}}}
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
