"""Shows a drill's row soon after the drill: the evidence is refreshed whenever a drill has ended."""

import dagster as dg

_LATEST = 50


def evidence_sensor(job_name: str, drill_jobs: tuple[str, ...], drill_assets: tuple[str, ...]) -> dg.SensorDefinition:
    """``refresh_evidence``: one run of ``job_name`` for each ended drill, however it ended.

    The evidence cannot simply depend on the drill in one run: Dagster skips what comes after a failed step, and
    a failed drill has its row too.
    """

    @dg.sensor(
        name="refresh_evidence",
        job_name=job_name,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Looks at the evidence ledger again after each drill, also after one that failed.",
    )
    def refresh_evidence(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        ended = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
        records = context.instance.get_run_records(dg.RunsFilter(statuses=ended), limit=_LATEST)
        runs = [record.dagster_run for record in records]
        drills = [run for run in runs if _is_drill(run, drill_jobs, drill_assets)]
        return dg.SensorResult(run_requests=[dg.RunRequest(run_key=f"after-{run.run_id}") for run in drills])

    return refresh_evidence


def _is_drill(run: dg.DagsterRun, drill_jobs: tuple[str, ...], drill_assets: tuple[str, ...]) -> bool:
    """By its job, or, for a press on Materialize, by the assets that it materializes."""
    selected = {key.to_user_string() for key in run.asset_selection or ()}
    return run.job_name in drill_jobs or bool(selected & set(drill_assets))
