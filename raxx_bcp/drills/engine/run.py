"""Runs a drill so that it leaves nothing behind and always has a record: every way out releases and records.

On success, failure, a cancelled run, SIGTERM or a programming error, it releases the leases last in, first out, and
writes a row. Only kill -9 gets past this; the sweeper finds what that leaves.
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
        """Put on record that it starts. Raises where that fails; the drill then does not start."""

    def write(self, drill: Drill) -> int:
        """Write its evidence row and return the row's sequence number."""


@dataclass(frozen=True)
class FinishedDrill:
    """A finished drill, and the number of its row."""

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

    Raises what ``recorder`` raises (``begin``: the drill did not start; ``write``: the row is stored here and written
    later). Passes on a cancellation or a programming error after it was recorded.
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
    """Release, look, write. Signals are held back: a second Ctrl-C waits."""
    with drill.phase(TEARDOWN):
        if drill.order.keep and not cancelled:
            drill.leases.keep_all(drill.expires_utc)
        else:
            drill.leases.release_all()
    drill.findings += drill.leases.findings
    drill.close()
    return recorder.write(drill)
