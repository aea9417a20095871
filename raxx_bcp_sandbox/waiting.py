"""Waiting for something with a deadline, with a clock that tests can replace."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

Say = Callable[[str], None]


def silent(_sentence: str) -> None:
    """Report nothing: for callers that only want the result."""


@dataclass(frozen=True)
class Clock:
    """The time, and how to let it pass."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def until(
        self,
        condition: Callable[[], bool],
        seconds: float,
        *,
        every: float = 0.05,
        waiting: Callable[[float], None] | None = None,
    ) -> bool:
        """Wait until ``condition`` holds, for at most ``seconds``; return whether it did.

        ``condition`` is always checked at least once. ``waiting`` gets the elapsed time about every two seconds, so
        that a long wait shows progress.
        """
        start = self.now()
        told = start
        while not condition():
            now = self.now()
            if now - start >= seconds:
                return False
            if waiting is not None and now - told >= 2:
                told = now
                waiting(now - start)
            self.sleep(every)
        return True
