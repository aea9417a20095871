"""The drills in Dagster: an asset and a job each, started by a person; the sweeper; the clock of the second kind."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import dagster as dg

from raxx_bcp.checks import Check, Status
from raxx_bcp.dagster_terms import OWNER, SCHEDULED_TAG, check_result, failure
from raxx_bcp.drills.clock import RESTORED_RECENTLY, restored_recently
from raxx_bcp.drills.conduct import Conducted, conduct
from raxx_bcp.drills.doors import places
from raxx_bcp.drills.drill import Drill
from raxx_bcp.drills.heroku_postgres import CHECKS, KIND, NEWEST, Wanted, heroku_postgres, order
from raxx_bcp.drills.sweeper import sweep
from raxx_bcp.errors import BcpError
from raxx_bcp.evidence.row import Verdict
from raxx_bcp.policy import Policy
from raxx_bcp.resources import Raxx

GROUP: Final = "drills"
PASSED: Final = "passed"
HEROKU_DRILL: Final = "heroku_postgres_drill"
DRILLS: Final = (HEROKU_DRILL,)
HEROKU_JOB: Final = "drill_heroku_postgres"
DRILL_JOBS: Final = (HEROKU_JOB,)

heroku_postgres_database = dg.AssetSpec(
    "heroku_postgres_database",
    group_name=GROUP,
    kinds={"postgres", "heroku"},
    description="The customer database on Heroku, with Heroku's own backups. Production is only ever read.",
)


class HerokuDrillConfig(dg.Config):
    """What an operator says when starting the drill."""

    operator: str
    """Who you are; it goes on record."""
    backup: str = NEWEST
    """newest, random-older, or a backup's label such as b003."""
    plan: str = ""
    """Heroku's plan for the throwaway database; empty: the smallest that fits."""
    row_tolerance_ratio: float = -1.0
    """By how much of production's rows a table may differ; below 0: what the policy says."""
    revision: str = ""
    """The Alembic revision to expect; empty: production's."""
    keep: bool = False
    """Leave the throwaway app for inspection until its lease ends; such a drill closes no card."""


def heroku_drill_asset(policy: Policy) -> dg.AssetsDefinition:
    """``heroku_postgres_drill``: materialized means restored, compared, passed and torn down."""
    promised = policy.heroku_postgres

    @dg.asset(
        name=HEROKU_DRILL,
        group_name=GROUP,
        kinds={"postgres", "heroku"},
        owners=[OWNER],
        deps=[heroku_postgres_database],
        code_version="1",
        pool=HEROKU_DRILL,
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(days=policy.evidence.max_age_days)),
        check_specs=[
            dg.AssetCheckSpec(
                PASSED,
                asset=HEROKU_DRILL,
                blocking=True,
                description=f"Every comparison passed and nothing was left behind: {', '.join(CHECKS)}.",
            )
        ],
        description=(
            f"D4: a backup of `{promised.app}` restored into a throwaway app and compared with production; the result "
            "is an evidence row. Started by a person: press *Materialize* and say who you are."
        ),
    )
    def heroku_postgres_drill(  # type: ignore[no-untyped-def]  # Dagster refuses a generator's annotation beside check specs
        context: dg.AssetExecutionContext, config: HerokuDrillConfig, raxx: dg.ResourceParam[Raxx]
    ):
        yield from _heroku_drill(context, config, raxx)

    return heroku_postgres_drill


def restored_recently_check(policy: Policy) -> dg.AssetChecksDefinition:
    """A proof that has grown old turns the drill's own asset red, in the catalog too."""

    @dg.asset_check(
        name=RESTORED_RECENTLY,
        asset=HEROKU_DRILL,
        description=f"Has this drill passed within {policy.evidence.max_age_days} days, by the ledger?",
    )
    def check(raxx: dg.ResourceParam[Raxx]) -> dg.AssetCheckResult:
        age = raxx.policy.evidence.max_age_days
        return check_result(restored_recently(raxx.record().ledger, KIND, age, raxx.clock()))

    return check


