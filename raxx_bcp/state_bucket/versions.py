"""The history of Terraform's state: which files exist, and to which versions each can be restored."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from raxx_bcp.clients.s3 import ObjectVersion

STATE_SUFFIX: Final = ".tfstate"


@dataclass(frozen=True)
class StateFile:
    """One current state file. ``version_id`` is that of the newest version, or of the delete marker on top."""

    key: str
    changed_utc: datetime
    size_bytes: int
    prior_version_count: int
    version_id: str
    delete_marked: bool

    def as_dict(self) -> dict[str, Any]:
        """For tables and ``--json``."""
        return {
            "key": self.key,
            "changed_utc": f"{self.changed_utc:%Y-%m-%dT%H:%M:%SZ}",
            "size_bytes": self.size_bytes,
            "prior_version_count": self.prior_version_count,
            "version_id": self.version_id,
            "delete_marked": self.delete_marked,
        }


def state_files(versions: Iterable[ObjectVersion], exports_prefix: str) -> tuple[StateFile, ...]:
    """Every ``*.tfstate`` outside of ``exports_prefix``, by key.

    For each key it holds only the newest version and a count, however long the history is.
    """
    newest: dict[str, ObjectVersion] = {}
    counts: dict[str, int] = {}
    for version in versions:
        if not version.key.endswith(STATE_SUFFIX) or version.key.startswith(exports_prefix):
            continue
        counts[version.key] = counts.get(version.key, 0) + (not version.is_delete_marker)
        known = newest.get(version.key)
        if known is None or _order(version) > _order(known):
            newest[version.key] = version
    return tuple(_state_file(newest[key], counts[key]) for key in sorted(newest))


def _order(version: ObjectVersion) -> tuple[bool, datetime]:
    return version.is_latest, version.modified_utc


def _state_file(newest: ObjectVersion, count: int) -> StateFile:
    return StateFile(
        key=newest.key,
        changed_utc=newest.modified_utc,
        size_bytes=newest.size_bytes,
        prior_version_count=count - (not newest.is_delete_marker),
        version_id=newest.version_id,
        delete_marked=newest.is_delete_marker,
    )
