"""D1 in Dagster: today's snapshot, the inventory of all snapshots, their checks, and the add-on's job."""

from collections.abc import Iterator
from typing import Final

import dagster as dg

from raxx_bcp.checks import Check, Status
from raxx_bcp.dagster_terms import (
    INVENTORY_FRESHNESS,
    OWNER,
    check_result,
    daily_freshness,
    day_of_run,
    failure,
    late_clock,
    operator_errors,
)
from raxx_bcp.errors import BcpError, CouldNotVerifyError, TransientError
from raxx_bcp.policy import Policy, VaultSnapshot
from raxx_bcp.resources import Raxx
from raxx_bcp.snapshots import addon, health
from raxx_bcp.snapshots.copies import COPY
from raxx_bcp.snapshots.inventory import SnapshotInventory, take_inventory
from raxx_bcp.snapshots.run import AVAILABLE_CHECK, CHECK_NAMES, RETENTION, SnapshotReceipt, snapshot_day

GROUP: Final = "vault"
_MOST_ROWS: Final = 200
"""Rows of the table in Dagster's event log; the numbers beside it count all."""

vault_instance = dg.AssetSpec(
    "vault_instance",
    group_name=GROUP,
    kinds={"lightsail"},
    description="The Lightsail instance on which the vault runs. Never changed, stopped or deleted from here.",
)
freescout_instance = dg.AssetSpec(
    "freescout_instance",
    group_name="freescout",
    kinds={"lightsail"},
    description="The Lightsail instance on which FreeScout runs, with its own backup that ends by 06:00 UTC.",
)


class VaultSnapshotConfig(dg.Config):
    """Options for a person who takes a snapshot by hand."""

    dry_run: bool = False
    """Take the snapshot, and only show what pruning would delete."""


def vault_snapshot_asset(policy: VaultSnapshot) -> dg.AssetsDefinition:
    """``vault_snapshot``, with the freshness that ``policy`` promises."""

    @dg.asset(
        name="vault_snapshot",
        group_name=GROUP,
        kinds={"lightsail"},
        owners=[OWNER],
        deps=[vault_instance],
        code_version="1",
        pool="vault_snapshot",
        freshness_policy=daily_freshness(policy),
        check_specs=[
            dg.AssetCheckSpec(
                name, asset="vault_snapshot", description=_CHECK_DESCRIPTIONS[name], blocking=name == COPY
            )
            for name in CHECK_NAMES
        ],
        description=(
            f"D1: a manual snapshot of `{policy.instance}` every day at {policy.schedule_utc} UTC, waited for until it "
            f"is available; then the newest {policy.keep} of ours are kept. Materialized means available, not just "
            "begun."
        ),
    )
    def vault_snapshot(  # type: ignore[no-untyped-def]  # Dagster refuses a generator's annotation beside check specs
        context: dg.AssetExecutionContext, config: VaultSnapshotConfig, raxx: dg.ResourceParam[Raxx]
    ):
        yield from _take(context, config, raxx)

    return vault_snapshot