def _heroku_drill(
    context: dg.AssetExecutionContext, config: HerokuDrillConfig, raxx: Raxx
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """A drill that did not pass is on record, red, and materializes nothing: it never counts as fresh."""
    policy = raxx.policy.heroku_postgres
    tolerance = config.row_tolerance_ratio if config.row_tolerance_ratio >= 0 else None
    wanted = Wanted(config.backup, config.plan, tolerance, config.revision)
    asked = order(
        policy,
        config.operator,
        wanted=wanted,
        trigger="schedule" if SCHEDULED_TAG in context.run.tags else "manual",
        run_id=context.run.run_id,
        run_url=f"{raxx.policy.alerts.ui_url}/runs/{context.run.run_id}",
        keep=config.keep,
    )
    try:
        with raxx.heroku() as heroku:
            done = conduct(
                asked,
                lambda drill: heroku_postgres(drill, heroku, policy, wanted),
                raxx.record().recorder(),
                clock=raxx.clock,
                sleep=raxx.sleep,
                progress=context.log.info,
            )
    except BcpError as error:
        yield check_result(Check(PASSED, Status.COULD_NOT_VERIFY, error.what, error.remedy))
        raise failure(error) from None
    yield from drill_results(done)


def drill_results(done: Conducted) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """A pass materializes; anything else is a red check with the same tables, and a failed run."""
    metadata = drill_metadata(done)
    verdict = done.verdict
    if verdict is Verdict.PASS:
        passed = Check(PASSED, Status.PASS, f"row {done.row_sequence}: {len(done.drill.results)} checks passed.")
        yield dg.MaterializeResult(metadata=metadata, check_results=[check_result(passed)])
        return
    why = _why(done.drill)
    yield dg.AssetCheckResult(
        check_name=PASSED,
        passed=False,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{verdict.value}: {why} (row {done.row_sequence})",
        metadata={"status": verdict.value, **metadata},
    )
    raise dg.Failure(
        f"The drill ended as {verdict.value}: {why}\n"
        f"What to do: look at row {done.row_sequence} (raxx-bcp evidence report), mend what it names, and run the "
        "drill again. Nothing of production was changed.",
        metadata=metadata,
        allow_retries=False,
    )


def _why(drill: Drill) -> str:
    failed = [f"{one.name}: {one.reason}" for one in drill.results if one.status is not one.status.PASS and one.reason]
    return " ".join([*drill.findings, *failed][:6]) or "nothing was checked."


def drill_metadata(done: Conducted) -> dict[str, Any]:
    """What an operator looks at, steadily named: Dagster plots the numbers."""
    drill = done.drill
    checks = [
        dg.TableRecord(
            {
                "check": one.name,
                "status": one.status.value,
                "expected": one.expected,
                "actual": one.actual,
                "reason": one.reason,
            }
        )
        for one in drill.results
    ]
    phases = [
        dg.TableRecord(
            {
                "phase": phase.name,
                "started_utc": f"{phase.started_utc:%H:%M:%S}",
                "seconds": round((phase.ended_utc - phase.started_utc).total_seconds(), 1) if phase.ended_utc else -1.0,
            }
        )
        for phase in drill.phases
    ]
    metadata: dict[str, Any] = {
        "verdict": done.verdict.value,
        "row_sequence": done.row_sequence,
        "drill_id": drill.id,
        "operator": drill.order.operator,
        "check_count": len(drill.results),
        "backup": drill.source_backup.backup_id if drill.source_backup else "none was chosen",
        "checks": dg.TableMetadataValue(
            records=checks, schema=_schema("check", "status", "expected", "actual", "reason")
        ),
        "phases": dg.TableMetadataValue(
            records=phases,
            schema=dg.TableSchema(
                columns=[dg.TableColumn("phase"), dg.TableColumn("started_utc"), dg.TableColumn("seconds", "float")]
            ),
        ),
        "findings": dg.MetadataValue.md("\n".join(f"- {finding}" for finding in drill.findings) or "none"),
    }
    if drill.rto_seconds is not None:
        metadata["rto_seconds"] = round(drill.rto_seconds, 1)
    if drill.rpo_seconds is not None:
        metadata["rpo_seconds"] = round(drill.rpo_seconds, 1)
        metadata["backup_age_hours"] = round(drill.rpo_seconds / 3600, 2)
    return metadata


def _schema(*names: str) -> dg.TableSchema:
    return dg.TableSchema(columns=[dg.TableColumn(name) for name in names])


@dg.op(description="Deletes what killed drills left past its lease, and writes the rows that they could not write.")
def sweep_drills(context: dg.OpExecutionContext, raxx: dg.ResourceParam[Raxx]) -> None:
    """Touches only what carries our mark and says that its time is over."""
    try:
        record = raxx.record()
        with places(raxx.policy) as where:
            swept = sweep(
                where,
                record.journal,
                record.ledger,
                record.spool,
                clock=raxx.clock,
                sleep=raxx.sleep,
                progress=context.log.info,
            )
    except BcpError as error:
        raise failure(error) from None
    context.log.info(swept.text())
    context.add_output_metadata(
        {"cost_usd": round(swept.cost_usd, 4), "result": dg.MetadataValue.json(swept.as_dict())}
    )
    if not swept.clean:
        raise dg.Failure(
            f"The sweeper could not finish: {swept.text()}\n"
            "What to do: delete by hand what is still there (it costs money), or mend what could not be seen; the next "
            "hour tries again.",
            allow_retries=False,
        )


@dg.job(name="drill_sweeper", description="D4: what a killed drill left behind is found and deleted, every hour.")
def drill_sweeper() -> None:
    """One op."""
    sweep_drills()
