"""Rows on the way to the ledger: on this machine's disk before S3 is tried, removed when S3 has accepted them.

No row is lost when S3 is away at the moment of writing, or when the process is killed: the row
is found here and appended later. Nothing in here is secret; the files are private
all the same.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from raxx_bcp.clients.decoding import decoded
from raxx_bcp.errors import PermanentError
from raxx_bcp.evidence.canonical import digest
from raxx_bcp.evidence.ledger import Ledger
from raxx_bcp.evidence.row import DrillEntry, Entry, EvidenceRow, ReviewEntry, same_event
from raxx_bcp.evidence.row_hash import as_data

_SUFFIX: Final = ".pending.json"


class SpoolError(PermanentError):
    """This machine's disk cannot keep a row."""


class Pending(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry on its way, as stored on the disk."""

    entry: DrillEntry | ReviewEntry


@dataclass(frozen=True)
class Flushed:
    """The result for everything that was pending.

    ``unreadable`` are files that are not a pending row: a person must look at them, nothing deletes them.
    """

    appended: tuple[EvidenceRow, ...] = ()
    there_already: tuple[Entry, ...] = ()
    unreadable: tuple[Path, ...] = ()


class Spool:
    """The pending rows in ``directory``, which is made (0700) for the first one."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def put(self, entry: Entry) -> Path:
        """Keep ``entry``, replacing an earlier one of the same drill: whole, private and on the disk at return.

        Raises ``ValueError`` when it holds what looks like a secret, ``SpoolError`` when it cannot be written.
        """
        as_data(entry)
        path = self.directory / _name(entry)
        with self._errors():
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_private(path, msgspec.json.encode(Pending(entry)))
        return path

    def remove(self, entry: Entry) -> None:
        """Remove ``entry``, which the ledger has. If that fails, the next ``flush`` sees that the ledger has it."""
        with contextlib.suppress(OSError):
            (self.directory / _name(entry)).unlink(missing_ok=True)

    def files(self) -> list[Path]:
        """The files of all pending rows."""
        return sorted(self.directory.glob(f"*{_SUFFIX}"))

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else on this machine appends from the same directory meanwhile. Raises ``SpoolError``."""
        with self._errors():
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = (self.directory / "lock").open("a")
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SpoolError(
                f"Evidence rows cannot be kept in {self.directory}: {error.strerror}.",
                "Fix the directory, its rights or the disk.",
            ) from None


def record(entry: Entry, spool: Spool, ledger: Ledger) -> EvidenceRow:
    """Append ``entry`` so that it cannot be lost: it stays in ``spool`` until the ledger has accepted it.

    A full or read-only disk does not stop the append to the ledger. Raises what ``Ledger.append`` raises; the row
    is then pending, and ``flush`` appends it later.
    """
    try:
        with spool.alone():
            spool.put(entry)
            row = ledger.append(entry)
            spool.remove(entry)
    except SpoolError:
        return ledger.append(entry)
    return row


def flush(spool: Spool, ledger: Ledger) -> Flushed:
    """Append everything that is pending; a drill that the ledger already has gets no second row.

    Raises what ``Ledger`` raises; rows that were not appended stay pending.
    """
    if not spool.files():
        return Flushed()
    with spool.alone():
        files = {path: read_pending(path) for path in spool.files()}
        pending = [entry for entry in files.values() if entry]
        known = {same_event(row.entry) for row in ledger.rows()} if pending else set()
        appended = []
        for entry in pending:
            if same_event(entry) not in known:
                appended.append(ledger.append(entry))
            spool.remove(entry)
    return Flushed(
        appended=tuple(appended),
        there_already=tuple(entry for entry in pending if same_event(entry) in known),
        unreadable=tuple(path for path, entry in files.items() if entry is None),
    )


def read_pending(path: Path) -> Entry | None:
    """The pending entry in ``path``, or None where it is not a pending row."""
    try:
        body = path.read_bytes()
    except OSError:
        return None
    pending = decoded(body, Pending)
    return pending.entry if pending else None


def _name(entry: Entry) -> str:
    """One file for one event; a drill's id may hold any character."""
    return digest(list(same_event(entry)))[:32] + _SUFFIX


def _write_private(path: Path, body: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")  # 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
