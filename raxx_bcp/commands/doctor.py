"""``raxx-bcp doctor``: what can this machine see and do, and what not?"""

from __future__ import annotations

import click

from raxx_bcp.alerts.doctor import slack_check
from raxx_bcp.checks import worst
from raxx_bcp.clock import utc_now
from raxx_bcp.console import check_lines, emit, exit_code, exit_codes, json_option
from raxx_bcp.policy import load_policy
from raxx_bcp.vault.doctor import examine


@click.command()
@json_option
@exit_codes
def doctor(*, as_json: bool) -> int:
    """What can this machine see and do, and what not? Each finding with its remedy. Changes nothing."""
    policy = load_policy()
    checks = (*examine(policy, utc_now()), slack_check(policy.alerts))
    status = worst(checks)
    result = {"ok": exit_code(status) == 0, "status": status.value, "checks": [check.as_dict() for check in checks]}
    emit(result, "\n".join(check_lines(checks)), as_json=as_json)
    return exit_code(status)
