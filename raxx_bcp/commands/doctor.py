"""``raxx-bcp doctor``: what can this machine see and do, and what not?"""

from __future__ import annotations

import click

from raxx_bcp.alerts.doctor import slack_check
from raxx_bcp.checks import guarded, worst
from raxx_bcp.clock import utc_now
from raxx_bcp.console import check_lines, emit, exit_code, exit_codes, json_option
from raxx_bcp.drills.readiness import examine as drills
from raxx_bcp.drills.timetable import schedules_check
from raxx_bcp.guard.connections import sightings_of
from raxx_bcp.guard.health import examine as copy_guards
from raxx_bcp.policy import load_policy
from raxx_bcp.snapshots.connections import snapshot_connections
from raxx_bcp.snapshots.health import checks_of as snapshots
from raxx_bcp.snapshots.inventory import take_inventory
from raxx_bcp.state_bucket.connections import state_bucket_settings
from raxx_bcp.state_bucket.posture import examine as state_bucket
from raxx_bcp.state_bucket.posture import weighed
from raxx_bcp.vault.doctor import examine as vault


@click.command()
@json_option
@exit_codes
def doctor(*, as_json: bool) -> int:
    """What can this machine see and do, and what not? Each finding with its remedy. Changes nothing."""
    policy = load_policy()
    now = utc_now()
    posture = guarded("state bucket posture", lambda: state_bucket(state_bucket_settings(policy), policy, now).checks)
    others = (
        *vault(policy, now),
        *guarded("lightsail", lambda: snapshots(take_inventory(snapshot_connections(policy), policy, now))),
        *copy_guards(sightings_of(policy), policy, now),
        *drills(policy),
        *schedules_check(policy, now),
        slack_check(policy.alerts),
    )
    checks = (*others[:-1], *posture, others[-1])
    weighty = (*others, *(weighed(check) for check in posture))
    status = worst(weighty)
    result = {"ok": exit_code(status) == 0, "status": status.value, "checks": [check.as_dict() for check in checks]}
    emit(result, "\n".join(check_lines(checks)), as_json=as_json, checks=weighty)
    return exit_code(status)
