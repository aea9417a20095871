"""FreeScout's own backup, seen from outside: the vault's snapshot follows when it has ended (ADR-0103 D1)."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from raxx_bcp.clients.lightsail import AVAILABLE, ERROR, AutomaticSnapshot, InstanceSnapshot


class BackupState(enum.StrEnum):
    """What one look at FreeScout's backup of a day shows."""

    COMPLETE = "complete"
    RUNNING = "running"
    FAILED = "failed"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class FreeScoutBackup:
    """The backup of ``day``. ``created_utc`` is its start; Lightsail does not report when one ended."""

    day: str
    state: BackupState
    created_utc: datetime | None = None

    @property
    def words(self) -> str:
        """For a tag and for people, such as ``complete, begun 05:12``."""
        return f"{self.state.value}, begun {self.created_utc:%H:%M}" if self.created_utc else self.state.value


def backup_of(
    day: str, automatic: Iterable[AutomaticSnapshot], manual: Iterable[InstanceSnapshot], instance: str
) -> FreeScoutBackup:
    """The backup of ``instance`` that started on ``day``: automatic or manual, the best one where there are several.

    Lightsail's own times decide, never a name: an old backup must not count as today's.
    """
    found = [
        FreeScoutBackup(day, _automatic_state(one.status), one.created_utc)
        for one in automatic
        if _day(one.created_utc) == day
    ]
    found += [
        FreeScoutBackup(day, _manual_state(one.state), one.created_utc)
        for one in manual
        if one.instance_name == instance and _day(one.created_utc) == day
    ]
    order = list(BackupState)
    return min(found, key=lambda one: order.index(one.state), default=FreeScoutBackup(day, BackupState.ABSENT))


def _automatic_state(status: str) -> BackupState:
    known = {"Success": BackupState.COMPLETE, "InProgress": BackupState.RUNNING, "Failed": BackupState.FAILED}
    return known.get(status, BackupState.UNKNOWN)


def _manual_state(state: str) -> BackupState:
    return {AVAILABLE: BackupState.COMPLETE, ERROR: BackupState.FAILED}.get(state, BackupState.RUNNING)


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).date().isoformat()
