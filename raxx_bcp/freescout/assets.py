"""What Dagster shows of FreeScout's dump sets: their inventory, and whether the newest one due is there."""

from typing import Final

import dagster as dg

from raxx_bcp.dagster_terms import INVENTORY_FRESHNESS, OWNER, check_result, operator_errors
from raxx_bcp.daily import late_from
from raxx_bcp.freescout.inventory import (
    ENCRYPTED,
    FRESHNESS,
    GROWTH,
    NO_GAPS,
    Due,
    Inventory,
    freshness_check,
    take_inventory,
)
from raxx_bcp.freescout.prune import RETENTION, prune
from raxx_bcp.policy import FreeScout
from raxx_bcp.resources import Raxx

GROUP: Final = "freescout"
INVENTORY: Final = "freescout_dump_inventory"
RETENTION_ASSET: Final = "freescout_dump_retention"
_DESCRIPTIONS: Final = {
    NO_GAPS: "A day without a whole set since the first one?",
    ENCRYPTED: "Can anybody but the operator read customers' mail in the bucket?",
    GROWTH: "Is the newest set less than half of the one before?",
}


def dump_inventory_asset(policy: FreeScout) -> dg.AssetsDefinition:
    """``freescout_dump_inventory``: the sets that Tier 2 can restore, as the bucket shows them."""

    @dg.asset(
        name=INVENTORY,
        group_name=GROUP,
        kinds={"mariadb", "s3"},
        owners=[OWNER],
        deps=["freescout_dumps"],
        code_version="1",
        freshness_policy=INVENTORY_FRESHNESS,
        check_specs=[
            dg.AssetCheckSpec(name, asset=INVENTORY, description=text) for name, text in _DESCRIPTIONS.items()
        ],
        description=f"FreeScout's dump sets of the last {policy.inventory_days} days under `{policy.dump_prefix}`.",
    )
    def freescout_dump_inventory(  # type: ignore[no-untyped-def]  # Dagster knows only the bare class
        context: dg.AssetExecutionContext, raxx: dg.ResourceParam[Raxx]
    ):
        with operator_errors(context):
            inventory = take_inventory(raxx.dump_bucket(), raxx.policy.freescout, raxx.clock())
        return dg.MaterializeResult(
            metadata=_metadata(inventory), check_results=[check_result(check) for check in inventory.checks]
        )

    return freescout_dump_inventory


def dump_retention_asset(policy: FreeScout) -> dg.AssetsDefinition:
    """``freescout_dump_retention``: what the policy no longer keeps goes, after the plan was said."""

    @dg.asset(
        name=RETENTION_ASSET,
        group_name=GROUP,
        kinds={"s3"},
        owners=[OWNER],
        deps=["freescout_dump_inventory"],
        code_version="1",
        check_specs=[
            dg.AssetCheckSpec(
                RETENTION, asset=RETENTION_ASSET, description="Did what the policy no longer keeps go, and only that?"
            )
        ],
        description=f"FreeScout's dump sets: {policy.dump_keep_daily} daily and {policy.dump_keep_weekly} weekly ones "
        f"stay under `{policy.dump_prefix}`. Nothing goes unless the newest one is good.",
    )
    def freescout_dump_retention(
        context: dg.AssetExecutionContext, raxx: dg.ResourceParam[Raxx]
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster knows only the bare class
        with operator_errors(context):
            pruned = prune(
                raxx.dump_bucket(),
                raxx.dump_removal(),
                raxx.policy.freescout,
                raxx.clock(),
                apply=True,
                progress=context.log.info,
            )
        return dg.MaterializeResult(
            metadata={
                "kept_count": len(pruned.plan.keep),
                "deleted": ", ".join(pruned.deleted),
                "plan": dg.MarkdownMetadataValue("\n".join(f"- {line}" for line in pruned.plan.lines())),
                "deletion": pruned.deletion,
            },
            check_results=[check_result(pruned.check)],
        )

    return freescout_dump_retention


def dump_is_there(policy: FreeScout) -> dg.AssetChecksDefinition:
    """The nightly promise as a check: only checks turn the catalog red."""
    late = f"{late_from('2026-01-01', Due.of(policy)):%H:%M}"

    @dg.asset_check(
        name=FRESHNESS,
        asset=INVENTORY,
        blocking=True,
        description=f"Is the newest set that is due in S3, and whole? Late from {late} UTC.",
    )
    def check(raxx: dg.ResourceParam[Raxx]) -> dg.AssetCheckResult:
        return check_result(freshness_check(raxx.dump_bucket(), raxx.policy.freescout, raxx.clock()))

    return check


def _metadata(inventory: Inventory) -> dict[str, dg.MetadataValue | int | float | str]:
    columns = [dg.TableColumn(name) for name in ("day", "state", "stored_utc", "missing", "in_clear")]
    metadata: dict[str, dg.MetadataValue | int | float | str] = {
        "set_count": len(inventory.stored),
        "gap_count": len(inventory.gaps),
        "stored_bytes": sum(day.size_bytes for day in inventory.days),
        "size_bytes": next((day.size_bytes for day in inventory.stored), 0),
        "recipients": ", ".join(inventory.recipients),
        "days": dg.TableMetadataValue(
            records=[dg.TableRecord(day.as_dict()) for day in inventory.days],
            schema=dg.TableSchema(columns=[*columns, dg.TableColumn("size_bytes", "int")]),
        ),
    }
    if inventory.growth_ratio is not None:
        metadata["growth_ratio"] = inventory.growth_ratio
    return metadata
