"""Restores one packed SQL dump over several connections at once. Only the compressed stream crosses SSH.

An ordinary dump restores at the pace of one connection's CPU. Its INSERT statements do not depend on each other, so
they go to any free connection, except for the first of each table. Everything else waits until all of them are done:
what changes a session (SET, COMMIT) goes to every connection, and the rest to the first. The loader leaves out LOCK
TABLES and UNLOCK TABLES, since the lock of one connection would stop the others, and ALTER TABLE … DISABLE KEYS, which
InnoDB ignores. It also leaves out CREATE DATABASE and USE: the drill says where it restores to. Memory is flat: about
40 MB beside the largest statement of each connection.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

from raxx_bcp.drills.freescout.host_side.splitter import LEAD, Splitter, count_rows
from raxx_bcp.drills.freescout.host_side.unpacking import Packed
from raxx_bcp.drills.freescout.host_side.wire import PACKET_BYTES, Connection, SqlError

BLOCK_BYTES = 1 << 20
QUEUE_BYTES = 8 << 20
MOST_MEMORY_BYTES = 1 << 30
_TAIL_BYTES = 512
_COMMENT = re.compile(rb"^-- \S", re.MULTILINE)

_NAME = rb"(?:`([^`]+)`|([\w$]+))"
_CODE = rb"(?:/\*M?!\d*\s*)?"
"""The start of a comment that is code."""
_WORD = re.compile(_CODE + rb"([A-Za-z]*)")
_INSERT = re.compile(rb"INSERT\s+INTO\s+" + _NAME + rb"\s*(?:\([^)]*\)\s*)?VALUES\b", re.IGNORECASE)
_INSERTED = re.compile(rb"(?:INSERT|REPLACE)\s+(?:\w+\s+)*?INTO\s+" + _NAME, re.IGNORECASE)
_USED = re.compile(rb"USE\s+" + _NAME, re.IGNORECASE)
_KEYS = re.compile(_CODE + rb"ALTER\s+TABLE\s+\S+\s+(?:DISABLE|ENABLE)\s+KEYS", re.IGNORECASE)
_GLOBAL = re.compile(_CODE + rb"SET\s+(?:GLOBAL\b|@@GLOBAL\.)", re.IGNORECASE)
_DATABASE = re.compile(rb"CREATE\s+(?:DATABASE|SCHEMA)\b", re.IGNORECASE)
_FOREIGN = (
    (re.compile(rb"utf8mb4_0900_\w+"), "collation {}"),
    (re.compile(rb"GTID_PURGED"), "{}"),
    (re.compile(rb"DEFINER\s*=\s*(?!CURRENT_USER|`root`@`localhost`)`[^`]*`"), "a DEFINER of another server"),
)
"""Statements that a dump by MySQL 8 or another server holds and MariaDB does not accept."""


class Pool:
    """Several connections: INSERT statements go to any free one, everything else waits for all of them."""

    def __init__(self, make: Callable[[], Connection], connections: int) -> None:
        self._connections = [make() for _number in range(connections)]
        self._changed = threading.Condition()
        self._queue: deque[tuple[bytes, str]] = deque()
        self._queued_bytes = 0
        self._working = 0
        self._over = False
        self._failure: SqlError | None = None
        self._threads = [threading.Thread(target=self._work, args=(one,), daemon=True) for one in self._connections]
        for thread in self._threads:
            thread.start()

    def insert(self, statement: bytes, table: str) -> None:
        """Queue it; waits while enough is queued. Raises ``SqlError`` of any connection that failed."""
        with self._changed:
            self._changed.wait_for(lambda: self._queued_bytes < QUEUE_BYTES or self._failure)
            self._raise_failure()
            self._queue.append((statement, table))
            self._queued_bytes += len(statement)
            self._changed.notify_all()

    def everywhere(self, statement: bytes) -> None:
        """For every session, after everything that was queued."""
        self.settle()
        for connection in self._connections:
            connection.query(statement)

    def ordered(self, statement: bytes, table: str = "") -> None:
        """Once, after everything that was queued."""
        self.settle()
        self._connections[0].query(statement, table)

    def settle(self) -> None:
        """Wait until everything that was queued is done. Raises ``SqlError`` of any connection that failed."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._queue or self._working) or self._failure)
            self._raise_failure()

    def close(self) -> None:
        """No more statements will come."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        for connection in self._connections:
            connection.close()

    def _raise_failure(self) -> None:
        if self._failure:
            raise self._failure

    def _work(self, connection: Connection) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._over or self._failure)
                if self._over or self._failure:
                    return
                statement, table = self._queue.popleft()
                self._queued_bytes -= len(statement)
                self._working += 1
                self._changed.notify_all()
            failure: SqlError | None = None
            try:
                connection.query(statement, table)
            except SqlError as error:
                failure = error
            with self._changed:
                self._working -= 1
                self._failure = self._failure or failure
                self._changed.notify_all()


class Dump:
    """What was seen of a dump on its way; available also where a statement failed."""

    def __init__(self) -> None:
        self.packed = Packed()
        self.commented = False
        """Does it start with comments, as every dump does that ends with one?"""
        self.bytes = 0
        self.tail = b""
        self.rows: dict[str, int] = {}
        self.foreign: list[str] = []
        self.databases: set[str] = set()

    def blocks(self, stream: BinaryIO) -> Iterator[bytes]:
        """The text, block by block. Afterwards ``packed`` says what became of the file."""
        for block in self.packed.blocks(stream):
            if not self.bytes:
                self.commented = bool(_COMMENT.search(block[:_TAIL_BYTES]))
            self.bytes += len(block)
            self.tail = (self.tail + block[-_TAIL_BYTES:])[-_TAIL_BYTES:]
            yield block

    @property
    def trailer(self) -> bool:
        """Does the last line say that the dump was completed?"""
        lines = self.tail.rstrip().splitlines()
        return bool(lines) and lines[-1].startswith(b"-- Dump completed")


class Loader:
    """Takes a dump's statements in order; after an error it only continues to count."""

    def __init__(self, pool: Pool, dump: Dump) -> None:
        self._pool: Pool | None = pool
        self._dump = dump
        self._begun: set[str] = set()
        """Tables that hold rows."""
        self.error: SqlError | None = None

    def take(self, statement: bytes, *, own_lines: bool) -> None:
        """Count it, and load it unless an error came before."""
        lead = LEAD.match(statement)
        at = lead.end() if lead else 0
        inserted = _INSERTED.match(statement, at)
        if inserted:
            table = _text(inserted)
            self._dump.rows[table] = self._dump.rows.get(table, 0) + count_rows(statement, at, own_lines=own_lines)
        else:
            self._examine(statement, at)
        if self._pool:
            try:
                self._load(self._pool, statement, at)
            except SqlError as error:
                self._end(self._pool, error)

    def finish(self) -> None:
        """Wait until all is done; sets ``error`` where something was not."""
        if self._pool:
            try:
                self._pool.settle()
                self._end(self._pool, None)
            except SqlError as error:
                self._end(self._pool, error)

    def _end(self, pool: Pool, error: SqlError | None) -> None:
        self.error = error
        self._pool = None
        pool.close()

    def _examine(self, statement: bytes, at: int) -> None:
        for pattern, words in _FOREIGN:
            for found in sorted(set(pattern.findall(statement, at))):
                told = words.format(found.decode(errors="replace"))
                if told not in self._dump.foreign:
                    self._dump.foreign.append(told)
        used = _USED.match(statement, at)
        if used:
            self._dump.databases.add(_text(used))

    def _insert(self, pool: Pool, statement: bytes, table: str) -> None:
        """A table's first statement alone, and committed: InnoDB locks a table that it fills from empty."""
        if table in self._begun:
            pool.insert(statement, table)
            return
        self._begun.add(table)
        pool.ordered(statement, table)
        pool.ordered(b"COMMIT")

    def _load(self, pool: Pool, statement: bytes, at: int) -> None:
        insert = _INSERT.match(statement, at)
        if insert:
            self._insert(pool, statement, _text(insert))
            return
        word = _WORD.match(statement, at)
        verb = word[1].upper() if word else b""
        left_out = verb in (b"LOCK", b"UNLOCK", b"USE", b"DELIMITER") or _KEYS.match(statement, at)
        if left_out or _DATABASE.match(statement, at) or not statement[at:].strip(b"; \r\n"):
            return
        if verb in (b"SET", b"BEGIN", b"START", b"COMMIT", b"ROLLBACK") and not _GLOBAL.match(statement, at):
            pool.everywhere(statement)
        else:
            pool.ordered(statement)


