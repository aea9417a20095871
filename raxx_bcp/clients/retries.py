"""When a request is sent again, for how long, and what is reported meanwhile: one rule for every HTTP client.

| answer | may be done twice (a GET) | must not be done twice (a write) |
| --- | --- | --- |
| no connection at all | for 60 s | for 60 s: nothing was sent |
| 502, 503, 504 | for 60 s | never: it may have taken effect |
| 429 | 4 attempts, with the wait that it asks for | the same: the service did nothing |
| 500, a connection that broke or fell silent | 4 attempts | never |

A real Infisical answers again 17 s after its restart, and a client that waits for 60 s outlasts a ``kill -9`` and
start (measured). A refusal (401, 403, …) is an answer and is never repeated: three refused logins lock an identity.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from raxx_bcp.errors import TransientError

T = TypeVar("T")
PATIENCE_SECONDS: Final = 60.0
LONGEST_WAIT_SECONDS: Final = 120.0
"""The longest wait that a 429 may ask for between two attempts."""
LONGEST_PAUSE_SECONDS: Final = 5.0
"""Between two attempts while a service is away, short enough to see its return soon; jitter is added."""
_SAID_AGAIN_SECONDS: Final = 20.0

_WAITS: Final = logging.getLogger("raxx_bcp.waits")


class Repeat(enum.Enum):
    """What a request may be repeated after."""

    ANYTHING = "anything transient"
    UNDONE = "only what surely did nothing"
    NEVER = "nothing"


class BusyError(TransientError):
    """A request that did not succeed for now. ``reason`` says why in a few words, with no content of the request."""

    def __init__(self, what: str, remedy: str, reason: str = "", wait_seconds: float | None = None) -> None:
        super().__init__(what, remedy)
        self.reason = reason
        self.wait_seconds = wait_seconds
        """How long the service asks us to wait."""


class AwayError(BusyError):
    """502, 503, 504: restarting, or away behind a proxy. The request may have taken effect."""


class UnconnectedError(AwayError):
    """No connection was made: nothing was sent, so nothing can have taken effect."""


class RateLimitedError(BusyError):
    """429: the service did nothing, and asks us to slow down."""


class Repeater:
    """Sends again what may be sent again, and reports what it waits for. Thread-safe.

    ``service`` is the service that it waits for, with its address. It adds up the time passed to ``sleep`` and the time
    of the attempts by ``clock`` (seconds), so that a test may replace either.
    """

    def __init__(
        self,
        service: str,
        *,
        attempts: int,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._service = service
        self._attempts = attempts
        self._sleep, self._clock = sleep, clock
        self._patience = patience_seconds
        self._lock = threading.Lock()
        self._said: tuple[str, float] | None = None

    def run(self, once: Callable[[], T], repeat: Repeat) -> T:
        """The answer of the first attempt that gives one. Raises the last attempt's ``BusyError``."""
        failures = hurried = 0
        spent = 0.0
        while True:
            began = self._clock()
            try:
                return once()
            except BusyError as error:
                busy = error
            spent += self._clock() - began
            failures += 1
            hurried += not isinstance(busy, AwayError)
            left = self._patience - spent if isinstance(busy, AwayError) else None
            if not _repeatable(busy, repeat) or hurried >= self._attempts or (left is not None and left <= 0):
                raise busy
            wait = _wait(busy, failures, LONGEST_WAIT_SECONDS if left is None else left)
            self._say(busy, wait)
            self._sleep(wait)
            spent += wait

    def _say(self, busy: BusyError, wait: float) -> None:
        """Report what it waits for: at once, when the reason changes, and now and then; not for every thread."""
        now = self._clock()
        with self._lock:
            if self._said and self._said[0] == busy.reason and now - self._said[1] < _SAID_AGAIN_SECONDS:
                return
            self._said = (busy.reason, now)
        longest = f"up to {self._patience:.0f} s" if isinstance(busy, AwayError) else f"trying again in {wait:.0f} s"
        _WAITS.warning("waiting for %s: %s; %s", self._service, busy.reason, longest)


@contextlib.contextmanager
def waits_told(tell: Callable[[str], None]) -> Iterator[None]:
    """Inside the block ``tell`` reports what is waited for: on stderr for a command, in the run's log for Dagster.

    It uses Python's logging, since the waiting threads know neither. Without a listener it goes to stderr.
    """
    before, propagated = _WAITS.handlers, _WAITS.propagate
    _WAITS.handlers, _WAITS.propagate = [_Teller(tell)], False
    try:
        yield
    finally:
        _WAITS.handlers, _WAITS.propagate = before, propagated


class _Teller(logging.Handler):
    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(record.getMessage())


def _repeatable(busy: BusyError, repeat: Repeat) -> bool:
    if repeat is Repeat.UNDONE:
        return isinstance(busy, (UnconnectedError, RateLimitedError))
    return repeat is Repeat.ANYTHING


def _wait(busy: BusyError, failures: int, longest: float) -> float:
    """Seconds until the next attempt: what the service asks for, else growing, with jitter against a herd."""
    asked = busy.wait_seconds
    if asked is None:
        asked = min(0.5 * 2.0 ** (failures - 1), LONGEST_PAUSE_SECONDS) + random.uniform(0, 1)  # noqa: S311 - no secret
    return min(asked, longest)
