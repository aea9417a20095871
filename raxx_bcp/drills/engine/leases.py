"""What a drill has made and must delete: last in, first out. It counts as gone only when it is no longer listed.

A lease is written down *before* its resource is made, so that a creation whose answer was lost is still released. The
resource's own name or tags say which drill it belongs to and until when, so that the sweeper can delete what a killed
process leaves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from raxx_bcp.clock import Clock
from raxx_bcp.errors import BcpError
from raxx_bcp.waiting import Progress

_CONFIRM_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Lease:
    """One throwaway resource.

    ``release`` deletes it (a missing one is fine). ``gone`` looks whether it is still listed. Both may raise
    ``BcpError``. ``usd_per_hour`` is its price while it exists.
    """

    kind: str
    name: str
    release: Callable[[], None]
    gone: Callable[[], bool]
    usd_per_hour: float = 0.0
    remains: Callable[[], str] = str
    """Asked after it is gone from every list: what of it still exists for a while; empty: nothing."""


@dataclass
class Returned:
    """The result of one lease. ``gone_utc`` is when it was seen to be gone; None: not confirmed."""

    kind: str
    name: str
    created_utc: datetime
    gone_utc: datetime | None = None
    problem: str = ""
    kept_until_utc: datetime | None = None
    usd: float = 0.0
    drill_id: str = ""
    """The drill that made it, where the sweeper must know."""
    remains: str = ""
    """What of it still exists for a while although it is gone from every list (``Lease.remains``)."""

    @property
    def fate(self) -> str:
        """The result, in a word or two."""
        return self.problem or self.remains or "gone"

    @property
    def finding(self) -> str:
        """What a reader of the row must know; empty when it is gone."""
        if self.gone_utc is not None:
            return ""
        if self.kept_until_utc is not None:
            until = f"{self.kept_until_utc:%Y-%m-%d %H:%M}"
            why = "only a drill that gives everything back closes a card."
            return f"{self.kind} {self.name} was kept until {until} UTC on request: {why}"
        return f"{self.kind} {self.name} may still be there: {self.problem}"


@dataclass
class Leases:
    """The open leases of one drill."""

    clock: Clock
    sleep: Callable[[float], None]
    progress: Progress
    open: list[tuple[Lease, datetime]] = field(default_factory=list)
    returned: list[Returned] = field(default_factory=list)

    def take(self, lease: Lease) -> None:
        """Write the lease down, before its resource is made."""
        self.open.append((lease, self.clock()))

    def keep_all(self, until: datetime) -> None:
        """Keep everything for a person to look at, until its lease ends and the sweeper deletes it."""
        while self.open:
            lease, created = self.open.pop()
            usd = _cost(lease, created, until)
            self.returned.append(Returned(lease.kind, lease.name, created, kept_until_utc=until, usd=usd))
            self.progress(f"{lease.kind} {lease.name} is kept until {until:%Y-%m-%d %H:%M} UTC")

    def release_all(self) -> None:
        """Delete everything, newest first. One failure does not stop the others."""
        while self.open:
            lease, created = self.open.pop()
            self.returned.append(self._release(lease, created))

    @property
    def confirmed(self) -> bool:
        """Is nothing left, as far as could be seen?"""
        return not self.open and all(one.gone_utc is not None for one in self.returned)

    @property
    def findings(self) -> list[str]:
        """What a reader of the row must know of the resources: what is left, and what remains of deleted ones."""
        remaining = Counter((one.kind, one.remains) for one in self.returned if one.gone_utc and one.remains)
        told = [f"{kind} ({count}): {remains}." for (kind, remains), count in remaining.items()]
        return [one.finding for one in self.returned if one.finding] + told

    def _release(self, lease: Lease, created: datetime) -> Returned:
        self.progress(f"releasing {lease.kind} {lease.name}")
        gone_utc, problem = give_back(lease, self.clock, self.sleep)
        usd = _cost(lease, created, gone_utc or self.clock())
        returned = Returned(lease.kind, lease.name, created, gone_utc, problem, usd=usd, remains=lease.remains())
        self.progress(f"{lease.kind} {lease.name}: {returned.fate}")
        return returned


def give_back(lease: Lease, clock: Clock, sleep: Callable[[float], None]) -> tuple[datetime | None, str]:
    """Release, then look until it is gone. Returns when that was seen, or what prevented it."""
    problem = _try(lease.release)
    waited, pause = 0.0, 0.5
    while True:
        try:
            if lease.gone():
                return clock(), ""
            problem = problem or "its deletion was accepted, and it is still listed"
        except BcpError as error:
            problem = problem or f"whether it is gone is not known: {error.what}"
        if waited >= _CONFIRM_SECONDS:
            return None, problem
        sleep(pause)
        waited, pause = waited + pause, min(pause * 2, 10.0)
        if problem:
            _try(lease.release)


def _try(release: Callable[[], Any]) -> str:
    try:
        release()
    except BcpError as error:
        return error.what
    return ""


def _cost(lease: Lease, created: datetime, until: datetime) -> float:
    return lease.usd_per_hour * max(0.0, (until - created).total_seconds()) / 3600