def _text(named: re.Match[bytes]) -> str:
    return (named[1] or named[2]).decode(errors="replace")


class Server:
    """The MariaDB or MySQL server of this machine, found through its own client program ``client``."""

    def __init__(self, database: str, client: Sequence[str]) -> None:
        """Lets rows of any size in. Raises ``SqlError`` where the server does not answer."""
        script = (
            "SELECT @@socket, SUBSTRING_INDEX(USER(), '@', 1), COUNT(*) FROM information_schema.tables"  # noqa: S608
            f" WHERE table_schema = DATABASE();\nSET GLOBAL max_allowed_packet = {PACKET_BYTES};\n"
        )
        try:
            done = subprocess.run((*client, database), input=script.encode(), capture_output=True, check=False)
        except OSError:
            raise SqlError(2000) from None
        if done.returncode != 0:
            found = re.search(rb"ERROR (\d+)", done.stderr)
            raise SqlError(int(found[1]) if found else 2000)
        self._socket, self._user, tables = done.stdout.decode().rstrip("\n").split("\t")
        self._database = database
        self._client = client
        self.tables = int(tables)
        """How many there are already."""

    def give_memory(self) -> None:
        """A quarter of the machine's, at most 1 GiB: what was restored is then read back from memory, not from disk.

        The server's own default is 128 MiB; a server that cannot change it keeps it.
        """
        quarter = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4
        most = min(quarter, MOST_MEMORY_BYTES)
        script = f"SET GLOBAL innodb_buffer_pool_size = GREATEST(@@innodb_buffer_pool_size, {most});"
        subprocess.run((*self._client, self._database), input=script.encode(), capture_output=True, check=False)

    def connect(self) -> Connection:
        """One more connection."""
        return Connection(self._socket, self._user, self._database)


