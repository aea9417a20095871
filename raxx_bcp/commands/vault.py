"""``raxx-bcp vault``: the D3 export from the command line; ``vault_restore`` holds the commands that open one."""

from __future__ import annotations

from pathlib import Path

import click

from raxx_bcp import environment
from raxx_bcp.checks import Check, Status
from raxx_bcp.clock import run_day, utc_now
from raxx_bcp.commands import vault_restore
from raxx_bcp.console import check_lines, emit, exit_code, exit_codes, json_option, looking, progress
from raxx_bcp.errors import UsageError
from raxx_bcp.policy import load_policy
from raxx_bcp.vault.connections import export_connections
from raxx_bcp.vault.export import ExportReceipt, export_vault
from raxx_bcp.vault.inventory import Inventory, freshness_check, take_inventory
from raxx_bcp.vault.keys import operator_key
from raxx_bcp.vault.verify import PrivateKey, verify_export


@click.group()
def vault() -> None:
    """D3: export the Infisical vault, list, verify, open and restore the exports."""


vault.add_command(vault_restore.restore_command)
vault.add_command(vault_restore.show_command)
vault.add_command(vault_restore.get_command)
vault.add_command(vault_restore.diff_command)


@vault.command("export")
@click.option("--accept-shrink", metavar="WHY", default="", help="Accept fewer secrets than before; put on record.")
@click.option(
    "--accept-emptied",
    metavar="PROJECT/ENV/PATH",
    multiple=True,
    help="Accept that this folder was emptied on purpose; put on record. May be given several times.",
)
@json_option
@exit_codes
def export_command(*, accept_shrink: str, accept_emptied: tuple[str, ...], as_json: bool) -> int:
    """Export the vault now, encrypted to the operator's key, and verify what was stored."""
    policy = load_policy()
    operator = operator_key(policy.vault_export.gpg_fingerprint)
    receipt = export_vault(
        export_connections(policy),
        operator,
        policy.vault_export,
        run_day(None, utc_now()),
        accept_shrink=accept_shrink,
        accept_emptied=accept_emptied,
        progress=progress,
    )
    emit(receipt.as_dict(), _receipt_text(receipt), as_json=as_json, checks=receipt.checks)
    return exit_code(receipt.status)


@vault.command("list")
@json_option
@exit_codes
@looking
def list_command(*, as_json: bool) -> int:
    """The exports of the last days: gaps, sizes, versions, and whether the newest is fresh."""
    policy = load_policy()
    bucket = environment.state_bucket(policy)
    now = utc_now()
    inventory = take_inventory(bucket, policy.vault_export, now)
    fresh = freshness_check(bucket, policy.vault_export, now)
    result = {
        "ok": fresh.status is Status.PASS,
        "days": [day.as_dict() for day in inventory.days],
        "gaps": list(inventory.gaps),
        "freshness": fresh.as_dict(),
    }
    emit(result, _inventory_text(inventory, fresh), as_json=as_json, checks=(fresh,))
    return exit_code(fresh.status)


@vault.command("verify")
@click.option("--date", "day", metavar="YYYY-MM-DD", default=None, help="Which day's export; default: the newest.")
@click.option("--decrypt", is_flag=True, help="Open it with your own GnuPG keyring and compare with its manifest.")
@click.option(
    "--private-key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Open it with this private key instead; it is held in memory only.",
)
@json_option
@exit_codes
@looking
def verify_command(*, day: str | None, decrypt: bool, private_key_file: Path | None, as_json: bool) -> int:
    """Check a stored export against its manifest; with the private key, open it too (never on the worker)."""
    if decrypt and private_key_file:
        raise UsageError("--decrypt and --private-key-file were both given.", "Give one of the two.")
    policy = load_policy()
    private_key = PrivateKey(private_key_file.read_bytes()) if private_key_file else None
    if decrypt:
        private_key = PrivateKey(None)
    fingerprint = operator_key(policy.vault_export.gpg_fingerprint).fingerprint
    bucket = environment.state_bucket(policy)
    verified = verify_export(bucket, policy.vault_export, fingerprint, day, private_key)
    text = "\n".join([verified.key, *check_lines(verified.checks)])
    emit(verified.as_dict(), text, as_json=as_json, checks=verified.checks)
    return exit_code(verified.status)


def _receipt_text(receipt: ExportReceipt) -> str:
    manifest = receipt.manifest
    counts = (
        f"  {manifest.secret_count} secrets, {manifest.project_count} projects, {manifest.folder_count} folders, "
        f"{manifest.import_count} imports; {manifest.size_bytes} bytes in {receipt.duration_seconds:.1f} s"
    )
    return "\n".join(
        [
            f"s3://{manifest.bucket}/{manifest.key} (version {manifest.version_id or 'none kept'})",
            counts,
            f"  sha256 {manifest.ciphertext_sha256}",
            *check_lines(receipt.checks),
        ]
    )


def _inventory_text(inventory: Inventory, fresh: Check) -> str:
    rows = [
        f"  {day.day}  {day.state.value:<12} {day.size_bytes:>10} bytes  "
        f"versions {'?' if day.versions is None else day.versions}"
        for day in inventory.days
        if day.size_bytes or day.day in inventory.gaps
    ]
    gaps = f"gaps: {', '.join(inventory.gaps)}" if inventory.gaps else "no gap since the first export"
    return "\n".join([*rows, gaps, *check_lines((fresh,))])
