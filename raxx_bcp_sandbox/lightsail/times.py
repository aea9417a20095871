"""The resources' own time, and the arithmetic of days in UTC."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from raxx_bcp_sandbox.lightsail.store import Store

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
_OFFSET: Final = "clock_offset_seconds"

RealTime = Callable[[], float]


class ResourceClock:
    """Real time plus an offset that the store keeps, so that a test can run ten days in a second.

    Only resources use this time. Signatures are checked by the real time, which clients sign with.
    """

    def __init__(self, store: Store, real: RealTime = time.time) -> None:
        self._store = store
        self._real = real

    def now(self) -> float:
        """Epoch seconds, with milliseconds, as Lightsail shows them."""
        return round(self._real() + self.offset, 3)

    @property
    def offset(self) -> float:
        """How far the resources' time is ahead of the real one, in seconds."""
        return float(self._store.setting(_OFFSET) or 0.0)

    @property
    def was_set(self) -> bool:
        """Has the time ever been changed?"""
        return self._store.setting(_OFFSET) is not None

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        self._store.set(_OFFSET, repr(self.offset + seconds))

    def set_now(self, moment: float) -> None:
        """Set the time to ``moment`` (epoch seconds). A step back undoes nothing that has happened."""
        self._store.set(_OFFSET, repr(moment - self._real()))


def midnight(moment: float) -> float:
    """The start of the UTC day of ``moment``."""
    return moment - moment % DAY


def day_of(moment: float) -> str:
    """The UTC date of ``moment``: ``2031-03-14``."""
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def iso(moment: float) -> str:
    """``2031-03-14T06:29:00.000Z``."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_utc(text: str) -> float:
    """Epoch seconds of an ISO 8601 time that says its zone. Raises ``ValueError``."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"write a time with its zone, such as 2031-03-14T06:29:00Z, not {text}")
    return moment.timestamp()
