"""The time, and the one UTC day to which a run belongs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

LATE_TICK: Final = timedelta(hours=2)

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The system clock: the only place in the product that reads it."""
    return datetime.now(UTC)


def run_day(scheduled: datetime | None, now: datetime) -> str:
    """The UTC date under which a run stores its results, decided once per run: that of its scheduled time.

    A tick that runs long after its day would file today's backup under an old date. So more than two hours
    past midnight, the day is the one on which the run really works.
    """
    if scheduled is None:
        return now.astimezone(UTC).date().isoformat()
    due, real = scheduled.astimezone(UTC), now.astimezone(UTC)
    same_day = due.date() == real.date()
    return (due if same_day or timedelta(0) <= real - due <= LATE_TICK else real).date().isoformat()
