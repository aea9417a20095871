"""Which drills the schedules start, when each runs next, and whether Dagster's switches agree.

The policy decides (``[drills] scheduled``), not a switch in Dagster's UI. The daemon deletes a schedule's state when
its code location was gone for a while, and the schedule then has its default in code again (dagster 26634). So the
default is what the policy says, and a different switch is shown. Knows no Dagster.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from raxx_bcp.checks import Check, Status
from raxx_bcp.drills.kinds import DRILL_NAMES, spoken
from raxx_bcp.drills.loading import kind
from raxx_bcp.policy import Policy

MONTHLY_SCHEDULE: Final = "monthly_schedule"
MONTHLY_DRILLS: Final = "monthly drills"
HOUR_UTC: Final = 9
_FIRST_DAY: Final = 2

SWITCHED_ON: Final = "RUNNING"
SWITCHED_OFF: Final = "STOPPED"
"""What Dagster stores of a person's switch; anything else means that the code's default counts."""


def day_of_month(name: str) -> int:
    """One drill a day, from the second of the month on; the same whatever else is scheduled."""
    return _FIRST_DAY + DRILL_NAMES.index(name)


def next_run(name: str, now: datetime) -> datetime:
    """When its schedule ticks next after ``now`` (UTC), if it is on."""
    due = now.astimezone(UTC).replace(day=day_of_month(name), hour=HOUR_UTC, minute=0, second=0, microsecond=0)
    if due > now:
        return due
    first = due.replace(day=1)
    return (first.replace(month=first.month % 12 + 1, year=first.year + first.month // 12)).replace(day=due.day)


def described(policy: Policy, name: str) -> str:
    """One sentence for the catalog, true for as long as this policy is loaded."""
    if name in policy.drills.scheduled:
        return f"on by bcp.toml: day {day_of_month(name)} of each month at {HOUR_UTC:02}:00 UTC"
    return "off: bcp.toml does not name it in [drills] scheduled"


def schedule_check(policy: Policy, name: str, now: datetime, switch: str | None = None) -> Check:
    """Is this drill's schedule as the policy says? ``switch`` is what a person set in Dagster's UI, if anything.

    Switched off there although the policy names it: FAIL, since a promised drill does not run. Switched on although the
    policy does not name it: a warning, since its ticks start nothing.
    """
    listed = name in policy.drills.scheduled
    on = f"on by bcp.toml, next on {next_run(name, now):%Y-%m-%d %H:%M} UTC"
    if listed and switch == SWITCHED_OFF:
        detail = "bcp.toml names this drill in [drills] scheduled, but its schedule was switched off in Dagster's UI."
        remedy = f"Switch {schedule_name(name)} on again (Automation), or take the drill out of [drills] scheduled."
        return Check(MONTHLY_SCHEDULE, Status.FAIL, detail, remedy, warning_id=f"{name}-switched-off-{now:%Y-%m}")
    if not listed and switch == SWITCHED_ON:
        detail = "its schedule was switched on in Dagster's UI, which starts nothing: bcp.toml does not name it."
        remedy = f'Write "{spoken(name)}" into [drills] scheduled of bcp.toml, or switch {schedule_name(name)} off.'
        return Check(MONTHLY_SCHEDULE, Status.WARN, detail, remedy)
    if listed and kind(name).needs_private_key:
        remedy = "Take it out of [drills] scheduled, and run it each month where the private key is."
        return Check(
            MONTHLY_SCHEDULE, Status.WARN, f"{spoken(name)} is {on}; without the private key it cannot pass.", remedy
        )
    return Check(MONTHLY_SCHEDULE, Status.PASS, f"{on}." if listed else f"{described(policy, name)}.")


def schedules_check(policy: Policy, now: datetime) -> list[Check]:
    """For ``doctor``: what is on, when it runs next, what is off, and what is on but can never pass."""
    listed = [name for name in DRILL_NAMES if name in policy.drills.scheduled]
    on = [f"{spoken(name)} next on {next_run(name, now):%Y-%m-%d %H:%M} UTC" for name in listed]
    off = [spoken(name) for name in DRILL_NAMES if name not in listed]
    detail = f"on: {', '.join(on) or 'none'}; off: {', '.join(off) or 'none'} (bcp.toml, [drills] scheduled)."
    alone = [schedule_check(policy, name, now) for name in listed if kind(name).needs_private_key]
    return [
        Check(MONTHLY_DRILLS, Status.PASS, detail),
        *(Check(MONTHLY_DRILLS, check.status, check.detail, check.remedy) for check in alone),
    ]


def checks_by_asset(policy: Policy, now: datetime, switches: Mapping[str, str]) -> dict[str, Check]:
    """For the catalog: a check for each drill's asset. ``switches``: by the schedule's name, what the UI stored."""
    return {
        f"{name}_drill": schedule_check(policy, name, now, switches.get(schedule_name(name))) for name in DRILL_NAMES
    }


def schedule_name(name: str) -> str:
    """The schedule in Dagster."""
    return f"drill_{name}_schedule"
