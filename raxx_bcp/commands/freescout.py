"""``raxx-bcp freescout``: the help desk's dump sets from the command line."""

from __future__ import annotations

import click

from raxx_bcp.checks import worst
from raxx_bcp.clock import utc_now
from raxx_bcp.commands.freescout_backup import backup_status, install_backup, uninstall_backup
from raxx_bcp.console import check_lines, emit, exit_code, exit_codes, json_option, looking, progress
from raxx_bcp.environment import dump_bucket, dump_removal
from raxx_bcp.freescout.adopt import adopt, write
from raxx_bcp.freescout.inventory import Inventory, freshness_check, take_inventory
from raxx_bcp.freescout.prune import prune
from raxx_bcp.policy import load_policy, policy_path


@click.group()
def freescout() -> None:
    """The help desk's dump sets, which Tier 2 of its drill restores."""


for _command in (install_backup, backup_status, uninstall_backup):
    freescout.add_command(_command)


@freescout.command("list")
@json_option
@exit_codes
@looking
def list_command(*, as_json: bool) -> int:
    """The dump sets of the last days: whole or not, readable by whom, and whether the newest one due is there."""
    policy, now = load_policy(), utc_now()
    bucket = dump_bucket(policy)
    inventory = take_inventory(bucket, policy.freescout, now)
    checks = (freshness_check(bucket, policy.freescout, now), *inventory.checks)
    status = worst(checks)
    told = {
        "ok": exit_code(status) == 0,
        "status": status.value,
        "checks": [check.as_dict() for check in checks],
        "days": [day.as_dict() for day in inventory.days],
        "recipients": list(inventory.recipients),
        "growth_ratio": inventory.growth_ratio,
    }
    emit(told, "\n".join([*_rows(inventory), *check_lines(checks)]), as_json=as_json, checks=checks)
    return exit_code(status)


@freescout.command("prune")
@click.option("--apply", "apply_it", is_flag=True, help="Delete what the plan says; without it, only the plan.")
@json_option
@exit_codes
@looking
def prune_command(*, apply_it: bool, as_json: bool) -> int:
    """Which dump sets the policy no longer keeps (7 daily, 4 weekly); with --apply, delete them.

    The plan is said first. Nothing goes unless the newest set is good, and nothing that a kept set builds on.
    """
    policy = load_policy()
    pruned = prune(
        dump_bucket(policy), dump_removal(policy), policy.freescout, utc_now(), apply=apply_it, progress=progress
    )
    checks = (pruned.check,)
    told = {"ok": True, "status": pruned.check.status.value, "checks": [pruned.check.as_dict()], **pruned.as_dict()}
    emit(told, "\n".join(check_lines(checks)), as_json=as_json, checks=checks)
    return exit_code(pruned.check.status)


@freescout.command("adopt")
@click.argument("patterns", nargs=-1, required=True, metavar="PATTERN…")
@click.option("--write", "write_it", is_flag=True, help="Put the lines at the end of the policy file.")
@json_option
@exit_codes
@looking
def adopt_command(*, patterns: tuple[str, ...], write_it: bool, as_json: bool) -> int:
    """Drill what another program stores: look through PATTERN… and print the policy's lines for it.

    A pattern is a key such as 'backups/freescout-{date}.sql.gz' ({date}, {time}, * for anything but a slash; dated by
    S3's own time without {date}), or PART=PATTERN with database, everything (a .tar.gz of all), env, attachments or
    modules. Nothing is copied or changed.
    """
    policy = load_policy()
    found = adopt(dump_bucket(policy), policy.freescout, patterns)
    path = policy_path()
    if write_it:
        write(found.policy_text, path)
    said = f"written to {path}" if write_it else f"Put these lines into {path}, or add --write."
    told = {"ok": True, "status": "PASS", **found.as_dict(), "written": str(path) if write_it else ""}
    emit(told, f"{found.text()}\n\n{said}", as_json=as_json)
    return 0


def _rows(inventory: Inventory) -> list[str]:
    return [
        f"  {day.day}  {day.state.value:<12} {day.size_bytes:>12} bytes  "
        f"{'missing: ' + ', '.join(day.missing) if day.missing else ''}"
        f"{'in clear: ' + ', '.join(day.in_clear) if day.in_clear else ''}".rstrip()
        for day in inventory.days
    ]
