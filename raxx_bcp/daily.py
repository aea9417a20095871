"""What is due every day at a fixed UTC time: when it is late, and which day's must be there now."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol


class Daily(Protocol):
    """The part of a policy section that says when something is due."""

    @property
    def schedule_utc(self) -> str:
        """``HH:MM``."""

    @property
    def late_after_minutes(self) -> int:
        """How long after ``schedule_utc`` it counts as late."""


def due_at(day: str, daily: Daily) -> datetime:
    """When (UTC) the run of ``day`` (``YYYY-MM-DD``) starts."""
    return datetime.combine(date.fromisoformat(day), time.fromisoformat(daily.schedule_utc), tzinfo=UTC)


def late_from(day: str, daily: Daily) -> datetime:
    """The time (UTC) from which the run of ``day`` counts as late."""
    return due_at(day, daily) + timedelta(minutes=daily.late_after_minutes)


def expected_day(now: datetime, daily: Daily) -> str:
    """The newest day whose result must be there at ``now``: today once today's would be late, else yesterday."""
    today = now.astimezone(UTC).date()
    return (today if now >= late_from(today.isoformat(), daily) else today - timedelta(days=1)).isoformat()


def next_due(now: datetime, daily: Daily) -> datetime:
    """The next start (UTC) after ``now``."""
    today = due_at(now.astimezone(UTC).date().isoformat(), daily)
    return today if today > now else today + timedelta(days=1)


def days_up_to(last_day: str, count: int) -> list[str]:
    """The ``count`` days that end with ``last_day``, newest first."""
    last = date.fromisoformat(last_day)
    return [(last - timedelta(days=back)).isoformat() for back in range(count)]
