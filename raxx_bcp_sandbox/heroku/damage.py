"""The corpus of bad backups, each made from the real newest one: bytes cut or changed, or another database dumped."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from raxx_bcp.errors import TransientError
from raxx_bcp_sandbox.heroku import faults, production, tenants
from raxx_bcp_sandbox.heroku.backups import make_dump
from raxx_bcp_sandbox.heroku.databases import SCRATCH, Databases
from raxx_bcp_sandbox.heroku.records import Addon, new_database_name, new_id

_HEALTHY: Final = re.compile(
    r'ERROR:  (must be owner of (extension|schema) |schema "heroku_ext" already exists'
    r"|permission denied to create event trigger )"
)
_KEPT_OF_TRUNCATED: Final = 0.6
_UNREADABLE_VERSION: Final = (1, 99)
_ELSEWHERE: Final = """
CREATE TABLE alembic_version (version_num varchar(32) NOT NULL CONSTRAINT alembic_version_pkc PRIMARY KEY);
INSERT INTO alembic_version VALUES ('0f0e0d0c0b0a');
CREATE TABLE authors (id bigserial PRIMARY KEY, name text NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE posts (
    id bigserial PRIMARY KEY, author_id bigint NOT NULL REFERENCES authors (id), title text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO authors (name) SELECT 'Author ' || g FROM generate_series(1, 50) g;
INSERT INTO posts (author_id, title) SELECT 1 + mod(g, 50), 'Post ' || g FROM generate_series(1, 5000) g;
"""
_HALVED: Final = """
DELETE FROM invoices WHERE mod(id, 2) = 0;
DELETE FROM events WHERE mod(id, 2) = 0;
DELETE FROM notes WHERE mod(id, 2) = 0;
"""
# On Heroku nobody may use LANGUAGE internal: the function is refused, and so is the table that needs it.
_SUPERUSERS: Final = f"""
CREATE FUNCTION text_length(text) RETURNS integer LANGUAGE internal IMMUTABLE STRICT AS 'textlen';
ALTER TABLE {production.LEAF} ADD CONSTRAINT invoice_lines_are_described CHECK (text_length(description) > 0);
"""

# Created with a search path on which its function finds the other one; pg_restore builds indexes with an empty one.
_UNFINDABLE: Final = f"""
CREATE FUNCTION folded(value text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower(value)';
CREATE FUNCTION plain(value text) RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path = public, pg_catalog
    AS 'BEGIN RETURN folded(value); END';
DROP INDEX {production.INDEX};
CREATE INDEX {production.INDEX} ON invoices (plain(number)) WHERE status = 'sent';
ALTER FUNCTION plain(text) RESET search_path;
"""
# As on a server that was damaged, or whose triggers somebody had disabled.
_ORPHANED: Final = """
SET session_replication_role = replica;
DELETE FROM invoices WHERE id = (SELECT min(invoice_id) FROM invoice_lines);
"""
_OTHER_LANGUAGE: Final = f"""
CREATE OR REPLACE FUNCTION {production.FUNCTION}() RETURNS trigger LANGUAGE internal
    AS 'suppress_redundant_updates_trigger';
"""

Change = Callable[[Databases, Addon], None]


class Damage:
    """Makes the bad backups, and keeps each until there is a newer good one to make it from."""

    def __init__(self, databases: Databases, directory: Path) -> None:
        directory.mkdir(mode=0o700, exist_ok=True)
        self._databases = databases
        self._directory = directory
        self._lock = threading.Lock()

    def path(self, fault: str, uuid: str, newest: Path) -> Path:
        """The backup ``newest`` of transfer ``uuid`` as ``fault`` leaves it. The first call takes a second."""
        with self._lock:
            made = self._directory / f"{fault}-{uuid}.dump"
            if not made.is_file():
                for older in self._directory.glob(f"{fault}-*"):
                    older.unlink()
                self._make(fault, newest, made)
            return made

    def _make(self, fault: str, newest: Path, made: Path) -> None:
        unfinished = made.with_suffix(".new")
        if fault in _CHANGES:
            self._make_from_database(fault, newest, unfinished)
        else:
            unfinished.write_bytes(_BYTES[fault](newest.read_bytes()))
        unfinished.chmod(0o600)
        unfinished.rename(made)

    def _make_from_database(self, fault: str, newest: Path, made: Path) -> None:
        scratch = _scratch()
        self._databases.create(scratch)
        try:
            if fault != faults.WRONG_DATABASE and not self._restored(newest, scratch):
                raise _failed(fault, "restored")
            _CHANGES[fault](self._databases, scratch)
            if make_dump(self._databases, scratch, made):
                raise _failed(fault, "dumped")
        finally:
            self._databases.drop(scratch)

    def _restored(self, newest: Path, scratch: Addon) -> bool:
        """Restore with the warnings that every restore on Heroku has; return whether there were no others."""
        for extension in production.EXTENSIONS:
            self._databases.add_extension(scratch, extension)
        server = self._databases.server
        where = ("--no-owner", "--no-acl", f"--dbname={scratch.database}", str(newest))
        done = server.run("pg_restore", scratch.user, scratch.password, *where)
        errors = [line for line in done.stderr.splitlines() if line.startswith("pg_restore: error:")]
        return all(_HEALTHY.search(line) for line in errors)


def _scratch() -> Addon:
    name = f"{SCRATCH}{new_database_name()}"
    return Addon(
        id=new_id(),
        name=name,
        app_id="",
        plan="essential-0",
        created_at=0.0,
        ready_at=0.0,
        database=name,
        user=name,
        password=new_database_name(),
        attachment="DATABASE",
        attachment_id=new_id(),
    )


def _by_owner(statements: str) -> Change:
    def change(databases: Databases, addon: Addon) -> None:
        with databases.connect(addon) as owner:
            owner.execute(statements.encode())

    return change


def _by_superuser(statements: str) -> Change:
    def change(databases: Databases, addon: Addon) -> None:
        with databases.server.connect(addon.database) as superuser:
            superuser.execute(statements.encode())

    return change


def _older(databases: Databases, addon: Addon) -> None:
    with databases.connect(addon) as owner:
        production.downgrade(owner)


def _truncated(content: bytes) -> bytes:
    return content[: int(len(content) * _KEPT_OF_TRUNCATED)]


def _of_unreadable_version(content: bytes) -> bytes:
    """The magic ``PGDMP`` is followed by the archive's version: major, minor (contract, Heroku, 1)."""
    return content[:5] + bytes(_UNREADABLE_VERSION) + content[7:]


def _failed(fault: str, what: str) -> TransientError:
    return TransientError(
        f"The sandbox could not make the backup of {fault}: its database was not {what}.",
        "Run raxx-bcp sandbox up, then try again.",
    )


_BYTES: Final[dict[str, Callable[[bytes], bytes]]] = {
    faults.EMPTY: lambda _content: b"",
    faults.TRUNCATED: _truncated,
    faults.WRONG_VERSION: _of_unreadable_version,
}
_CHANGES: Final[dict[str, Change]] = {
    faults.WRONG_DATABASE: _by_owner(_ELSEWHERE),
    faults.OLD_REVISION: _older,
    faults.MISSING_TABLE: _by_owner(f"DROP TABLE {production.LEAF} CASCADE"),
    faults.HALF_ROWS: _by_owner(_HALVED),
    faults.OWNER_ERRORS: _by_superuser(_SUPERUSERS),
    faults.INDEX_FAILS: _by_owner(_UNFINDABLE),
    faults.CONSTRAINT_FAILS: _by_superuser(_ORPHANED),
    faults.FUNCTION_REFUSED: _by_superuser(_OTHER_LANGUAGE),
    faults.NAMES_BLANKED: _by_owner(tenants.EVERY_NAME_BLANKED),
    faults.CENT_OFF: _by_owner(tenants.ONE_CENT_OFF),
    faults.NO_ROW_SECURITY: _by_owner(tenants.UNPROTECTED),
    faults.LOOKUP_SHORT: _by_owner(tenants.TWO_OF_THREE),
    faults.PARTITION_LOST: _by_owner(tenants.PARTITION_LOST),
    faults.LARGE_OBJECTS_LOST: _by_owner(tenants.LARGE_OBJECTS_LOST),
}
RECORDED: Final = frozenset({faults.EMPTY, *_CHANGES})
"""The faults that were on when the backup was recorded: its ``processed_bytes`` is its real size."""
