"""A drill on a clock that stands still until somebody sleeps, and resources that are only names."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from raxx_bcp.drills.engine.drill import Drill, Order
from raxx_bcp.drills.engine.leases import Lease
from raxx_bcp.errors import BcpError

START = datetime(2031, 3, 14, 9, 0, tzinfo=UTC)


@dataclass
class StillClock:
    """``clock()`` is the time; ``sleep`` lets it pass."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Shelf:
    """Resources by name. ``trouble`` is raised by a release; ``lies`` accepts releases and keeps the resource."""

    there: set[str] = field(default_factory=set)
    released: list[str] = field(default_factory=list)
    trouble: dict[str, BcpError] = field(default_factory=dict)
    lies: set[str] = field(default_factory=set)

    def make(self, name: str) -> str:
        self.there.add(name)
        return name

    def lease(self, name: str, usd_per_hour: float = 0.0) -> Lease:
        return Lease("thing", name, lambda: self.release(name), lambda: name not in self.there, usd_per_hour)

    def release(self, name: str) -> None:
        self.released.append(name)
        if name in self.trouble:
            raise self.trouble[name]
        if name not in self.lies:
            self.there.discard(name)


@dataclass
class Memory:
    """Remembers what was put on record."""

    begun: list[str] = field(default_factory=list)
    rows: list[Drill] = field(default_factory=list)
    refuses: BcpError | None = None
    loses: BcpError | None = None

    def begin(self, drill: Drill) -> None:
        if self.refuses:
            raise self.refuses
        self.begun.append(drill.id)

    def write(self, drill: Drill) -> int:
        self.rows.append(drill)
        if self.loses:
            raise self.loses
        return len(self.rows)


def order(*checks: str, operator: str = "alice", keep: bool = False) -> Order:
    return Order(
        kind="thing",
        system="things",
        operator=operator,
        scenario="a test",
        rto_target_seconds=3600,
        rpo_target_seconds=86400,
        lease=timedelta(hours=4),
        checks=checks,
        keep=keep,
    )
