"""The errors in pg_restore's verbose log, each with the entry of the backup that it belongs to.

A log may hold restored rows (``CONTEXT``, ``DETAIL``, the text of an error). Only the entry's kind and name, which
pg_dump took from the catalogue, and a phrase from a fixed list leave this module: never a line of the log.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

EXTENSION, SCHEMA, EVENT_TRIGGER = "extension", "schema", "event trigger"

_CREATING: Final = re.compile(r'pg_restore: creating (?P<kind>[A-Z][A-Z ]*[A-Z]) "(?P<name>.*)"')
_DATA: Final = re.compile(r'pg_restore: processing data for table "(?P<name>.*)"')
_EXECUTING: Final = re.compile(r"pg_restore: executing (?P<kind>[A-Z][A-Z ]*[A-Z]) (?P<name>.*)")
_ENTRY: Final = re.compile(
    r"pg_restore: from TOC entry \d+; \d+ \d+ (?P<kind>COMMENT|[A-Z][A-Z ]*[A-Z]) (?P<name>.*?)(?: u[0-9a-z]{13})?"
)
"""Its last word is the owner: such names of roles are Heroku's."""
_ERROR: Final = re.compile(r"pg_restore: error: (?P<text>.*)")
_QUERY: Final = re.compile(r"could not execute query: ERROR: +(?P<text>.*)")
_COMMAND: Final = re.compile(
    r"Command was: (?P<verb>COMMENT|CREATE) (?:ON )?(?P<kind>EVENT TRIGGER|EXTENSION|SCHEMA) (?P<name>[^ ;]*)"
)
_NOWHERE: Final = "of no entry"

# Of the server's own schemas and extensions, whose owner is Heroku's administrator: see the contract, 11. PostgreSQL
# writes an object's name in these messages, with quotes or without.
_KNOWN: Final = (
    (EXTENSION, "COMMENT", re.compile(r'must be owner of extension "?(?P<name>[\w-]+)"?')),
    (SCHEMA, "SCHEMA", re.compile(r'schema "(?P<name>\w+)" already exists')),
    (SCHEMA, "COMMENT", re.compile(r'must be owner of schema "?(?P<name>\w+)"?')),
    (EVENT_TRIGGER, "EVENT TRIGGER", re.compile(r'permission denied to create event trigger "(?P<name>\w+)"')),
)
_ABSENT: Final = re.compile(
    r'(?P<kind>type|relation|schema|function|operator class|extension) "?(?P<name>[\w."]+?)"?(?:\(.*\))? does not exist'
)
_PHRASES: Final = (
    "could not create unique index",
    "violates foreign key constraint",
    "violates check constraint",
    "violates not-null constraint",
    "duplicate key value",
    "invalid input syntax",
    "value too long",
    "invalid byte sequence",
    "permission denied",
    "must be owner",
    "must be superuser",
    "already exists",
    "does not exist",
    "is not available",
    "unrecognized configuration parameter",
    "out of memory",
    "No space left on device",
    "disk full",
    "canceling statement",
    "deadlock detected",
    "terminating connection",
    "server closed the connection unexpectedly",
)
_OTHER: Final = "an error that its log tells"


@dataclass(frozen=True)
class Thing:
    """What a known complaint is about: an extension, a schema or an event trigger."""

    kind: str
    name: str


@dataclass(frozen=True)
class Complaint:
    """One error after which pg_restore continued. ``about`` is None for one that is not known to be harmless."""

    kind: str
    """The entry's, such as ``TABLE`` or ``COMMENT``."""
    name: str
    """The entry's, such as ``public.invoices`` or ``EXTENSION hstore``."""
    problem: str
    about: Thing | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.name} ({self.problem})"


def complaints(log: Iterable[str]) -> tuple[Complaint, ...]:
    """Every error in the log of one restore, in order. ``log`` is of pg_restore 12 or later, ``--verbose``."""
    return tuple(_read([line.strip() for message in log for line in message.splitlines()]))


def _read(lines: list[str]) -> Iterator[Complaint]:
    kind, name, begun_now = "", "", False
    for number, line in enumerate(lines):
        error = _ERROR.fullmatch(line)
        if error is not None:
            yield _complaint(error["text"], *((kind, name) if kind else _commanded(lines[number + 1 :])))
            continue
        if begun := _CREATING.fullmatch(line) or _EXECUTING.fullmatch(line):
            kind, name, begun_now = begun["kind"], begun["name"], True
        elif data := _DATA.fullmatch(line):
            kind, name, begun_now = "TABLE DATA", data["name"], True
        elif entry := _ENTRY.fullmatch(line):
            if not begun_now:  # otherwise the line before says the same, with the schema and without the owner
                kind, name = entry["kind"], entry["name"]
            begun_now = False


def _commanded(following: list[str]) -> tuple[str, str]:
    """The entry as the statement that failed shows it, where the log does not name the entry."""
    for line in following:
        if _ERROR.fullmatch(line):
            break
        if command := _COMMAND.match(line):
            kind = command["kind"]
            commented = command["verb"] == "COMMENT"
            return ("COMMENT", f"{kind} {command['name']}") if commented else (kind, command["name"])
    return "", _NOWHERE


def _complaint(text: str, kind: str, name: str) -> Complaint:
    name, query = name.replace('"', ""), _QUERY.fullmatch(text)
    if query is None:
        return Complaint(kind, name, _phrase(text))
    for thing, entry, pattern in _KNOWN:
        known = pattern.fullmatch(query["text"])
        if known is not None and entry == kind:
            return Complaint(kind, name, _phrase(text), Thing(thing, known["name"]))
    absent = _ABSENT.fullmatch(query["text"])
    if absent is not None:
        return Complaint(kind, name, f"{absent['kind']} {absent['name']} does not exist")
    return Complaint(kind, name, _phrase(text))


def _phrase(text: str) -> str:
    return next((phrase for phrase in _PHRASES if phrase in text), _OTHER)
