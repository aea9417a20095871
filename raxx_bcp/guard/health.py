"""Since when each host is guarded, as checks. The drill of a snapshot checks for itself whether that one is guarded."""

from __future__ import annotations

import functools
from datetime import datetime, timedelta

from raxx_bcp.checks import Check, Status, guarded
from raxx_bcp.guard.hosts import kinds
from raxx_bcp.guard.sightings import Sightings
from raxx_bcp.policy import Policy

SEEN_WITHIN = timedelta(days=35)
"""A monthly drill looks at the guard. After longer than this, nobody knows whether it is still there."""


def examine(sightings: Sightings, policy: Policy, now: datetime) -> list[Check]:
    """One check for each host. A record that cannot be read is COULD_NOT_VERIFY. Looks at S3 only."""
    found: list[Check] = []
    for host in kinds(policy):
        found += guarded(_name(host), functools.partial(_of, host, sightings, now))
    return found


def _of(host: str, sightings: Sightings, now: datetime) -> list[Check]:
    periods = sightings.periods(host)
    if not periods:
        missing = f"no copy guard was ever seen on {host}: its snapshots are not drilled."
        return [Check(_name(host), Status.WARN, missing, f"Install it: raxx-bcp host guard install {host}.")]
    newest, look = periods[-1], f"Look at it: raxx-bcp host guard status {host}."
    if newest.until_utc is not None:
        gone = f"it was on {host} until {_moment(newest.until_utc)}, and not later."
        return [Check(_name(host), Status.WARN, gone, look)]
    old = now - newest.last_seen_utc > SEEN_WITHIN
    said = f"guarded since {_moment(newest.since_utc)}; last seen {_moment(newest.last_seen_utc)}."
    return [Check(_name(host), Status.WARN if old else Status.PASS, said, look if old else "")]


def _name(host: str) -> str:
    return f"copy guard of {host}"


def _moment(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC"
