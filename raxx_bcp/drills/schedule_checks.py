"""Whether each drill's monthly schedule is as the policy says, on the drill's own asset in the catalog.

A person's switch in Dagster's UI is in Dagster's database and can vanish with it. The daily comparison with the policy
makes sure that neither overrules the other in silence.
"""

from collections.abc import Iterator

import dagster as dg

from raxx_bcp.dagster_terms import check_result
from raxx_bcp.drills.kinds import DRILLS
from raxx_bcp.drills.timetable import MONTHLY_SCHEDULE, checks_by_asset
from raxx_bcp.policy import Policy
from raxx_bcp.resources import Raxx


def monthly_schedule_checks(policy: Policy) -> dg.AssetChecksDefinition:
    """One check for each drill. Its description says when the drill runs next."""

    @dg.multi_asset_check(
        name=MONTHLY_SCHEDULE,
        specs=[
            dg.AssetCheckSpec(
                MONTHLY_SCHEDULE,
                asset=asset,
                description="Is the monthly schedule as bcp.toml says, [drills] scheduled, and when does it run next?",
            )
            for asset in DRILLS
        ],
        can_subset=True,
    )
    def checks(context: dg.AssetCheckExecutionContext, raxx: dg.ResourceParam[Raxx]) -> Iterator[dg.AssetCheckResult]:
        found = checks_by_asset(policy, raxx.clock(), switches(context.instance))
        for key in context.selected_asset_check_keys:
            asset = key.asset_key.to_user_string()
            yield check_result(found[asset], asset=asset)

    return checks


def switches(instance: dg.DagsterInstance) -> dict[str, str]:
    """By the schedule's name: RUNNING or STOPPED where a person switched it, DECLARED_IN_CODE where nobody did.

    An instance without a schedule storage (in memory) has no switches.
    """
    if instance.schedule_storage is None:
        return {}
    return {state.instigator_name: state.status.value for state in instance.all_instigator_state()}
