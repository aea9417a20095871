"""Waiting with a deadline, by a clock and a sleep that tests replace.

A poll continues until its deadline: a look that fails on its way, or whose answer cannot be read,
does not end it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from raxx_bcp.clock import Clock
from raxx_bcp.errors import NOT_THE_END, BcpError

Progress = Callable[[str], None]
T = TypeVar("T")


def silent(_message: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Waiting:
    """A look found that it is not over yet; ``seen`` says what it found, such as "pending"."""

    seen: str


@dataclass
class Deadline:
    """How long to wait in total, and how long between two looks."""

    clock: Clock
    sleep: Callable[[float], None]
    poll_seconds: float
    until: datetime
    length: timedelta

    @classmethod
    def of(cls, minutes: float, poll_seconds: float, clock: Clock, sleep: Callable[[float], None]) -> Deadline:
        """Starts now and lasts ``minutes``."""
        length = timedelta(minutes=minutes)
        return cls(clock, sleep, poll_seconds, clock() + length, length)

    @property
    def left(self) -> bool:
        """Is there time for another look?"""
        return self.clock() < self.until

    def pause(self) -> None:
        """Let one poll interval pass."""
        self.sleep(self.poll_seconds)

    def ask(self, look: Callable[[], T | Waiting], late: Callable[[str], BcpError], progress: Progress = silent) -> T:
        """The result of ``look`` as soon as it no longer returns ``Waiting``; it is called once more at the deadline.

        A look that fails because the service is away or unreadable is a reason to wait. Other errors are definite
        answers and are passed on. Raises ``late(seen)`` after the deadline, where ``seen`` is what the last look found.
        """
        while True:
            try:
                found = look()
            except NOT_THE_END as error:
                found = Waiting(f"not seen: {error.what}")
            if not isinstance(found, Waiting):
                return found
            if not self.left:
                raise late(found.seen)
            progress(found.seen)
            self.pause()
