"""``RateLimit-Remaining``: 4,500 calls an hour, coming back at 75 a minute (contract, Heroku)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

LIMIT: Final = 4_500
_BACK_PER_SECOND: Final = LIMIT / 3_600


class Rate:
    """Counts calls of the Platform API. It only reports: the fault ``heroku-rate-limited`` refuses calls."""

    def __init__(self, real: Callable[[], float]) -> None:
        self._real = real
        self._left = float(LIMIT)
        self._at = real()

    def spend(self) -> int:
        """Count a call; return how many are left."""
        now = self._real()
        self._left = min(float(LIMIT), self._left + (now - self._at) * _BACK_PER_SECOND)
        self._at = now
        self._left = max(1.0, self._left - 1)
        return int(self._left)