def _take(
    context: dg.AssetExecutionContext, config: VaultSnapshotConfig, raxx: Raxx
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """It is materialized only once it is available; a failure turns ``available`` red before the run fails."""
    policy = raxx.policy.vault_snapshot
    with operator_errors(context, max_retries=policy.max_retries, wait_seconds=policy.retry_wait_seconds):
        try:
            receipt = snapshot_day(
                raxx.snapshot_connections(),
                raxx.policy,
                day_of_run(context),
                dry_run=config.dry_run,
                clock=raxx.clock,
                sleep=raxx.sleep,
                progress=context.log.info,
            )
        except TransientError:
            raise
        except BcpError as error:
            unknown = isinstance(error, CouldNotVerifyError)
            status = Status.COULD_NOT_VERIFY if unknown else Status.FAIL
            yield check_result(Check(AVAILABLE_CHECK, status, error.what, error.remedy))
            raise
    yield dg.MaterializeResult(
        metadata=_metadata(receipt, policy), check_results=[check_result(check) for check in receipt.checks]
    )


def snapshot_is_there(policy: VaultSnapshot) -> dg.AssetChecksDefinition:
    """The same promise as the freshness policy, as a check: only checks turn the catalog red."""

    @dg.asset_check(
        name=health.IS_THERE,
        asset="vault_snapshot",
        blocking=True,
        description=f"Is the snapshot that is due there, by Lightsail's times? Late from {late_clock(policy)} UTC.",
    )
    def check(raxx: dg.ResourceParam[Raxx]) -> dg.AssetCheckResult:
        return check_result(health.is_there(raxx.snapshot_connections().home, raxx.policy.vault_snapshot, raxx.clock()))

    return check


def snapshot_inventory_asset(policy: Policy) -> dg.AssetsDefinition:
    """``snapshot_inventory``: every snapshot of the two instances."""

    @dg.asset(
        name="snapshot_inventory",
        group_name=GROUP,
        kinds={"lightsail"},
        owners=[OWNER],
        deps=["vault_snapshot", freescout_instance],
        code_version="1",
        freshness_policy=INVENTORY_FRESHNESS,
        check_specs=[
            dg.AssetCheckSpec(
                name,
                asset="snapshot_inventory",
                description=_CHECK_DESCRIPTIONS[name],
                blocking=name in _FAIL_THE_RUN,
            )
            for name in health.CHECK_NAMES
        ],
        description=(
            f"Every snapshot, manual and automatic, of `{policy.vault_snapshot.instance}` and "
            f"`{policy.freescout.instance}`, as Lightsail shows them; gaps of the last "
            f"{policy.vault_snapshot.inventory_days} days."
        ),
    )
    def snapshot_inventory(context: dg.AssetExecutionContext, raxx: dg.ResourceParam[Raxx]) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster knows only the bare class
        with operator_errors(context):
            inventory = take_inventory(raxx.snapshot_connections(), raxx.policy, raxx.clock())
        checks = health.checks_of(inventory)
        return dg.MaterializeResult(
            metadata=_inventory_metadata(inventory), check_results=[check_result(check) for check in checks]
        )

    return snapshot_inventory


class AddOnConfig(dg.Config):
    """Who does it, so that the run says so."""

    operator: str


@dg.op(description="Switches Lightsail's automatic snapshots of the vault on or off, as the policy says.")
def apply_addon(context: dg.OpExecutionContext, config: AddOnConfig, raxx: dg.ResourceParam[Raxx]) -> None:
    """Costs are shown before and after; a person starts it."""
    policy = raxx.policy.vault_snapshot
    if not config.operator.strip():
        raise dg.Failure("Nothing was changed: operator is empty.\nWhat to do: write who you are.", allow_retries=False)
    try:
        home = raxx.snapshot_connections().home
        context.log.info("%s asked for it. Before: %s", config.operator, addon.look(home, policy).text())
        after = addon.apply(home, policy)
    except BcpError as error:
        raise failure(error) from None
    context.log.info(after.text())
    context.add_output_metadata(after.as_dict())


@dg.job(
    name="apply_vault_snapshot_addon",
    description="D1's optional belt: bring the add-on in line with vault_snapshot.addon of the policy.",
)
def apply_vault_snapshot_addon() -> None:
    """One op, so that the UI offers the Launchpad."""
    apply_addon()


_FAIL_THE_RUN: Final = frozenset({health.ENOUGH, health.STUCK, health.FREESCOUT, health.COPIES})
"""A failed check outside of these is red in the catalog and alerts another way (the hourly sentinel)."""

_CHECK_DESCRIPTIONS: Final = {
    AVAILABLE_CHECK: "Lightsail says that today's snapshot is available.",
    RETENTION: "Older ones of ours beyond the promised number are gone; a failed delete only warns.",
    COPY: "Where the policy names another region: today's copy was started there.",
    health.FRESH: "The newest available snapshot of ours is the one that is due.",
    health.ENOUGH: "At least as many good ones as promised.",
    health.STUCK: "None is pending for too long, none ended in error.",
    health.RETENTION: "Not more of ours than promised: pruning works.",
    health.FREESCOUT: "FreeScout's own backup is there, and ended before the vault's started (the ADR's stagger).",
    health.ADDON: "Automatic snapshots are on or off as the policy says.",
    health.COPIES: "Where the policy names another region: yesterday's copy is available there.",
}


def _metadata(
    receipt: SnapshotReceipt, policy: VaultSnapshot
) -> dict[str, dg.MetadataValue | int | float | str | bool]:
    snapshot, pruned = receipt.taken.snapshot, receipt.pruned
    metadata: dict[str, dg.MetadataValue | int | float | str | bool] = {
        "snapshot_count": len(pruned.plan.keep),
        "deleted_count": len(pruned.deleted),
        "size_gb": snapshot.size_gb,
        "duration_seconds": round(receipt.duration_seconds, 3),
        "monthly_cost_usd": round(snapshot.size_gb * policy.price_usd_per_gb_month * len(pruned.plan.keep), 2),
        "snapshot": snapshot.name,
        "instance": receipt.instance,
        "region": receipt.region,
        "created_utc": f"{snapshot.created_utc:%Y-%m-%dT%H:%M:%SZ}",
        "taken_by_this_run": receipt.taken.created,
        "freescout_backup": receipt.freescout.words,
        "pruning_plan": dg.MetadataValue.md("\n".join(f"- {line}" for line in pruned.plan.lines())),
    }
    if pruned.dry_run:
        metadata["dry_run"] = True
    return metadata


def _inventory_metadata(inventory: SnapshotInventory) -> dict[str, dg.MetadataValue | int | float | str]:
    records = [dg.TableRecord(inventory.row_dict(row)) for row in inventory.rows[:_MOST_ROWS]]
    numbers = {"age_hours": "float", "size_gb": "int", "monthly_cost_usd": "float", "ours": "bool"}
    names = ("name", "instance", "kind", "state", "created_utc", *numbers, "region", "guarded")
    metadata: dict[str, dg.MetadataValue | int | float | str] = {
        "snapshot_count": len(inventory.good),
        "all_snapshots_count": len(inventory.rows),
        "monthly_cost_usd": round(inventory.monthly_cost_usd, 2),
        "gap_count": len(inventory.gaps),
        "gaps": ", ".join(inventory.gaps) or "none",
        "next_due_utc": f"{inventory.next_due:%Y-%m-%dT%H:%M:%SZ}",
        "addon": inventory.automatic_utc or "off",
        "freescout_backup": f"{inventory.freescout.day}: {inventory.freescout.words}",
        "snapshots": dg.TableMetadataValue(
            records=records,
            schema=dg.TableSchema(columns=[dg.TableColumn(name, numbers.get(name, "string")) for name in names]),
        ),
    }
    if inventory.newest_age_hours is not None:
        metadata["newest_age_hours"] = round(inventory.newest_age_hours, 2)
    return metadata
