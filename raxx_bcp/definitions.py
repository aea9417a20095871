"""All that Dagster loads, on one page.

A new system of a kind is one module in its room and one line here. There is no logic here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from raxx_bcp import automation
from raxx_bcp.alerts.sensors import alert_sensor
from raxx_bcp.dagster_terms import RAXX_KEY
from raxx_bcp.drills import assets as drills
from raxx_bcp.drills import kinds, schedule_checks
from raxx_bcp.drills.heroku_postgres.facts_asset import heroku_postgres_facts_asset
from raxx_bcp.evidence.assets import drill_evidence_asset
from raxx_bcp.evidence.sensors import evidence_sensor
from raxx_bcp.freescout import assets as freescout
from raxx_bcp.policy import Policy, load_policy
from raxx_bcp.resources import Raxx
from raxx_bcp.snapshots import assets as snapshots
from raxx_bcp.state_bucket import assets as state_bucket
from raxx_bcp.vault import assets as vault


def build_defs(policy: Policy | None = None, resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Assemble everything. Raises ``UsageError`` at once where the policy is wrong."""
    policy = policy or load_policy()
    return dg.Definitions(
        assets=[
            snapshots.vault_instance,
            snapshots.freescout_instance,
            vault.infisical_vault,
            snapshots.vault_snapshot_asset(policy.vault_snapshot),
            snapshots.snapshot_inventory_asset(policy),
            drills.heroku_postgres_database,
            heroku_postgres_facts_asset(policy.heroku_postgres),
            drills.freescout_dumps,
            freescout.dump_inventory_asset(policy.freescout),
            freescout.dump_retention_asset(policy.freescout),
            *drills.drill_assets(policy),
            drill_evidence_asset(kinds.DRILLS),
            state_bucket.terraform_state_bucket,
            state_bucket.state_bucket_posture_asset(policy),
            vault.vault_export_asset(policy.vault_export),
            vault.inventory_asset(policy.vault_export),
        ],
        asset_checks=[
            vault.today_is_there(policy.vault_export),
            snapshots.snapshot_is_there(policy.vault_snapshot),
            freescout.dump_is_there(policy.freescout),
            drills.restored_recently_checks(policy),
            schedule_checks.monthly_schedule_checks(policy),
        ],
        jobs=[*automation.ASSET_JOBS, *automation.OP_JOBS],
        schedules=automation.schedules(policy),
        sensors=[
            alert_sensor(policy.alerts),
            evidence_sensor(automation.refresh_drill_evidence.name, kinds.DRILL_JOBS, kinds.DRILLS),
        ],
        resources={RAXX_KEY: Raxx(policy), **(resource_overrides or {})},
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The code location's entry point."""
    return build_defs()
