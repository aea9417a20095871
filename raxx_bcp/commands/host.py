"""``raxx-bcp host``: the copy guard on production's own hosts, put there, looked at and removed over SSH."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from typing import Any

import click

from raxx_bcp.clients.ssh import Shell
from raxx_bcp.clock import utc_now
from raxx_bcp.console import emit, exit_codes, json_option, looking, progress
from raxx_bcp.errors import EXIT_FAIL, EXIT_PASS
from raxx_bcp.guard import hosts
from raxx_bcp.guard.connections import host_access, sightings_of
from raxx_bcp.guard.hosts import NOT_INSTALLED, HostGuard
from raxx_bcp.guard.sightings import Period
from raxx_bcp.policy import Policy, load_policy

operator_option = click.option(
    "--operator", default=getpass.getuser, metavar="WHO", help="Who you are; it goes on record. Default: your login."
)


@click.group()
def host() -> None:
    """Production's own hosts."""


@host.group()
def guard() -> None:
    """The copy guard: what keeps a restored copy of a host silent from its first instruction."""


@guard.command("status")
@click.argument("host_name", metavar="HOST")
@operator_option
@json_option
@exit_codes
@looking
def status_command(*, host_name: str, operator: str, as_json: bool) -> int:
    """Log in to HOST, ask the guard, and put on record what was seen. 0: HOST is guarded. 1: it is not."""
    return _do(host_name, operator, hosts.status, as_json=as_json)


@guard.command("install")
@click.argument("host_name", metavar="HOST")
@operator_option
@json_option
@exit_codes
def install_command(*, host_name: str, operator: str, as_json: bool) -> int:
    """Put the guard on HOST, or a newer one in its place, and look. Nothing is restarted."""

    def install(shell: Shell, name: str) -> HostGuard:
        return hosts.install(shell, name, hosts.kinds(load_policy())[name])

    return _do(host_name, operator, install, as_json=as_json)


@guard.command("uninstall")
@click.argument("host_name", metavar="HOST")
@operator_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@exit_codes
def uninstall_command(*, host_name: str, operator: str, yes: bool, as_json: bool) -> int:
    """Remove the guard from HOST. No snapshot that is taken from then on can be drilled."""
    if not yes:
        click.confirm(
            f"Copies of {host_name} will act on the world from then on. Remove its guard?", abort=True, err=True
        )
    _do(host_name, operator, hosts.uninstall, as_json=as_json)
    return EXIT_PASS


def _do(name: str, operator: str, action: Callable[[Shell, str], HostGuard], *, as_json: bool) -> int:
    policy = load_policy()
    client, sightings = host_access(policy), sightings_of(policy)
    progress(f"logging in to {name} …")
    with hosts.log_in(client, name, policy.throwaway_instances.ssh_port) as shell:
        found = action(shell, name)
    sightings.add(found.sighting(operator, utc_now()))
    periods = sightings.periods(name)
    emit(_as_dict(found, periods, policy), _text(found, periods), as_json=as_json)
    return EXIT_PASS if found.in_order else EXIT_FAIL


def _as_dict(found: HostGuard, periods: list[Period], policy: Policy) -> dict[str, Any]:
    since = _since(periods)
    return {
        "guarded": found.in_order,
        "host": found.instance,
        "machine": found.machine,
        "kind": found.kind or hosts.kinds(policy)[found.instance],
        "why": found.why,
        "guard_version": found.version,
        "installed_utc": found.installed_utc,
        "guarded_since_utc": f"{since.since_utc:%Y-%m-%dT%H:%M:%SZ}" if since else None,
        "identity_sha256": found.identity_sha256,
        "list_sha256": found.list_sha256,
        "a_copy_masks": found.a_copy_masks,
    }


def _text(found: HostGuard, periods: list[Period]) -> str:
    since = _since(periods)
    if found.in_order and since is not None:
        return (
            f"{found.instance} is guarded since {since.since_utc:%Y-%m-%d %H:%M} UTC: it is the original, a copy of it "
            f"would mask {found.a_copy_masks} units (list {found.kind}).\n"
            "Snapshots that are taken after that can be drilled."
        )
    install = f"raxx-bcp host guard install {found.instance}"
    todo = install if found.machine == NOT_INSTALLED else "log in and read /etc/copy-guard/README.md"
    return f"{found.instance} is NOT guarded: {found.why}.\n  What to do: {todo}"


def _since(periods: list[Period]) -> Period | None:
    return periods[-1] if periods and periods[-1].until_utc is None else None
