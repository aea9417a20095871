"""The account in SQLite: it survives a restart and a kill -9, and no other account is in it.

A record is stored as JSON beside the columns that are used to look it up. Instances and snapshots are in one table; its
unique index enforces Lightsail's rule that they share one namespace in a region.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from raxx_bcp_sandbox.lightsail.records import INSTANCE, SNAPSHOT, Automatic, Instance, Operation, Resource, Snapshot

_SCHEMA = """
CREATE TABLE IF NOT EXISTS resources (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    due REAL,
    automatic_due REAL,
    record TEXT NOT NULL,
    UNIQUE (region, name)
);
CREATE INDEX IF NOT EXISTS resources_page ON resources (kind, region, seq);
CREATE INDEX IF NOT EXISTS resources_due ON resources (due) WHERE due IS NOT NULL;
CREATE INDEX IF NOT EXISTS resources_automatic ON resources (automatic_due) WHERE automatic_due IS NOT NULL;
CREATE TABLE IF NOT EXISTS automatics (
    seq INTEGER PRIMARY KEY,
    region TEXT NOT NULL,
    instance TEXT NOT NULL,
    day TEXT NOT NULL,
    due REAL,
    record TEXT NOT NULL,
    UNIQUE (region, instance, day)
);
CREATE INDEX IF NOT EXISTS automatics_due ON automatics (due) WHERE due IS NOT NULL;
CREATE TABLE IF NOT EXISTS operations (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    region TEXT NOT NULL,
    resource TEXT NOT NULL,
    due REAL,
    record TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS operations_page ON operations (region, seq);
CREATE INDEX IF NOT EXISTS operations_of ON operations (region, resource, seq);
CREATE INDEX IF NOT EXISTS operations_due ON operations (due) WHERE due IS NOT NULL;
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_RECORDS: dict[str, type[Instance] | type[Snapshot]] = {INSTANCE: Instance, SNAPSHOT: Snapshot}
_BUSY_SECONDS = 10.0

ResourceT = TypeVar("ResourceT", bound=Resource)


class Store:
    """The account's resources, in the file ``path``. Only one thread at a time may use it."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_BUSY_SECONDS)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing: an exception that leaves the block undoes all writes in it."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # -- settings ----------------------------------------------------------------------------------------

    def setting(self, name: str) -> str | None:
        """A stored setting."""
        row = self._db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set(self, name: str, value: str) -> None:
        """Store a setting."""
        self._db.execute("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", (name, value))

    # -- instances and snapshots -------------------------------------------------------------------------

    def named(self, region: str, name: str) -> Resource | None:
        """The resource of any kind with this name in this region."""
        row = self._db.execute(
            "SELECT kind, record FROM resources WHERE region = ? AND name = ?", (region, name)
        ).fetchone()
        return None if row is None else msgspec.json.decode(row[1], type=_RECORDS[row[0]])

    def page(self, kind: type[ResourceT], region: str, after: int, limit: int) -> list[tuple[int, ResourceT]]:
        """Up to ``limit`` resources of one kind after position ``after``, in the order of their creation."""
        rows = self._db.execute(
            "SELECT seq, record FROM resources WHERE kind = ? AND region = ? AND seq > ? ORDER BY seq LIMIT ?",
            (kind.kind, region, after, limit),
        )
        return [(seq, msgspec.json.decode(record, type=kind)) for seq, record in rows]

    def all_instances(self) -> list[Instance]:
        """The instances of every region."""
        rows = self._db.execute("SELECT record FROM resources WHERE kind = ? ORDER BY seq", (INSTANCE,))
        return [msgspec.json.decode(record, type=Instance) for (record,) in rows]

    def snapshot_ids(self) -> frozenset[str]:
        """The ids of all snapshots, automatic ones too."""
        rows = self._db.execute(
            "SELECT json_extract(record, '$.id') FROM resources WHERE kind = ? "
            "UNION SELECT json_extract(record, '$.id') FROM automatics",
            (SNAPSHOT,),
        )
        return frozenset(each for (each,) in rows)

    def due(self, now: float) -> list[Resource]:
        """The resources whose state is to change by ``now``, earliest first."""
        rows = self._db.execute("SELECT kind, record FROM resources WHERE due <= ? ORDER BY due, seq", (now,))
        return [msgspec.json.decode(record, type=_RECORDS[kind]) for kind, record in rows.fetchall()]

    def automatic_due(self, now: float) -> list[Instance]:
        """The instances whose automatic snapshot is to start by ``now``, earliest first."""
        rows = self._db.execute("SELECT record FROM resources WHERE automatic_due <= ? ORDER BY automatic_due", (now,))
        return [msgspec.json.decode(record, type=Instance) for (record,) in rows.fetchall()]

    def add(self, *resources: Resource) -> None:
        """Store new resources, whose names must be free."""
        self._db.executemany(
            "INSERT INTO resources (kind, region, name, due, automatic_due, record) VALUES (?, ?, ?, ?, ?, ?)",
            ((each.kind, each.region, each.name, *_dues(each), _text(each)) for each in resources),
        )

    def change(self, resource: ResourceT, **fields: Any) -> ResourceT:
        """Store ``resource`` with changed ``fields`` (never its name), and return the new record."""
        changed = msgspec.structs.replace(resource, **fields)
        self._db.execute(
            "UPDATE resources SET due = ?, automatic_due = ?, record = ? WHERE region = ? AND name = ?",
            (*_dues(changed), _text(changed), changed.region, changed.name),
        )
        return changed

    def remove(self, resource: Resource) -> None:
        """Delete a resource; for an instance, also its automatic snapshots."""
        key = (resource.region, resource.name)
        self._db.execute("DELETE FROM resources WHERE region = ? AND name = ?", key)
        if isinstance(resource, Instance):
            self._db.execute("DELETE FROM automatics WHERE region = ? AND instance = ?", key)

    # -- automatic snapshots -----------------------------------------------------------------------------

    def automatics(self, region: str, instance: str) -> list[Automatic]:
        """The automatic snapshots of an instance, newest first."""
        rows = self._db.execute(
            "SELECT record FROM automatics WHERE region = ? AND instance = ? ORDER BY day DESC", (region, instance)
        )
        return [msgspec.json.decode(record, type=Automatic) for (record,) in rows]

    def automatics_ending(self, now: float) -> list[Automatic]:
        """The automatic snapshots that are to end by ``now``."""
        rows = self._db.execute("SELECT record FROM automatics WHERE due <= ? ORDER BY due", (now,))
        return [msgspec.json.decode(record, type=Automatic) for (record,) in rows.fetchall()]

    def put_automatic(self, one: Automatic) -> None:
        """Store an automatic snapshot: each instance has one a day."""
        self._db.execute(
            "INSERT OR REPLACE INTO automatics (region, instance, day, due, record) VALUES (?, ?, ?, ?, ?)",
            (one.region, one.instance, one.day, one.due, _text(one)),
        )

    def remove_automatic(self, one: Automatic) -> None:
        """Delete an automatic snapshot."""
        self._db.execute(
            "DELETE FROM automatics WHERE region = ? AND instance = ? AND day = ?", (one.region, one.instance, one.day)
        )

    # -- operations --------------------------------------------------------------------------------------

    def put_operation(self, one: Operation) -> None:
        """Store an operation, new or changed."""
        self._db.execute(
            "INSERT INTO operations (id, region, resource, due, record) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET due = excluded.due, record = excluded.record",
            (one.id, one.region, one.resource, one.due, _text(one)),
        )

    def operation(self, region: str, operation_id: str) -> Operation | None:
        """The operation with this id."""
        row = self._db.execute(
            "SELECT record FROM operations WHERE region = ? AND id = ?", (region, operation_id)
        ).fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=Operation)

    def operations(self, region: str, before: int, limit: int, resource: str = "") -> list[tuple[int, Operation]]:
        """Up to ``limit`` operations before position ``before``, newest first; only those of ``resource`` if given."""
        rows = self._db.execute(
            "SELECT seq, record FROM operations WHERE region = ? AND seq < ? AND (? = '' OR resource = ?) "
            "ORDER BY seq DESC LIMIT ?",
            (region, before, resource, resource, limit),
        )
        return [(seq, msgspec.json.decode(record, type=Operation)) for seq, record in rows]

    def operations_ending(self, now: float) -> list[Operation]:
        """The operations that are to end by ``now``."""
        rows = self._db.execute("SELECT record FROM operations WHERE due <= ? ORDER BY due, seq", (now,))
        return [msgspec.json.decode(record, type=Operation) for (record,) in rows.fetchall()]


def _text(record: msgspec.Struct) -> str:
    return msgspec.json.encode(record).decode()


def _dues(resource: Resource) -> tuple[float | None, float | None]:
    return resource.due, getattr(resource, "automatic_due", None)
