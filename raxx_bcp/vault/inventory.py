"""Which days have an export, and is the newest due one there? Read from S3, which is the record."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from raxx_bcp.checks import Check, Status
from raxx_bcp.clients.s3 import Bucket, ObjectAbsentError
from raxx_bcp.daily import days_up_to, expected_day, late_from
from raxx_bcp.errors import CouldNotVerifyError
from raxx_bcp.policy import VaultExport
from raxx_bcp.vault import manifest as manifests
from raxx_bcp.vault import store

FRESHNESS: Final = "today_is_there"


class DayState(enum.StrEnum):
    """What one day has."""

    COMPLETE = "complete"
    NO_MANIFEST = "no manifest"
    NOT_DUE = "not due yet"
    MISSING = "MISSING"


@dataclass(frozen=True)
class Day:
    """One day of the inventory. ``versions`` is None where the role may not list versions."""

    day: str
    state: DayState
    size_bytes: int = 0
    stored_utc: datetime | None = None
    versions: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """For tables and ``--json``."""
        stored = manifests.utc_text(self.stored_utc) if self.stored_utc else ""
        return {
            "day": self.day,
            "state": self.state.value,
            "size_bytes": self.size_bytes,
            "stored_utc": stored,
            "versions": self.versions,
        }


@dataclass(frozen=True)
class Inventory:
    """The last days, newest first. ``first_day`` is the oldest export of all, if any."""

    days: tuple[Day, ...]
    first_day: str | None

    @property
    def gaps(self) -> tuple[str, ...]:
        """Days without an export since the first one ever made: before it, nothing was promised."""
        return tuple(
            day.day
            for day in self.days
            if day.state is DayState.MISSING and self.first_day and day.day > self.first_day
        )

    @property
    def stored(self) -> tuple[Day, ...]:
        """The days that have an export."""
        return tuple(day for day in self.days if day.size_bytes)


def take_inventory(bucket: Bucket, policy: VaultExport, now: datetime) -> Inventory:
    """One pass over the prefix. Raises ``CouldNotVerifyError`` where the role may not list."""
    objects = {item.key: item for item in bucket.objects(policy.prefix)}
    versions = _version_counts(bucket, policy.prefix)
    days = []
    for day in days_up_to(now.date().isoformat(), policy.inventory_days):
        keys = store.keys_of(policy.prefix, day)
        found = objects.get(keys.export)
        if found is None:
            due = now >= late_from(day, policy)
            days.append(Day(day, DayState.MISSING if due else DayState.NOT_DUE))
            continue
        state = DayState.COMPLETE if keys.manifest in objects else DayState.NO_MANIFEST
        count = None if versions is None else versions[keys.export]
        days.append(Day(day, state, found.size_bytes, found.modified_utc, count))
    return Inventory(tuple(days), _first_day(objects))


def freshness_check(bucket: Bucket, policy: VaultExport, now: datetime) -> Check:
    """Is the newest due export there, and whole as its manifest says?

    Denied is COULD_NOT_VERIFY, never fresh. This reads S3 and not Dagster's database, where anyone with access to
    the UI can report a materialization.
    """
    today = now.date().isoformat()
    expected = expected_day(now, policy)
    try:
        present = [day for item in bucket.objects(policy.prefix) if (day := store.day_of(item.key))]
        newest = max((day for day in present if day <= today), default=None)
        if newest is None or newest < expected:
            return _late(expected, newest)
        return _complete(bucket, store.keys_of(policy.prefix, newest))
    except CouldNotVerifyError as error:
        return Check(FRESHNESS, Status.COULD_NOT_VERIFY, error.what, error.remedy)


def _late(expected: str, newest: str | None) -> Check:
    last = f"the last one is of {newest}" if newest else "there has never been one"
    return Check(
        FRESHNESS,
        Status.FAIL,
        f"The vault export of {expected} is late: {last}.",
        "Look at the last run of vault_export in Dagster; to make one now: raxx-bcp vault export.",
    )


def _complete(bucket: Bucket, keys: store.ExportKeys) -> Check:
    stored = bucket.head(keys.export)
    try:
        manifest = manifests.decode(bucket.get(keys.manifest))
    except ObjectAbsentError:
        manifest = None
    if stored is None or manifest is None or manifest.size_bytes != stored.size_bytes:
        return Check(
            FRESHNESS,
            Status.FAIL,
            f"{keys.export} is there, but no manifest vouches for it: its run did not finish.",
            "Start the export again: raxx-bcp vault export.",
        )
    return Check(
        FRESHNESS, Status.PASS, f"{keys.export}: {manifest.secret_count} secrets, stored {manifest.ended_utc}."
    )


def _version_counts(bucket: Bucket, prefix: str) -> Counter[str] | None:
    try:
        return Counter(version.key for version in bucket.versions(prefix) if not version.is_delete_marker)
    except CouldNotVerifyError:
        return None


def _first_day(keys: Iterable[str]) -> str | None:
    return min((day for key in keys if (day := store.day_of(key))), default=None)
