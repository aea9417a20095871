"""The recorded time, and the two ways in which Heroku writes it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from raxx_bcp_sandbox.heroku.store import Store

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
_OFFSET: Final = "clock_offset_seconds"

RealTime = Callable[[], float]


class RecordedClock:
    """Real time plus an offset that the store keeps, so that a test can skip nine days.

    Only Heroku's records use this time. A signed URL expires by the real one.
    """

    def __init__(self, store: Store, real: RealTime = time.time) -> None:
        self._store = store
        self.real = real

    def now(self) -> float:
        """Seconds since the epoch."""
        return self.real() + self.offset

    @property
    def offset(self) -> float:
        """How far the recorded time is ahead of the real one, in seconds."""
        return float(self._store.setting(_OFFSET) or 0.0)

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        self._store.set(_OFFSET, repr(self.offset + seconds))

    def set_now(self, moment: float) -> None:
        """Set the time to ``moment``."""
        self._store.set(_OFFSET, repr(moment - self.real()))


def utc(moment: float) -> datetime:
    """``moment`` as a time in UTC."""
    return datetime.fromtimestamp(moment, UTC)


def platform_time(moment: float) -> str:
    """As the Platform API writes it: ``2026-11-23T17:33:19Z``."""
    return utc(moment).strftime("%Y-%m-%dT%H:%M:%SZ")


def data_time(moment: float | None) -> str | None:
    """As the Data API writes it: ``2020-12-13 16:22:59 +0000``."""
    return None if moment is None else utc(moment).strftime("%Y-%m-%d %H:%M:%S +0000")


def parse_utc(text: str) -> float:
    """Seconds since the epoch of an ISO 8601 time that says its zone. Raises ``ValueError``."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"write a time with its zone, such as 2031-03-14T06:29:00Z, not {text}")
    return moment.timestamp()
