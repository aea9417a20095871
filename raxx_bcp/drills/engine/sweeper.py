"""Cleans up after killed drills: deletes resources past their lease, and writes the rows that are missing.

It touches only what carries our mark **and** says that its time is over. A drill that still runs is inside its lease.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from raxx_bcp.clock import Clock, utc_now
from raxx_bcp.drills.engine.drill import Drill, token_of
from raxx_bcp.drills.engine.journal import Journal, Started
from raxx_bcp.drills.engine.leases import Lease, Returned, give_back
from raxx_bcp.drills.engine.record import entry_of
from raxx_bcp.errors import BcpError
from raxx_bcp.evidence.ledger import Ledger
from raxx_bcp.evidence.row import DrillEntry
from raxx_bcp.evidence.spool import Spool, flush, record
from raxx_bcp.waiting import Progress, silent

LOOK_BACK: Final = timedelta(days=90)
"""How far back it looks for a drill without a row."""


@dataclass(frozen=True)
class Leftover:
    """One resource that carries our mark. ``drill_id`` is its drill, where the resource itself says so."""

    lease: Lease
    created_utc: datetime
    expires_utc: datetime
    drill_id: str = ""


class Place(Protocol):
    """Where drills make resources."""

    name: str

    def leftovers(self) -> Iterable[Leftover]:
        """Everything that carries our mark now. Raises ``BcpError`` where that cannot be seen."""


@dataclass
class Swept:
    """What was found and done."""

    gone: list[Returned] = field(default_factory=list)
    still_there: list[Returned] = field(default_factory=list)
    not_yet: list[Leftover] = field(default_factory=list)
    rows_written: list[int] = field(default_factory=list)
    crashed: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def cost_usd(self) -> float:
        """What the leftovers cost from their creation until now."""
        return sum(one.usd for one in (*self.gone, *self.still_there))

    @property
    def clean(self) -> bool:
        """Was everything seen that had to be, and is nothing left that should be gone?"""
        return not self.still_there and not self.problems

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "ok": self.clean,
            "gone": [f"{one.kind} {one.name}" for one in self.gone],
            "still_there": [{"name": f"{one.kind} {one.name}", "why": one.problem} for one in self.still_there],
            "not_yet": [f"{one.lease.kind} {one.lease.name}" for one in self.not_yet],
            "rows_written": self.rows_written,
            "crashed_drills": self.crashed,
            "cost_usd": round(self.cost_usd, 4),
            "problems": self.problems,
        }

    def text(self) -> str:
        """For people."""
        lines = [f"{one.fate}: {one.kind} {one.name}, ${one.usd:.4f}" for one in self.gone]
        lines += [f"STILL THERE: {one.kind} {one.name}: {one.problem}" for one in self.still_there]
        lines += [f"in use until {one.expires_utc:%Y-%m-%d %H:%M} UTC: {one.lease.name}" for one in self.not_yet]
        lines += [f"written: row {sequence}" for sequence in self.rows_written]
        lines += [f"crashed, and now on record: {drill_id}" for drill_id in self.crashed]
        lines += [f"COULD NOT VERIFY: {problem}" for problem in self.problems]
        return "\n".join(lines) or "nothing was left behind"


def sweep(
    places: Iterable[Place],
    journal: Journal,
    ledger: Ledger,
    spool: Spool,
    *,
    clock: Clock = utc_now,
    sleep: Callable[[float], None] = time.sleep,
    progress: Progress = silent,
) -> Swept:
    """Look everywhere, also when one place cannot be seen. The result says what could not be done."""
    swept = Swept()
    for place in places:
        for leftover in _seen(place, swept):
            _sweep_one(leftover, swept, clock, sleep, progress)
    try:
        flushed = flush(spool, ledger)
        swept.rows_written += [row.sequence for row in flushed.appended]
        swept.problems += [f"{path} is not a pending evidence row" for path in flushed.unreadable]
        _write_crashed(swept, journal, ledger, spool, clock, progress)
    except BcpError as error:
        swept.problems.append(f"evidence: {error.what}")
    return swept


def _seen(place: Place, swept: Swept) -> list[Leftover]:
    """What was seen before the look stopped, where something cannot be seen."""
    found: list[Leftover] = []
    try:
        found.extend(place.leftovers())
    except BcpError as error:
        swept.problems.append(f"{place.name}: {error.what}")
    return found


def _sweep_one(
    leftover: Leftover, swept: Swept, clock: Clock, sleep: Callable[[float], None], progress: Progress
) -> None:
    lease = leftover.lease
    if clock() < leftover.expires_utc:
        swept.not_yet.append(leftover)
        return
    progress(f"{lease.kind} {lease.name}: its lease ended {leftover.expires_utc:%Y-%m-%d %H:%M} UTC, deleting it")
    gone_utc, problem = give_back(lease, clock, sleep)
    hours = ((gone_utc or clock()) - leftover.created_utc).total_seconds() / 3600
    usd = max(0.0, hours) * lease.usd_per_hour
    returned = Returned(
        lease.kind,
        lease.name,
        leftover.created_utc,
        gone_utc,
        problem,
        usd=usd,
        drill_id=leftover.drill_id,
        remains=lease.remains(),
    )
    (swept.gone if gone_utc else swept.still_there).append(returned)


def _write_crashed(
    swept: Swept, journal: Journal, ledger: Ledger, spool: Spool, clock: Clock, progress: Progress
) -> None:
    recorded = {row.entry.identity.drill_id for row in ledger.rows() if isinstance(row.entry, DrillEntry)}
    for started in journal.without_row(recorded, clock(), back=LOOK_BACK):
        row = record(_crash_row(started, swept, clock), spool, ledger)
        progress(f"drill {started.drill_id} never ended: row {row.sequence}")
        swept.rows_written.append(row.sequence)
        swept.crashed.append(started.drill_id)


def _crash_row(started: Started, swept: Swept, clock: Clock) -> DrillEntry:
    """What is known of a drill whose process was killed: that it started, and what the sweeper found of it since."""
    drill = Drill(started.order(), clock, lambda _seconds: None, silent, id=started.drill_id)
    drill.started_utc = started.started_utc
    drill.leases.returned = [one for one in (*swept.gone, *swept.still_there) if _of_drill(one, started)]
    drill.stopped("Its process was killed or its host was lost: it never ended, and the sweeper wrote this row.")
    drill.findings += drill.leases.findings
    drill.close()
    return entry_of(drill, clock())


def _of_drill(one: Returned, started: Started) -> bool:
    """A drill's resources name their drill, or carry the end of its id in their names."""
    if one.drill_id:
        return one.drill_id == started.drill_id
    return one.name.endswith(f"-{token_of(started.drill_id)}")
