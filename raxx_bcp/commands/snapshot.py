"""``raxx-bcp snapshot``: D1 from the command line."""

from __future__ import annotations

from typing import Final

import click

from raxx_bcp.checks import Check, Status, worst
from raxx_bcp.clock import run_day, utc_now
from raxx_bcp.console import check_lines, emit, exit_code, exit_codes, json_option, looking, progress
from raxx_bcp.errors import EXIT_FAIL, EXIT_PASS
from raxx_bcp.policy import load_policy
from raxx_bcp.snapshots import addon, health
from raxx_bcp.snapshots.connections import snapshot_connections
from raxx_bcp.snapshots.inventory import Kind, SnapshotInventory, take_inventory
from raxx_bcp.snapshots.run import SnapshotReceipt, snapshot_day


@click.group()
def snapshot() -> None:
    """D1: take the vault host's snapshot, list what there is."""


@snapshot.command("take")
@click.option("--dry-run", is_flag=True, help="Take it, and only show what pruning would delete.")
@json_option
@exit_codes
def take_command(*, dry_run: bool, as_json: bool) -> int:
    """Take today's snapshot unless it is there, wait until it is available, then keep the promised number."""
    policy = load_policy()
    now = utc_now()
    receipt = snapshot_day(snapshot_connections(policy), policy, run_day(None, now), dry_run=dry_run, progress=progress)
    emit(receipt.as_dict(), _receipt_text(receipt), as_json=as_json, checks=receipt.checks)
    return exit_code(receipt.status)


@snapshot.command("list")
@json_option
@exit_codes
@looking
def list_command(*, as_json: bool) -> int:
    """Every snapshot of the vault's and FreeScout's instances, the gaps, the cost, and whether all is as promised."""
    policy = load_policy()
    inventory = take_inventory(snapshot_connections(policy), policy, utc_now())
    checks = health.checks_of(inventory)
    status = worst(checks)
    verdict = {"ok": exit_code(status) == 0, "status": status.value, "checks": [check.as_dict() for check in checks]}
    emit({**verdict, **inventory.as_dict()}, _inventory_text(inventory, checks), as_json=as_json, checks=checks)
    return exit_code(status)


@snapshot.command("addon")
@click.option("--apply", "apply_it", is_flag=True, help="Bring it in line with vault_snapshot.addon of the policy.")
@json_option
@exit_codes
def addon_command(*, apply_it: bool, as_json: bool) -> int:
    """Lightsail's own automatic snapshots of the vault: on or off as the policy says, and what they cost."""
    policy = load_policy().vault_snapshot
    home = snapshot_connections(load_policy()).home
    found = addon.apply(home, policy) if apply_it else addon.look(home, policy)
    wrong = f"it is {found.found}, and the policy says {found.promised}."
    remedy = "Bring it in line: raxx-bcp snapshot addon --apply."
    check = Check(f"automatic snapshots of {found.instance}", Status.FAIL, wrong, remedy)
    emit(found.as_dict(), found.text(), as_json=as_json, checks=() if found.in_line else (check,))
    return EXIT_PASS if found.in_line else EXIT_FAIL


_WORDS: Final = {True: "", False: " unguarded", None: " guarded?"}
"""A snapshot without the copy guard must not be drilled."""


def _receipt_text(receipt: SnapshotReceipt) -> str:
    taken = receipt.taken.snapshot
    head = f"{taken.name} of {receipt.instance} ({receipt.region}): {taken.state}, {taken.size_gb} GB"
    return "\n".join([head, *check_lines(receipt.checks)])


def _inventory_text(inventory: SnapshotInventory, checks: tuple[Check, ...]) -> str:
    price = inventory.policy.vault_snapshot.price_usd_per_gb_month
    width = max((len(row.name) for row in inventory.rows), default=0)
    rows = [
        f"  {row.name:<{width}}  {row.state:<10} {row.age_hours(inventory.now):>8.1f} h  {row.size_gb:>4} GB  "
        f"${row.cost_usd(price):>5.2f}  {'ours' if row.ours else ''} {row.kind if row.kind is not Kind.MANUAL else ''}"
        f"{_WORDS[inventory.guarded(row)]}"
        for row in inventory.rows
    ]
    gaps = f"gaps: {', '.join(inventory.gaps)}" if inventory.gaps else "no gap"
    foot = (
        f"{len(inventory.good)} good ones of ours, {gaps}; next due {inventory.next_due:%Y-%m-%d %H:%M} UTC; all "
        f"together at most ${inventory.monthly_cost_usd:.2f} a month"
    )
    return "\n".join([*(line.rstrip() for line in rows), foot, *check_lines(checks)])
