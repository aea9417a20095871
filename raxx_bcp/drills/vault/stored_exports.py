"""Which stored export a drill takes, and what is known of it without the private key."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from raxx_bcp.clients.s3 import Bucket, ObjectAbsentError
from raxx_bcp.drills.vault.wanted import NEWEST, RANDOM_OLDER
from raxx_bcp.errors import BackupWrongError, UsageError
from raxx_bcp.vault import manifest as manifests
from raxx_bcp.vault import store
from raxx_bcp.vault.manifest import Manifest


@dataclass(frozen=True)
class StoredExport:
    """One day's export with its manifest. ``read_utc`` is when the vault began to be read for it."""

    keys: store.ExportKeys
    manifest: Manifest
    read_utc: datetime
    because: str
    manifest_problem: str = ""
    """Why the manifest is not that of this object, in a few words; empty when it is."""

    @property
    def day(self) -> str:
        return store.day_of(self.keys.export) or ""


@dataclass(frozen=True)
class Days:
    """The days of a prefix: ``complete`` ones have a manifest beside the export, oldest first."""

    complete: tuple[str, ...]
    without_manifest: tuple[str, ...] = field(default=())


def days_of(bucket: Bucket, prefix: str) -> Days:
    """Raises ``CouldNotVerifyError`` where the role may not list."""
    keys = {item.key for item in bucket.objects(prefix)}
    exported = sorted({day for key in keys if (day := store.day_of(key)) and key == store.keys_of(prefix, day).export})
    complete = [day for day in exported if store.keys_of(prefix, day).manifest in keys]
    return Days(tuple(complete), tuple(day for day in exported if day not in complete))


def choose(bucket: Bucket, prefix: str, wanted: str) -> StoredExport:
    """The export that ``wanted`` names: newest, random-older, or a day (``YYYY-MM-DD``, UTC).

    Raises ``BackupWrongError`` where there is no export at all, or its manifest is not readable; ``UsageError`` for
    another word and for a day without an export.
    """
    days = days_of(bucket, prefix)
    if not days.complete:
        raise BackupWrongError(
            f"There is no export with a manifest under {prefix} in bucket {bucket.name}: nothing could be restored.",
            "Make one now: raxx-bcp vault export; then find out why there was none.",
        )
    day, because = _chosen(days, wanted, prefix)
    return _read(bucket, store.keys_of(prefix, day), because)


def _chosen(days: Days, wanted: str, prefix: str) -> tuple[str, str]:
    complete = days.complete
    if wanted == NEWEST:
        newer = [day for day in days.without_manifest if day > complete[-1]]
        passed_over = f"; passed over, for want of a manifest: {', '.join(newer)}" if newer else ""
        return complete[-1], f"the newest of {len(complete)} exports{passed_over}"
    if wanted == RANDOM_OLDER:
        if len(complete) < 2:
            raise UsageError("There is only one export, so no older one to choose.", "Ask for the newest.")
        return random.choice(complete[:-1]), f"a random one of {len(complete) - 1} older exports"  # noqa: S311 - no secret
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", wanted):
        raise UsageError(f"{wanted!r} is no day.", f"Choose {NEWEST}, {RANDOM_OLDER}, or a day as YYYY-MM-DD (UTC).")
    if wanted not in complete:
        known = f"there are {complete[0]} to {complete[-1]}"
        raise UsageError(f"There is no export of {wanted} with a manifest under {prefix}; {known}.", "Choose another.")
    return wanted, "named by the operator"


def _read(bucket: Bucket, keys: store.ExportKeys, because: str) -> StoredExport:
    manifest = manifests.decode(bucket.get(keys.manifest))
    read_utc = moment(manifest.started_utc) if manifest else None
    if manifest is None or read_utc is None:
        raise BackupWrongError(
            f"{keys.manifest} in bucket {bucket.name} is not a manifest of this software.",
            "Somebody replaced it: look at its versions, or choose another day.",
        )
    problem = ""
    if manifest.key != keys.export or manifest.export_date != store.day_of(keys.export):
        problem = f"it is the manifest of {manifest.key}"
    return StoredExport(keys, manifest, read_utc, because, problem)


def body_of(bucket: Bucket, export: StoredExport) -> bytes | None:
    """The exact version that the manifest names; None where it is no longer there."""
    try:
        return bucket.get(export.keys.export, version_id=export.manifest.version_id)
    except ObjectAbsentError:
        return None


def checksum(body: bytes) -> str:
    """Its SHA-256, in hexadecimal."""
    return hashlib.sha256(body).hexdigest()


def nearest(bucket: Bucket, prefix: str, to: datetime) -> StoredExport | None:
    """The export that was read nearest to ``to``, among the days around it; None where there is none at all."""
    complete = days_of(bucket, prefix).complete
    before = [day for day in complete if day <= to.astimezone(UTC).date().isoformat()]
    after = complete[len(before) :]
    found: list[StoredExport] = []
    for day in (*before[-2:], *after[:2]):
        found += _readable(bucket, store.keys_of(prefix, day))
    return min(found, key=lambda one: abs(one.read_utc - to), default=None)


def _readable(bucket: Bucket, keys: store.ExportKeys) -> Iterable[StoredExport]:
    """Skips a manifest that is unreadable or belongs to another object: this needs only a count, not a judgement."""
    try:
        export = _read(bucket, keys, "nearest to the snapshot")
    except BackupWrongError:
        return ()
    return () if export.manifest_problem else (export,)


def moment(text: str) -> datetime | None:
    """An ISO 8601 time in UTC; None where it is not one, or has no time zone."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if read.tzinfo is None else read.astimezone(UTC)
