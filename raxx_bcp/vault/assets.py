"""The export in Dagster: one asset, its checks, and the inventory of the stored exports."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import dagster as dg
from pydantic import Field

from raxx_bcp.dagster_terms import (
    INVENTORY_FRESHNESS,
    OWNER,
    check_result,
    daily_freshness,
    day_of_run,
    late_clock,
    operator_errors,
)
from raxx_bcp.policy import VaultExport
from raxx_bcp.resources import Raxx
from raxx_bcp.vault.export import CHECK_NAMES, SECOND_COPY, ExportReceipt, export_vault
from raxx_bcp.vault.gate import ExportRefusedError
from raxx_bcp.vault.inventory import FRESHNESS, Inventory, freshness_check, take_inventory

GROUP: Final = "vault"

infisical_vault = dg.AssetSpec(
    "infisical_vault",
    group_name=GROUP,
    kinds={"infisical"},
    deps=["vault_instance"],
    description="The self-hosted Infisical vault on Lightsail: every secret that Raxx has. Read, never written.",
)


class VaultExportConfig(dg.Config):
    """Options for a person who starts an export by hand."""

    accept_shrink: str = ""
    """Why fewer secrets than before are right this time; recorded in the manifest."""
    accept_emptied: list[str] = Field(default=[])
    """Folders (project/environment/path) that were emptied on purpose; recorded in the manifest."""


def vault_export_asset(policy: VaultExport) -> dg.AssetsDefinition:
    """``vault_export``, with the freshness that ``policy`` promises."""

    @dg.asset(
        name="vault_export",
        group_name=GROUP,
        kinds={"s3", "infisical"},
        owners=[OWNER],
        deps=[infisical_vault],
        code_version="1",
        pool="vault_export",
        freshness_policy=daily_freshness(policy),
        check_specs=[
            dg.AssetCheckSpec(
                name,
                asset="vault_export",
                description=_CHECK_DESCRIPTIONS[name],
                blocking=name == SECOND_COPY,
            )
            for name in CHECK_NAMES
        ],
        description=(
            "D3: the whole vault, encrypted to the operator's key before it leaves this machine, stored at "
            f"`{policy.prefix}YYYY-MM-DD.json.gpg` and read back. Materialized means verified, not just sent."
        ),
    )
    def vault_export(  # type: ignore[no-untyped-def]  # Dagster refuses a generator's annotation beside check specs
        context: dg.AssetExecutionContext, config: VaultExportConfig, raxx: dg.ResourceParam[Raxx]
    ):
        yield from _export(context, config, raxx)

    return vault_export


def _export(
    context: dg.AssetExecutionContext, config: VaultExportConfig, raxx: Raxx
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """It is materialized only after it was read back; a refusal turns its check red before the run fails."""
    policy = raxx.policy.vault_export
    with operator_errors(context, max_retries=policy.max_retries, wait_seconds=policy.retry_wait_seconds):
        try:
            receipt = export_vault(
                raxx.export_connections(),
                raxx.operator_key(),
                policy,
                day_of_run(context),
                accept_shrink=config.accept_shrink,
                accept_emptied=config.accept_emptied,
                clock=raxx.clock,
                progress=context.log.info,
            )
        except ExportRefusedError as refused:
            for check in {check.name: check for check in reversed(refused.checks)}.values():
                yield check_result(check)
            raise
    yield dg.MaterializeResult(
        metadata=_metadata(receipt, raxx.clock()),
        check_results=[check_result(check) for check in receipt.checks],
    )


def today_is_there(policy: VaultExport) -> dg.AssetChecksDefinition:
    """The same promise as the freshness policy, as a check: only checks turn the catalog red."""

    @dg.asset_check(
        name=FRESHNESS,
        asset="vault_export",
        blocking=True,
        description=f"Is the newest export that is due in S3, and whole? Late from {late_clock(policy)} UTC.",
    )
    def check(raxx: dg.ResourceParam[Raxx]) -> dg.AssetCheckResult:
        return check_result(freshness_check(raxx.state_bucket(), raxx.policy.vault_export, raxx.clock()))

    return check


def inventory_asset(policy: VaultExport) -> dg.AssetsDefinition:
    """``vault_export_inventory``: what the bucket really holds."""

    @dg.asset(
        name="vault_export_inventory",
        group_name=GROUP,
        kinds={"s3"},
        owners=[OWNER],
        deps=["vault_export"],
        code_version="1",
        freshness_policy=INVENTORY_FRESHNESS,
        check_specs=[
            dg.AssetCheckSpec("no_gaps", asset="vault_export_inventory", description="A day without an export?")
        ],
        description=f"The exports of the last {policy.inventory_days} days as the bucket shows them.",
    )
    def vault_export_inventory(context: dg.AssetExecutionContext, raxx: dg.ResourceParam[Raxx]) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster knows only the bare class
        with operator_errors(context):
            inventory = take_inventory(raxx.state_bucket(), raxx.policy.vault_export, raxx.clock())
        return dg.MaterializeResult(metadata=_inventory_metadata(inventory), check_results=[_gap_check(inventory)])

    return vault_export_inventory


_CHECK_DESCRIPTIONS: Final = {
    "completeness": (
        "Every project joined, a role that sees all, no privilege that denies, no hidden value, no folder emptied."
    ),
    "shrink": "Not fewer secrets than the last good export, beyond the policy's threshold.",
    "recipients": "Readable by exactly the operator's encryption key.",
    "key_expiry": "The operator's key lasts: warned 60, 30 and 7 days before.",
    "read_back": "What is stored is what was sent: size, checksum, packets, version.",
    "second_copy": "A copy in another account and region, without which the ADR's claim does not hold.",
}


def _metadata(receipt: ExportReceipt, now: datetime) -> dict[str, dg.MetadataValue | int | float | str]:
    manifest = receipt.manifest
    columns = [dg.TableColumn(name) for name in ("project", "environment")]
    columns += [dg.TableColumn(name, "int") for name in ("folders", "secrets", "imports")]
    metadata: dict[str, dg.MetadataValue | int | float | str] = {
        "secret_count": manifest.secret_count,
        "project_count": manifest.project_count,
        "folder_count": manifest.folder_count,
        "size_bytes": manifest.size_bytes,
        "document_size_bytes": manifest.document_size_bytes,
        "duration_seconds": round(receipt.duration_seconds, 3),
        "s3_object": f"s3://{manifest.bucket}/{manifest.key}",
        "version_id": manifest.version_id or "none kept",
        "ciphertext_sha256": manifest.ciphertext_sha256,
        "recipients": ", ".join(manifest.recipients),
        "key_fingerprint": manifest.key_fingerprint,
        "key_expires_utc": manifest.key_expires_utc or "never",
        "newest_change_utc": manifest.newest_change_utc,
        "contents": dg.TableMetadataValue(
            records=[dg.TableRecord(vars(row)) for row in manifest.environments],
            schema=dg.TableSchema(columns=columns),
        ),
    }
    if manifest.key_expires_utc:
        left = datetime.fromisoformat(manifest.key_expires_utc) - now
        metadata["key_days_left"] = round(left.total_seconds() / 86400, 1)
    if manifest.emptied_folders:
        metadata["emptied_folders"] = ", ".join(manifest.emptied_folders)
    if manifest.accepted_emptied_folders:
        metadata["accepted_emptied_folders"] = ", ".join(manifest.accepted_emptied_folders)
    if manifest.accepted_shrink_reason:
        metadata["accepted_shrink_reason"] = manifest.accepted_shrink_reason
    return metadata


def _inventory_metadata(inventory: Inventory) -> dict[str, dg.MetadataValue | int]:
    records = [
        dg.TableRecord({name: "" if value is None else value for name, value in day.as_dict().items()})
        for day in inventory.days
    ]
    return {
        "export_count": len(inventory.stored),
        "gap_count": len(inventory.gaps),
        "stored_bytes": sum(day.size_bytes for day in inventory.days),
        "days": dg.TableMetadataValue(
            records=records,
            schema=dg.TableSchema(
                columns=[dg.TableColumn(n) for n in ("day", "state", "size_bytes", "stored_utc", "versions")]
            ),
        ),
    }


def _gap_check(inventory: Inventory) -> dg.AssetCheckResult:
    gaps = inventory.gaps
    return dg.AssetCheckResult(
        check_name="no_gaps",
        passed=not gaps,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"no export on {', '.join(gaps)}" if gaps else "every day since the first export has one",
    )
