"""The hour at which Lightsail's automatic snapshot may start: one that Lightsail accepts, clear of our own snapshot."""

from __future__ import annotations

import re
from typing import Final

ADDON_WINDOW_MINUTES: Final = 45
"""Lightsail starts an automatic snapshot "between the time specified and up to 45 minutes after" (EnableAddOn)."""


def refuse_hour(hour: str, schedule_utc: str, deadline_minutes: int) -> None:
    """``hour`` and ``schedule_utc`` are HH:MM, UTC. Raises ``ValueError`` with the reason and an hour that works."""
    if not re.fullmatch(r"([01]\d|2[0-3]):00", hour):
        raise ValueError(
            f"Lightsail's automatic snapshots are hourly only (HH:00), so not {hour!r}: the daily {schedule_utc} is "
            "taken by the schedule instead; write off, or a full hour such as 18:00"
        )
    start, ours = _minute(hour), _minute(schedule_utc)
    if _overlap(start, ADDON_WINDOW_MINUTES, ours, deadline_minutes):
        raise ValueError(
            f"an automatic snapshot at {hour} may run for {ADDON_WINDOW_MINUTES} minutes and would meet the one at "
            f"{schedule_utc}, which Lightsail then refuses; choose an hour well clear of it, such as 18:00"
        )


def _minute(clock_time: str) -> int:
    return int(clock_time[:2]) * 60 + int(clock_time[3:])


def _overlap(first: int, first_minutes: int, second: int, second_minutes: int) -> bool:
    """Do two daily windows, in minutes of the day, overlap? Both ends count, and a day joins the next."""
    return (second - first) % 1440 <= first_minutes or (first - second) % 1440 <= second_minutes
