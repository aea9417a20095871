"""Which nights have a whole dump set of FreeScout, who can read it, and is the newest one due there? Read from S3."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from raxx_bcp.checks import Check, Status
from raxx_bcp.clients import openpgp
from raxx_bcp.clients.s3 import Bucket
from raxx_bcp.daily import days_up_to, expected_day, late_from
from raxx_bcp.drills.freescout.adopted import stored_sets
from raxx_bcp.drills.freescout.dump_set import DumpSet, Listed
from raxx_bcp.errors import CouldNotVerifyError, PermanentError
from raxx_bcp.policy import FreeScout

FRESHNESS: Final = "today_is_there"
NO_GAPS: Final = "no_gaps"
ENCRYPTED: Final = "encrypted"
GROWTH: Final = "size"
_HEAD_BYTES: Final = 4096
"""More than the recipients' packets of any message that a few people can read."""
_SHRUNK_RATIO: Final = 0.5
_LOOK: Final = "Look at freescout-backup on the help desk: journalctl -u freescout-backup.service."


class DayState(enum.StrEnum):
    """What one day has."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    NO_MANIFEST = "no manifest"
    ADOPTED = "adopted"
    """Another program's: everything that its layout has a place for is there. Whether it is whole, nothing tells."""
    NOT_DUE = "not due yet"
    MISSING = "MISSING"


_WHOLE: Final = (DayState.COMPLETE, DayState.ADOPTED)


@dataclass(frozen=True)
class Due:
    """When a night's set is made and late, in the words of ``daily.Daily``."""

    schedule_utc: str
    late_after_minutes: int

    @classmethod
    def of(cls, policy: FreeScout) -> Due:
        return cls(policy.backup_ends_utc, policy.dump_late_after_minutes)


@dataclass(frozen=True)
class Day:
    """One day of the inventory."""

    day: str
    state: DayState
    size_bytes: int = 0
    stored_utc: datetime | None = None
    missing: tuple[str, ...] = ()
    in_clear: tuple[str, ...] = ()
    """Names of members that whoever may read the bucket can read."""

    def as_dict(self) -> dict[str, Any]:
        """For tables and ``--json``."""
        return {
            "day": self.day,
            "state": self.state.value,
            "size_bytes": self.size_bytes,
            "stored_utc": f"{self.stored_utc.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if self.stored_utc else "",
            "missing": ", ".join(self.missing),
            "in_clear": ", ".join(self.in_clear),
        }


@dataclass(frozen=True)
class Inventory:
    """The last days, newest first. ``first_day`` is the oldest set of all, if any."""

    days: tuple[Day, ...]
    first_day: str | None
    recipients: tuple[str, ...] = ()
    """Ids of the keys that can read the newest set's database; empty where it is in clear, or there is none."""

    @property
    def stored(self) -> tuple[Day, ...]:
        """The days that have something."""
        return tuple(day for day in self.days if day.size_bytes)

    @property
    def gaps(self) -> tuple[str, ...]:
        """Days without a whole set since the first one ever made: before it, nothing was promised."""
        return tuple(
            day.day
            for day in self.days
            if day.state not in (*_WHOLE, DayState.NOT_DUE) and self.first_day and day.day >= self.first_day
        )

    @property
    def growth_ratio(self) -> float | None:
        """The newest whole set's size by that of the whole one before; None where there are no two."""
        whole = [day.size_bytes for day in self.days if day.state in _WHOLE]
        return round(whole[0] / whole[1], 3) if len(whole) > 1 else None

    @property
    def checks(self) -> tuple[Check, ...]:
        """What a person should know of it. None of these says that the newest is there: ``freshness_check`` does."""
        return (_gaps(self), _encrypted(self), _size(self))


def take_inventory(bucket: Bucket, policy: FreeScout, now: datetime) -> Inventory:
    """One pass over the prefix, and the first bytes of the newest database.

    Raises ``CouldNotVerifyError`` where the role may not list.
    """
    listed = stored_sets(bucket, policy)
    sets = {one.day: one for one in listed.sets}
    due = Due.of(policy)
    today = now.astimezone(UTC).date().isoformat()
    days = [_day(day, sets.get(day), listed, policy, due, now) for day in days_up_to(today, policy.inventory_days)]
    recipients = _recipients(bucket, listed.sets[0]) if listed.sets else ()
    return Inventory(tuple(days), min(sets, default=None), recipients)


def freshness_check(bucket: Bucket, policy: FreeScout, now: datetime) -> Check:
    """Is the newest set that is due there, whole, and as its manifest says? Denied is COULD_NOT_VERIFY, never fresh."""
    if not policy.dumps_expected:
        return Check(FRESHNESS, Status.PASS, "Not expected: bcp.toml, [freescout] dumps_expected = false.")
    expected = expected_day(now, Due.of(policy))
    today = now.astimezone(UTC).date().isoformat()
    try:
        listed = stored_sets(bucket, policy)
        newest = next((one for one in listed.sets if one.day <= today), None)
        if newest is None or newest.day < expected:
            return _late(expected, newest, policy)
        return _whole(bucket, listed, newest, policy)
    except CouldNotVerifyError as error:
        return Check(FRESHNESS, Status.COULD_NOT_VERIFY, error.what, error.remedy)


