"""``raxx-bcp freescout …-backup``: the nightly backup on the help desk's own host, put there over SSH."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from raxx_bcp.checks import Check, Status
from raxx_bcp.clients.host_access import HostAccess
from raxx_bcp.clients.ssh import Shell
from raxx_bcp.console import emit, exit_codes, json_option, looking, progress
from raxx_bcp.environment import dump_bucket
from raxx_bcp.errors import EXIT_FAIL, EXIT_PASS, UsageError
from raxx_bcp.freescout import backup_hosts
from raxx_bcp.freescout.backup_hosts import SLACK_TOKEN, HostBackup, Setting
from raxx_bcp.guard.hosts import log_in
from raxx_bcp.policy import Policy, load_policy
from raxx_bcp.vault.keys import operator_key

STDIN: Final = "-"
host_argument = click.argument("host_name", metavar="HOST")


@click.command("install-backup")
@host_argument
@click.option(
    "--credentials",
    metavar="FILE",
    help="The AWS key that may only put dump sets: a file of mode 0600, or - for stdin. Default: what the host has.",
)
@click.option(
    "--slack-token-file", metavar="FILE", help="A Slack token (chat:write): a file of mode 0600, or - for stdin."
)
@click.option(
    "--full-every-days", type=click.IntRange(1, 31), help="How often all attachments are stored. Default: each night."
)
@json_option
@exit_codes
def install_backup(
    *, host_name: str, credentials: str | None, slack_token_file: str | None, full_every_days: int | None, as_json: bool
) -> int:
    """Put freescout-backup on HOST, or a newer one in its place, try it there, and switch its timer on.

    Settings come from bcp.toml, the public key from where the vault export has it. Nothing is stored yet.
    """
    policy = load_policy()
    if credentials == slack_token_file == STDIN:
        raise UsageError("Two secrets cannot both come by stdin.", "Give one of them as a file of mode 0600.")
    given: dict[str, str] = {}
    if credentials:
        given |= backup_hosts.read_credentials(_secret(credentials), _named(credentials))
    if slack_token_file:
        given[SLACK_TOKEN] = _secret(slack_token_file).decode("ascii", "replace").strip()
    setting = Setting(
        policy,
        operator_key(policy.vault_export.gpg_fingerprint),
        dump_bucket(policy).region,
        endpoint=os.environ.get("AWS_ENDPOINT_URL_S3", ""),
        slack_url=os.environ.get("SLACK_API_URL", ""),
        full_every_days=full_every_days,
        credentials=given,
    )
    found = _on(host_name, policy, lambda shell, host: backup_hosts.install(shell, host, setting))
    _tell(found, as_json=as_json)
    return EXIT_FAIL if found.why else EXIT_PASS


@click.command("backup-status")
@host_argument
@json_option
@exit_codes
@looking
def backup_status(*, host_name: str, as_json: bool) -> int:
    """What of freescout-backup is on HOST, and how its last run ended. 0: in order. 1: not."""
    found = _on(host_name, load_policy(), backup_hosts.status)
    _tell(found, as_json=as_json)
    return EXIT_FAIL if found.why else EXIT_PASS


@click.command("uninstall-backup")
@host_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@exit_codes
def uninstall_backup(*, host_name: str, yes: bool, as_json: bool) -> int:
    """Remove freescout-backup, its timer and its credentials from HOST. The stored sets stay."""
    if not yes:
        click.confirm(f"No dump set of {host_name} is made from then on. Remove it?", abort=True, err=True)
    _tell(_on(host_name, load_policy(), backup_hosts.uninstall), as_json=as_json)
    return EXIT_PASS


def _on(name: str, policy: Policy, action: Callable[[Shell, str], HostBackup]) -> HostBackup:
    if name != policy.freescout.instance:
        raise UsageError(
            f"{name} is not the help desk's host.", f"Name {policy.freescout.instance}, or correct bcp.toml."
        )
    progress(f"logging in to {name} …")
    with log_in(HostAccess((name,)), name, policy.throwaway_instances.ssh_port) as shell:
        return action(shell, name)


def _secret(named: str) -> bytes:
    return sys.stdin.buffer.read() if named == STDIN else backup_hosts.read_private(Path(named))


def _named(named: str) -> str:
    return "What came by stdin" if named == STDIN else named


def _tell(found: HostBackup, *, as_json: bool) -> None:
    remedy = f"Run raxx-bcp freescout install-backup {found.host}; journalctl -u freescout-backup there says more."
    checks = [Check("freescout-backup", Status.FAIL, f"{found.why} on {found.host}.", remedy)] if found.why else []
    emit(found.as_dict(), "\n".join(_lines(found)), as_json=as_json, checks=checks)


def _lines(found: HostBackup) -> list[str]:
    lines = [f"  changed  {name}" for name in found.changed]
    if found.threads is not None:
        lines.append(f"  tried    {found.threads} threads counted, a word encrypted, S3 asked; nothing was stored")
    if found.warning:
        lines.append(f"  WARN     {found.warning}")
    if found.why:
        return [*lines, f"freescout-backup on {found.host} is NOT in order: {found.why}."]
    newest = f"{found.day} ({'whole' if found.whole else 'not whole'})" if found.day else "none yet"
    return [*lines, f"freescout-backup on {found.host} is in order: next run {found.next}; newest set {newest}."]
