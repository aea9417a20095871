"""The account in SQLite: it survives a restart and a kill -9. Only its owner may read it, since it holds passwords."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from raxx_bcp_sandbox.heroku.records import Addon, App, Transfer

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS records (kind TEXT, id TEXT, record TEXT NOT NULL, PRIMARY KEY (kind, id));
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

Record = TypeVar("Record", App, Addon, Transfer)


class Store:
    """The records in the file ``path``. Only one thread at a time may use it."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        path.chmod(0o600)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def put(self, record: App | Addon | Transfer) -> None:
        """Add or replace a record."""
        text = msgspec.json.encode(record).decode()
        values = (type(record).__name__, _id(record), text)
        self._db.execute("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", values)

    def remove(self, record: App | Addon | Transfer) -> None:
        """Delete a record."""
        self._db.execute("DELETE FROM records WHERE kind = ? AND id = ?", (type(record).__name__, _id(record)))

    def get(self, kind: type[Record], record_id: str) -> Record | None:
        """The record with this id."""
        query = "SELECT record FROM records WHERE kind = ? AND id = ?"
        row = self._db.execute(query, (kind.__name__, record_id)).fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=kind)

    def all(self, kind: type[Record]) -> list[Record]:
        """Every record of a kind, by id."""
        rows = self._db.execute("SELECT record FROM records WHERE kind = ? ORDER BY id", (kind.__name__,)).fetchall()
        return [msgspec.json.decode(row[0], type=kind) for row in rows]

    def setting(self, name: str) -> str | None:
        """A stored setting."""
        row = self._db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set(self, name: str, value: str) -> None:
        """Store a setting."""
        self._db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))


def _id(record: App | Addon | Transfer) -> str:
    return record.uuid if isinstance(record, Transfer) else record.id