def _day(day: str, found: DumpSet | None, listed: Listed, policy: FreeScout, due: Due, now: datetime) -> Day:
    if found is None:
        return Day(day, DayState.MISSING if now >= late_from(day, due) else DayState.NOT_DUE)
    missing = tuple(found.missing(policy.dump_parts))
    state = DayState.COMPLETE
    if found.label and not missing:
        state = DayState.ADOPTED
    elif day not in listed.manifests and not found.label:
        state = DayState.NO_MANIFEST
    elif missing:
        state = DayState.INCOMPLETE
    stored = max(one.stored_utc for one in found.members.values())
    in_clear = tuple(sorted(one.name for one in found.members.values() if not one.encrypted))
    return Day(day, state, found.size_bytes, stored, missing, in_clear)


def _recipients(bucket: Bucket, newest: DumpSet) -> tuple[str, ...]:
    database = newest.members.get("database")
    if database is None or not database.encrypted:
        return ()
    head = next(iter(bucket.stream(database.key, chunk_bytes=_HEAD_BYTES)), b"")
    return openpgp.recipients(head)


def _late(expected: str, newest: DumpSet | None, policy: FreeScout) -> Check:
    last = f"the last one is of {newest.day}" if newest else "there has never been one"
    advice = _LOOK if newest else "Install freescout-backup on the help desk: deploy/freescout-backup/README.md."
    return Check(
        FRESHNESS,
        Status.FAIL,
        f"FreeScout's dump set of {expected} under {policy.adopted.main or policy.dump_prefix} is late: {last}.",
        advice,
    )


def _whole(bucket: Bucket, listed: Listed, newest: DumpSet, policy: FreeScout) -> Check:
    if newest.label:
        return _adopted(newest, policy)
    if newest.day not in listed.manifests:
        return Check(
            FRESHNESS,
            Status.FAIL,
            f"The dump set of {newest.day} has no manifest: its night did not finish.",
            _LOOK,
        )
    try:
        told = listed.with_manifest(bucket, newest)
    except PermanentError as error:
        return Check(FRESHNESS, Status.FAIL, error.what, error.remedy)
    files = {} if told.manifest is None else told.manifest.files
    wrong = [
        one.name for one in told.members.values() if one.name in files and files[one.name].size_bytes != one.size_bytes
    ]
    missing = [*told.missing(policy.dump_parts), *wrong]
    if missing:
        names = ", ".join(missing)
        return Check(
            FRESHNESS, Status.FAIL, f"The dump set of {newest.day} is not as its manifest says: {names}.", _LOOK
        )
    threads = told.manifest.threads_fingerprint.count if told.manifest else 0
    return Check(
        FRESHNESS, Status.PASS, f"{policy.dump_prefix}{newest.day}: {threads} threads, {told.size_bytes} bytes."
    )


def _adopted(newest: DumpSet, policy: FreeScout) -> Check:
    """There is no manifest, so nothing says that it is whole: at best a warning, once a month in Slack."""
    missing = newest.missing(policy.dump_parts)
    if missing:
        told = f"The dump set of {newest.day} lacks {', '.join(missing)}."
        return Check(FRESHNESS, Status.FAIL, told, f"Look at what writes {policy.adopted.main}.")
    told = f"{newest.label} is there, {newest.size_bytes} bytes. Without a manifest, nothing says whether it is whole."
    advice = "Drill it; install freescout-backup for sets with a manifest."
    return Check(FRESHNESS, Status.WARN, told, advice, f"adopted-{newest.day[:7]}")


def _gaps(inventory: Inventory) -> Check:
    gaps = inventory.gaps
    if not gaps:
        return Check(NO_GAPS, Status.PASS, "every day since the first set has a whole one")
    return Check(NO_GAPS, Status.WARN, f"no whole set on {', '.join(gaps)}", _LOOK)


def _encrypted(inventory: Inventory) -> Check:
    clear = [f"{day.day} ({', '.join(day.in_clear)})" for day in inventory.stored if day.in_clear]
    if not clear:
        readers = ", ".join(inventory.recipients) or "nobody: there is no set"
        return Check(ENCRYPTED, Status.PASS, f"the newest set can be read by {readers}")
    return Check(
        ENCRYPTED,
        Status.WARN,
        f"whoever may read the bucket can read customers' mail of {'; '.join(clear)}",
        "Store sets by freescout-backup, which encrypts them (deploy/freescout-backup/README.md).",
    )


def _size(inventory: Inventory) -> Check:
    ratio = inventory.growth_ratio
    if ratio is None or ratio >= _SHRUNK_RATIO:
        return Check(GROWTH, Status.PASS, "no two sets to compare" if ratio is None else f"{ratio} of the one before")
    return Check(
        GROWTH,
        Status.WARN,
        f"the newest set has {ratio} of the size of the one before",
        "Look what is gone: attachments, or tickets? Then start the drill: raxx-bcp drill freescout-dump.",
    )
