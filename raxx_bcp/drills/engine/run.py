"""Runs a drill so that nothing is left behind and nothing vanishes: every way out releases and records.

Success, failure, a cancelled run, SIGTERM, a mistake in the program: the leases are given back last-in
first-out, and a row is written. Only kill -9 gets past this; what that leaves, the sweeper finds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from raxx_bcp.clock import Clock, utc_now
from raxx_bcp.drills.engine.drill import TEARDOWN, Drill, Order
from raxx_bcp.drills.engine.signals import signals_held
from raxx_bcp.errors import BcpError
from raxx_bcp.evidence.row import Verdict
from raxx_bcp.waiting import Progress, silent


class Recorder(Protocol):
    """Where drills are put on record."""

    def begin(self, drill: Drill) -> None:
        """Put on record that it begins. Where that cannot be done, nothing is begun."""

    def write(self, drill: Drill) -> int:
        """Write its evidence row and return the row's sequence number."""


@dataclass(frozen=True)
class FinishedDrill:
    """A drill that is over, and the number of its row."""

    drill: Drill
    row_sequence: int

    @property
    def verdict(self) -> Verdict:
        return self.drill.verdict


def run_drill(
    order: Order,
    body: Callable[[Drill], None],
    recorder: Recorder,
    *,
    clock: Clock = utc_now,
    sleep: Callable[[float], None] = time.sleep,
    progress: Progress = silent,
) -> FinishedDrill:
    """Run ``body`` and return the recorded result, whatever the verdict.

    Raises what ``recorder`` raises (``begin``: nothing was begun; ``write``: the row is kept and written
    later), and passes on a cancellation or a mistake in the program after it was recorded.
    """
    drill = Drill(order, clock, sleep, progress)
    progress(f"drill {drill.id} by {order.operator}")
    recorder.begin(drill)
    passed_on: BaseException | None = None
    sequence = 0
    try:
        body(drill)
    except BcpError as error:
        drill.broke(error)
    except Exception as error:  # noqa: BLE001 - recorded first, then passed on
        drill.stopped(f"A mistake in the program ended it ({type(error).__name__}).")
        passed_on = error
    except BaseException as error:  # noqa: BLE001 - a cancelled run is recorded too, then passed on
        drill.stopped(f"It was cancelled from outside ({type(error).__name__}).")
        passed_on = error
    finally:
        with signals_held():
            sequence = _finish(drill, recorder, cancelled=passed_on is not None)
    if passed_on is not None:
        raise passed_on
    return FinishedDrill(drill, sequence)


def _finish(drill: Drill, recorder: Recorder, *, cancelled: bool) -> int:
    """Give back, look, write. Signals are held: a second Ctrl-C waits."""
    with drill.phase(TEARDOWN):
        if drill.order.keep and not cancelled:
            drill.leases.keep_all(drill.expires_utc)
        else:
            drill.leases.release_all()
    drill.findings += drill.leases.findings
    drill.close()
    return recorder.write(drill)