def restore(stream: BinaryIO, database: str, connections: int, client: Sequence[str]) -> dict[str, Any]:
    """Restore the packed dump that ``stream`` gives into the empty ``database``, and report.

    ``rows`` are counted in the dump. ``error`` is None or ``{code, objects}``; ``refused`` is the number of tables
    that were there already: then nothing was touched. Sizes are bytes.
    """
    started = time.monotonic()
    dump, error, refused = Dump(), None, 0
    try:
        server = Server(database, client)
        refused = server.tables
        if not refused:
            server.give_memory()
        loader = None if refused else Loader(Pool(server.connect, connections), dump)
    except SqlError as failed:
        loader, error = None, failed
    if loader is not None:
        _through(stream, dump, loader)
        error = loader.error
    while stream.read(BLOCK_BYTES):
        pass  # the sender takes its checksum on the way
    return {
        "form": dump.packed.form,
        "packed": dump.packed.state,
        "commented": dump.commented,
        "bytes": dump.bytes,
        "trailer": dump.trailer,
        "rows": dump.rows,
        "foreign": dump.foreign,
        "databases": sorted(dump.databases),
        "refused": refused,
        "error": {"code": error.code, "objects": error.objects} if error else None,
        "seconds": round(time.monotonic() - started, 3),
    }


def _through(stream: BinaryIO, dump: Dump, loader: Loader) -> None:
    splitter = Splitter()
    for block in dump.blocks(stream):
        for statement in splitter.feed(block):
            loader.take(statement, own_lines=splitter.own_lines)
    for statement in splitter.feed(b"", last=True):
        loader.take(statement, own_lines=splitter.own_lines)
    loader.finish()


def report(database: str, connections: int, client: Sequence[str]) -> None:
    """Restore what comes on standard input, and print the report as one line of JSON."""
    sys.stdout.write(json.dumps(restore(sys.stdin.buffer, database, connections, client)) + "\n")
