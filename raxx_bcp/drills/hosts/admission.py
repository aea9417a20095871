"""Which snapshots may become a host at all: those that hold the copy guard. This is checked before anything is made.

A copy of a host without the guard acts on the world before anybody can stop it (docs/decisions/0020). Code that makes
an instance from a snapshot must show an ``Admission`` (``hosts.make_host``), so that no way to start a drill bypasses
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from raxx_bcp.drills.engine.drill import Drill
from raxx_bcp.errors import CouldNotVerifyError
from raxx_bcp.guard.sightings import Period, Sightings

COPY_GUARD: Final = "copy guard"
"""The key in the row's ``target.versions``: since when the restored host was guarded, or why that was not checked."""


class UnguardedError(CouldNotVerifyError):
    """The snapshot does not hold the copy guard, or that is unknown. Nothing was made from it."""


@dataclass(frozen=True)
class Admission:
    """Admits snapshots of production's ``instance``. ``accept_unguarded``: why one without the guard may boot."""

    instance: str
    sightings: Sightings
    accept_unguarded: str = ""

    def admit(self, drill: Drill, label: str, created_utc: datetime) -> bool:
        """Does it hold the guard? False: it does not, and the drill's operator accepts that on record.

        Raises ``UnguardedError`` otherwise, and what S3 raises.
        """
        periods = self.sightings.periods(self.instance)
        guarded = next((each for each in periods if each.covers(created_utc)), None)
        if guarded is not None:
            drill.target[COPY_GUARD] = f"seen on {self.instance} since {_moment(guarded.since_utc)}"
            return True
        why = _why(self.instance, periods, created_utc)
        if not self.accept_unguarded.strip():
            raise UnguardedError(
                f"{label} was not restored: {why}. A copy without the guard acts on the world.", self._remedy()
            )
        accepted = f"unguarded, accepted by {drill.order.operator}: {self.accept_unguarded.strip()}"
        drill.target[COPY_GUARD] = accepted
        drill.findings.append(f"{label} is {accepted} ({why}).")
        return False

    def _remedy(self) -> str:
        return (
            f"Install the guard: raxx-bcp host guard install {self.instance}. Then take a snapshot, or wait for the "
            "next one, and restore that. Where it is known to be harmless all the same: --accept-unguarded WHY, which "
            "goes on record."
        )


def _why(instance: str, periods: list[Period], created_utc: datetime) -> str:
    if not periods:
        return f"no copy guard was ever seen on {instance}"
    first, last = periods[0], periods[-1]
    if created_utc <= first.since_utc:
        since = _moment(first.since_utc)
        return f"it is of {_moment(created_utc)}, and the copy guard was first seen on {instance} {since}"
    if last.until_utc is not None and created_utc > last.until_utc:
        return f"the copy guard was last seen on {instance} {_moment(last.until_utc)}, and was not there later"
    return f"the copy guard was not seen on {instance} around {_moment(created_utc)}"


def _moment(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC"
