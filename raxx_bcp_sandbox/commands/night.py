"""The demo's night on the help desk: ``freescout-backup`` on production's instance, run by its timer's unit."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final

from raxx_bcp.checks import Status
from raxx_bcp.clients.host_access import HostAccess
from raxx_bcp.clients.ssh import Shell
from raxx_bcp.clock import utc_now
from raxx_bcp.environment import dump_bucket
from raxx_bcp.errors import CouldNotVerifyError, PermanentError
from raxx_bcp.freescout import backup_hosts
from raxx_bcp.freescout.inventory import DayState, freshness_check, take_inventory
from raxx_bcp.guard.hosts import log_in
from raxx_bcp.policy import Policy
from raxx_bcp.vault.keys import operator_key
from raxx_bcp_sandbox.supervisor import Sandbox

STEP: Final = "freescout-backup"
_START: Final = "sudo -n systemctl start freescout-backup.service"
_BOOT_SECONDS: Final = 90.0
_RUN_SECONDS: Final = 300.0


def run_night(policy: Policy, sandbox: Sandbox, sleep: Callable[[float], None] = time.sleep) -> str:
    """Install it as an operator does, start the timer's unit, and check what the bucket then holds.

    Returns one sentence on the result. Raises the error of the step that failed.
    """
    today = take_inventory(dump_bucket(policy), policy.freescout, utc_now()).days[0]
    if today.state is DayState.COMPLETE:
        return f"the set of {today.day} was there already"
    host = policy.freescout.instance
    with _door(policy, host, sleep) as shell:
        found = backup_hosts.status(shell, host)
        if found.why:
            found = backup_hosts.install(shell, host, _setting(policy, sandbox))
        done = shell.run(_START, timeout_seconds=_RUN_SECONDS)
    if found.why or done.exit_code != 0:
        raise PermanentError(
            f"freescout-backup on {host} failed: {found.why or f'its service ended with {done.exit_code}'}.",
            "Its log is below the sandbox's directory, in lightsail/hosts/instances.",
        )
    seen = freshness_check(dump_bucket(policy), policy.freescout, utc_now())
    if seen.status is not Status.PASS:
        raise PermanentError(seen.detail, seen.remedy)
    return f"made on {host} by {_START.removeprefix('sudo -n ')}: {seen.detail}"


def _door(policy: Policy, host: str, sleep: Callable[[float], None]) -> Shell:
    """The instance may still be booting."""
    until = time.monotonic() + _BOOT_SECONDS
    while True:
        try:
            return log_in(HostAccess((host,)), host, policy.throwaway_instances.ssh_port)
        except CouldNotVerifyError:
            if time.monotonic() > until:
                raise
            sleep(1.0)


def _setting(policy: Policy, sandbox: Sandbox) -> backup_hosts.Setting:
    made = sandbox.credentials()
    return backup_hosts.Setting(
        policy,
        operator_key(policy.vault_export.gpg_fingerprint),
        dump_bucket(policy).region,
        endpoint=os.environ["AWS_ENDPOINT_URL_S3"],
        slack_url=os.environ["SLACK_API_URL"],
        credentials={
            backup_hosts.ACCESS_KEY: made["S3_HELP_DESK_ACCESS_KEY_ID"],
            backup_hosts.SECRET_KEY: made["S3_HELP_DESK_SECRET_ACCESS_KEY"],
            backup_hosts.SLACK_TOKEN: os.environ["SLACK_BOT_TOKEN"],
        },
    )
