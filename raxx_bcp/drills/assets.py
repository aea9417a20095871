"""The drills in Dagster: an asset and a job each, started by a person; and the clock of the second kind."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import dagster as dg

from raxx_bcp.checks import Check, Status
from raxx_bcp.clients.retries import waits_told
from raxx_bcp.dagster_terms import OWNER, SCHEDULED_TAG, check_result, failure
from raxx_bcp.drills.dagster_config import DrillConfig, asked_from, config_type, wanted_from
from raxx_bcp.drills.engine.dagster_result import PASSED, drill_results
from raxx_bcp.drills.kind import Kind
from raxx_bcp.drills.kinds import DRILLS
from raxx_bcp.drills.loading import kinds
from raxx_bcp.drills.restored_clock import RESTORED_RECENTLY, restored_recently
from raxx_bcp.drills.timetable import described
from raxx_bcp.errors import BcpError
from raxx_bcp.policy import Policy
from raxx_bcp.resources import Raxx

GROUP: Final = "drills"

heroku_postgres_database = dg.AssetSpec(
    "heroku_postgres_database",
    group_name=GROUP,
    kinds={"postgres", "heroku"},
    description="The customer database on Heroku, with Heroku's own backups. Production is only ever read.",
)

freescout_dumps = dg.AssetSpec(
    "freescout_dumps",
    group_name=GROUP,
    kinds={"mariadb", "s3"},
    description="FreeScout's dump sets in S3: database, .env, attachments, modules, and a manifest of what is in them.",
)


def drill_assets(policy: Policy) -> list[dg.AssetsDefinition]:
    """Every drill: materialized means restored, compared, passed and torn down."""
    return [drill_asset(kind, policy) for kind in kinds()]


def drill_asset(kind: Kind[Any], policy: Policy) -> dg.AssetsDefinition:
    """The asset of one drill: a result only where it passed."""
    form = config_type(kind)

    @dg.asset(
        name=kind.asset,
        group_name=GROUP,
        kinds=set(kind.icons),
        owners=[OWNER],
        deps=list(kind.restores),
        code_version="1",
        pool=kind.pool,
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(days=policy.evidence.max_age_days)),
        check_specs=[
            dg.AssetCheckSpec(
                PASSED,
                asset=kind.asset,
                blocking=True,
                description=f"Every comparison passed and nothing was left behind: {', '.join(kind.checks)}.",
            )
        ],
        description=(
            f"D4: {kind.title(policy)}; the result is an evidence row. Started by a person: press *Materialize* and "
            f"say who you are. Each month by the clock: {described(policy, kind.name)}."
        ),
        metadata={"monthly_schedule": described(policy, kind.name)},
    )
    def drill(  # type: ignore[no-untyped-def]  # Dagster refuses a generator's annotation beside check specs
        context: dg.AssetExecutionContext,
        config: form,  # type: ignore[valid-type]  # Dagster reads the kind's own class from here
        raxx: dg.ResourceParam[Raxx],
    ):
        yield from _run(context, kind, config, raxx)

    return drill


def _run(
    context: dg.AssetExecutionContext, kind: Kind[Any], config: DrillConfig, raxx: Raxx
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """A drill that did not pass is on record, is red, and materializes nothing: it never counts as fresh."""
    scheduled, ui_url = SCHEDULED_TAG in context.run.tags, raxx.policy.alerts.ui_url
    asked = asked_from(config, scheduled=scheduled, run_id=context.run.run_id, ui_url=ui_url)
    try:
        with waits_told(context.log.warning):
            done = kind.start(raxx, asked, wanted_from(kind, config), context.log.info)
    except BcpError as error:
        yield check_result(Check(PASSED, Status.COULD_NOT_VERIFY, error.what, error.remedy))
        raise failure(error) from None
    yield from drill_results(done)


def restored_recently_checks(policy: Policy) -> dg.AssetChecksDefinition:
    """A proof that is too old turns its drill's asset red in the catalog too. Reads the ledger once for all drills."""
    age_days = policy.evidence.max_age_days

    @dg.multi_asset_check(
        name=RESTORED_RECENTLY,
        specs=[
            dg.AssetCheckSpec(
                RESTORED_RECENTLY,
                asset=asset,
                description=f"Has this drill passed within {age_days} days, by the ledger?",
            )
            for asset in DRILLS
        ],
        can_subset=True,
    )
    def checks(context: dg.AssetCheckExecutionContext, raxx: dg.ResourceParam[Raxx]) -> Iterator[dg.AssetCheckResult]:
        wanted = {key.asset_key.to_user_string() for key in context.selected_asset_check_keys}
        shown = [kind for kind in kinds() if kind.asset in wanted]
        ledger, now = raxx.record().ledger, raxx.clock()
        found = restored_recently(ledger, [kind.name for kind in shown], raxx.policy.evidence.max_age_days, now)
        for kind in shown:
            yield check_result(found[kind.name], asset=kind.asset)

    return checks
