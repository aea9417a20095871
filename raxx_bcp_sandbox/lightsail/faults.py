"""What an operator can break. Where possible, a fault changes what clients see, not what the store holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec

from raxx_bcp_sandbox.hosts import quirks
from raxx_bcp_sandbox.lightsail.records import FAILED, IN_PROGRESS, Automatic
from raxx_bcp_sandbox.lightsail.times import DAY, day_of
from raxx_bcp_sandbox.stand_in import Faults

VAULT: Final = "raxx-vault"
TICKETS: Final = "raxx-tickets"

DOWN = "lightsail-down"
THROTTLED = "lightsail-throttled"
THROTTLED_TWICE = "lightsail-throttled-twice"
DENIED = "lightsail-denied"
STUCK = "lightsail-snapshot-stuck"
ENDS_IN_ERROR = "lightsail-snapshot-error"
DELETE_REFUSED = "lightsail-delete-refused"
INSTANCE_MISSING = "lightsail-instance-missing"
NAME_TAKEN = "lightsail-name-taken"
AUTOMATIC_RUNNING = "lightsail-auto-snapshot-running"
LIST_CUT = "lightsail-list-cut"
BACKUP_MISSING = "freescout-backup-missing"
BACKUP_LATE = "freescout-backup-late"
BACKUP_FAILED = "freescout-backup-failed"

KNOWN: Final = {
    DOWN: "Lightsail answers every call with 503.",
    THROTTLED: "Lightsail answers every call with Rate exceeded.",
    THROTTLED_TWICE: "Lightsail answers the first two calls of each operation with Rate exceeded.",
    DENIED: "The role may call nothing in Lightsail but GetRegions: AccessDeniedException.",
    STUCK: "New snapshots stay pending until this is mended.",
    ENDS_IN_ERROR: "New snapshots end in the state error.",
    DELETE_REFUSED: "Lightsail refuses to delete any snapshot: OperationFailureException.",
    INSTANCE_MISSING: f"The instance {VAULT} does not exist.",
    NAME_TAKEN: "The name of a new snapshot is taken by something that is not a snapshot.",
    AUTOMATIC_RUNNING: f"An automatic snapshot of {VAULT} is being made, so manual ones are refused.",
    LIST_CUT: "The list of snapshots breaks off: its second page fails with ServiceException.",
    BACKUP_MISSING: f"FreeScout has not been backed up for three days: no automatic snapshot of {TICKETS}.",
    BACKUP_LATE: f"FreeScout's newest backup, an automatic snapshot of {TICKETS}, is still being made.",
    BACKUP_FAILED: f"FreeScout's newest backup, an automatic snapshot of {TICKETS}, has failed.",
    **quirks.KNOWN,
}
THROTTLED_FIRST: Final = 2
MISSING_SECONDS: Final = 3 * DAY
_BEGUN_SECONDS: Final = 60.0


def _nothing() -> None:
    """Nothing to do."""


class LightsailFaults(Faults):
    """The faults, the counters of the throttled calls, and the view of automatic snapshots that the faults give.

    ``before_switch`` runs before any change: what was due under the old rules still happens under them.
    """

    def __init__(self, before_switch: Callable[[], None] = _nothing) -> None:
        super().__init__(KNOWN)
        self.before_switch = before_switch
        self._throttled: Counter[str] = Counter()

    def switch(self, name: str, *, on: bool) -> None:
        """Switch fault ``name``; its counters start again."""
        self.before_switch()
        super().switch(name, on=on)
        self._throttled.clear()

    def throttles(self, operation: str) -> bool:
        """Must this call get "Rate exceeded"?"""
        if self.on(THROTTLED):
            return True
        if not self.on(THROTTLED_TWICE) or self._throttled[operation] >= THROTTLED_FIRST:
            return False
        self._throttled[operation] += 1
        return True

    def hides(self, instance: str) -> bool:
        """Is the instance of this name hidden from clients?"""
        return instance == VAULT and self.on(INSTANCE_MISSING)

    def automatics(self, region: str, instance: str, stored: list[Automatic], now: float) -> list[Automatic]:
        """The automatic snapshots of ``instance`` as clients see them, newest first."""
        if instance == VAULT and self.on(AUTOMATIC_RUNNING):
            begun = now - _BEGUN_SECONDS
            running = Automatic(region, instance, day_of(begun), "running", begun, IN_PROGRESS)
            return [running, *(each for each in stored if each.day != running.day)]
        if instance != TICKETS:
            return stored
        if self.on(BACKUP_MISSING):
            return [each for each in stored if each.created_at < now - MISSING_SECONDS]
        status = IN_PROGRESS if self.on(BACKUP_LATE) else FAILED if self.on(BACKUP_FAILED) else ""
        if status and stored:
            return [msgspec.structs.replace(stored[0], status=status), *stored[1:]]
        return stored
