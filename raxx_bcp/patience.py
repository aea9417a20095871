"""Waiting with a deadline, by a clock and a sleep that tests replace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from raxx_bcp.clock import Clock

Progress = Callable[[str], None]


def silent(_message: str) -> None:
    """Say nothing."""


@dataclass
class Patience:
    """How long to wait in all, and how long between two looks."""

    clock: Clock
    sleep: Callable[[float], None]
    poll_seconds: float
    until: datetime
    length: timedelta

    @classmethod
    def of(cls, minutes: float, poll_seconds: float, clock: Clock, sleep: Callable[[float], None]) -> Patience:
        """From now on for ``minutes``."""
        length = timedelta(minutes=minutes)
        return cls(clock, sleep, poll_seconds, clock() + length, length)

    @property
    def left(self) -> bool:
        """Is there time for another look?"""
        return self.clock() < self.until

    def pause(self) -> None:
        """Let one poll interval pass."""
        self.sleep(self.poll_seconds)
