"""``heroku_postgres_facts`` in Dagster: production as it was when its newest backup was made."""

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import dagster as dg

from raxx_bcp.checks import Check, Status
from raxx_bcp.clock import Clock
from raxx_bcp.dagster_terms import INVENTORY_FRESHNESS, OWNER, check_result, operator_errors
from raxx_bcp.errors import PermanentError
from raxx_bcp.policy import HerokuPostgres
from raxx_bcp.resources import Raxx

if TYPE_CHECKING:
    from raxx_bcp.clients.heroku import Heroku
    from raxx_bcp.clients.heroku_shapes import Transfer
    from raxx_bcp.drills.heroku_postgres.stored_facts import FactsStore, TakenFacts

FACTS: Final = "heroku_postgres_facts"
SOON: Final = "taken_soon_after_the_backup"
SOON_AFTER: Final = timedelta(hours=2)


def heroku_postgres_facts_asset(policy: HerokuPostgres) -> dg.AssetsDefinition:
    """``heroku_postgres_facts``: one look at production, once for each backup."""

    @dg.asset(
        name=FACTS,
        group_name="drills",
        kinds={"postgres", "s3"},
        owners=[OWNER],
        deps=["heroku_postgres_database"],
        code_version="1",
        pool=FACTS,
        freshness_policy=INVENTORY_FRESHNESS,
        check_specs=[
            dg.AssetCheckSpec(
                SOON,
                asset=FACTS,
                description="Was production looked at while it still was as the backup has it? Else the drill of that "
                "backup excuses what a day changes: bring facts_at_utc nearer to Heroku's own schedule.",
            )
        ],
        description=(
            f"D4: what `{policy.app}` holds, in numbers and keyed hashes, taken at {policy.facts_at_utc} UTC for its "
            f"newest backup and stored under `{policy.facts_prefix}`. The drill compares with it. No value of a row."
        ),
    )
    def heroku_postgres_facts(  # type: ignore[no-untyped-def]  # Dagster knows only the bare class
        context: dg.AssetExecutionContext, raxx: dg.ResourceParam[Raxx]
    ):
        with operator_errors(context, max_retries=2), raxx.heroku() as heroku:
            policy, store = raxx.policy.heroku_postgres, raxx.facts()
            backup = newest_backup(heroku, policy)
            metadata: dict[str, int | float | str] = {"backup": backup.label}
            if store.has(backup):
                context.log.info("The facts of %s are there already.", backup.label)
                return dg.MaterializeResult(metadata=metadata, check_results=[check_result(_there(backup))])
            taken, size_bytes = facts_of(heroku, policy, store, backup, raxx.clock)
        return dg.MaterializeResult(
            metadata=metadata | _metadata(taken, size_bytes), check_results=[check_result(soon(taken))]
        )

    return heroku_postgres_facts


def newest_backup(heroku: "Heroku", policy: HerokuPostgres) -> "Transfer":
    """Raises ``PermanentError`` where there is no good one, and what Heroku's client raises."""
    good = [one for one in heroku.transfers(policy.app) if one.restorable and one.finished_utc]
    if not good:
        raise PermanentError(
            f"There is no good backup of {policy.app} to take facts for.",
            "Look at heroku pg:backups, and make one now: heroku pg:backups:capture.",
        )
    return max(good, key=lambda one: str(one.finished_utc))


def facts_of(
    heroku: "Heroku", policy: HerokuPostgres, store: "FactsStore", backup: "Transfer", clock: Clock
) -> tuple["TakenFacts", int]:
    """Take and store the facts of ``backup``; returns them and their stored size in bytes."""
    from raxx_bcp.drills.heroku_postgres.stored_facts import take_facts

    taken, key = take_facts(heroku, policy, backup, clock)
    return taken, store.put(taken, key)


def soon(taken: "TakenFacts") -> Check:
    """Late facts are still facts, but the drill then excuses what changed in the meantime."""
    minutes = taken.delay / timedelta(minutes=1)
    detail = f"{taken.backup_label} began {minutes:.0f} minutes before production was looked at."
    if taken.delay <= SOON_AFTER:
        return Check(SOON, Status.PASS, detail)
    remedy = "Set heroku_postgres.facts_at_utc to a little after Heroku's own backup (heroku pg:backups:schedules)."
    return Check(SOON, Status.WARN, detail, remedy)


def _there(backup: "Transfer") -> Check:
    return Check(SOON, Status.PASS, f"The facts of {backup.label} were taken before; they are written once.")


def _metadata(taken: "TakenFacts", size_bytes: int) -> dict[str, int | float | str]:
    facts = taken.facts
    return {
        "minutes_after_backup": round(taken.delay / timedelta(minutes=1), 1),
        "table_count": len(facts.tables),
        "row_count": facts.rows,
        "hashed_row_count": sum(len(one.rows) for one in facts.contents.values()),
        "size_bytes": size_bytes,
    }
