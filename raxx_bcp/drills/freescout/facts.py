"""What a restored FreeScout's database holds, asked in two round trips: which tables, and then all facts about them.

Only counts, ids and moments are selected, never a text. SQL is asked before any page: pages write to the database.
Source of the schema: FreeScout 1.8.145 and 1.8.235, as installed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from raxx_bcp.clients.decoding import understood
from raxx_bcp.drills.freescout.host_protocol import LOOK_AGAIN, Database
from raxx_bcp.freescout.backup_tool import EMOJI_PATTERN, FINGERPRINT, TABLES

NEVER_EMPTY: Final = (
    *("users", "customers", "emails", "mailboxes", "mailbox_user", "folders", "conversations", "threads"),
    *("options", "migrations"),
)
"""Without rows in these tables there is no help desk."""


@dataclass(frozen=True)
class Question:
    """One SELECT, and the columns (``table.column``) without which it is not asked."""

    name: str
    select: str
    needs: tuple[str, ...]


def _orphans(name: str, table: str, column: str, parent: str, *, when: str = "TRUE") -> Question:
    select = (
        f"SELECT COUNT(*) FROM {table} child WHERE {when}"  # noqa: S608 - names are of this module
        f" AND NOT EXISTS (SELECT 1 FROM {parent} parent WHERE parent.id = child.{column})"
    )
    return Question(name, select, (f"{table}.{column}", f"{parent}.id"))


ORPHANS: Final = (
    _orphans("threads without conversation", "threads", "conversation_id", "conversations"),
    _orphans("conversations without mailbox", "conversations", "mailbox_id", "mailboxes"),
    _orphans("conversations without folder", "conversations", "folder_id", "folders"),
    _orphans(
        "conversations without customer", "conversations", "customer_id", "customers", when="customer_id IS NOT NULL"
    ),
    _orphans("emails without customer", "emails", "customer_id", "customers"),
    _orphans("attachments without thread", "attachments", "thread_id", "threads", when="thread_id IS NOT NULL"),
    _orphans("mailbox_user without user", "mailbox_user", "user_id", "users"),
    _orphans("mailbox_user without mailbox", "mailbox_user", "mailbox_id", "mailboxes"),
    Question(
        "published conversations without threads",
        "SELECT COUNT(*) FROM conversations child WHERE state = 2"
        " AND NOT EXISTS (SELECT 1 FROM threads WHERE threads.conversation_id = child.id)",
        ("conversations.state", "threads.conversation_id"),
    ),
)
"""FreeScout has no foreign keys: each of these must be 0."""
ADMINS: Final = "active admins"
HASHES: Final = "odd password hashes"
EMOJI: Final = "emoji"
THREADS: Final = "threads"
NEWEST: Final = "newest thread"
FETCHED: Final = "last fetch"
RESERVED: Final = "jobs reserved"
QUESTIONS: Final = (
    *ORPHANS,
    Question(
        ADMINS,
        "SELECT COUNT(*) FROM users WHERE role = 2 AND status = 1 AND type = 1",
        ("users.role", "users.status", "users.type"),
    ),
    Question(
        HASHES,
        "SELECT COUNT(*) FROM users WHERE password NOT REGEXP '^[$]2[aby][$][0-9]{2}[$].{53}$'",
        ("users.password",),
    ),
    Question(
        EMOJI,
        f"SELECT EXISTS (SELECT 1 FROM threads WHERE body REGEXP '{EMOJI_PATTERN}')",  # noqa: S608 - of ours
        ("threads.body",),
    ),
    Question(
        THREADS,
        f"SELECT {FINGERPRINT} FROM threads",  # noqa: S608 - of this module
        tuple(f"threads.{name}" for name in ("conversation_id", "type", "state", "body", "message_id", "created_at")),
    ),
    Question(NEWEST, "SELECT UNIX_TIMESTAMP(MAX(created_at)) FROM threads", ("threads.created_at",)),
    Question(
        FETCHED,
        "SELECT MAX(CAST(value AS UNSIGNED)) FROM options WHERE name = 'fetch_emails_last_run'",
        ("options.name", "options.value"),
    ),
    Question(RESERVED, "SELECT COALESCE(MAX(reserved_at), 0) FROM jobs", ("jobs.reserved_at",)),
)


@dataclass(frozen=True)
class Fingerprint:
    """The text of every thread in three numbers."""

    count: int
    max_id: int
    crc32_sum: int

    def __str__(self) -> str:
        return f"{self.count} threads up to id {self.max_id}, crc32 sum {self.crc32_sum}"


@dataclass(frozen=True)
class Facts:
    """What the database answered. A question without its table or column was not asked, and has no answer."""

    server_version: str
    rows: Mapping[str, int]
    """Rows of FreeScout's tables that are there."""
    missing_columns: tuple[str, ...] = ()
    answers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def number(self, name: str) -> int | None:
        """The answer that is a number; None: no answer, or NULL."""
        answer = self.answers.get(name)
        return None if answer is None or answer[0] == "NULL" else int(float(answer[0]))

    def moment(self, name: str) -> datetime | None:
        """The answer that is a moment (epoch seconds)."""
        epoch = self.number(name)
        return None if not epoch else datetime.fromtimestamp(epoch, UTC)

    @property
    def fingerprint(self) -> Fingerprint | None:
        """Of the threads."""
        answer = self.answers.get(THREADS)
        return None if answer is None else Fingerprint(*map(int, answer))


def ask(host: Database, database: str, timeout_seconds: float | None = None) -> Facts:
    """Raises what ``Host.sql`` raises; a table that is missing is a fact, not an error."""
    version, columns = _catalogue(host, database)
    there = [table for table in TABLES if table in columns]
    selects = [f"SELECT 'rows', '{table}', COUNT(*) FROM `{table}`" for table in there]  # noqa: S608 - names of ours
    asked = [one for one in QUESTIONS if _can_be_asked(one, columns)]
    selects += [one.select.replace("SELECT ", f"SELECT '{one.name}', ", 1) for one in asked]
    answers = host.sql(";\n".join(selects) + ";\n", database=database, timeout_seconds=timeout_seconds) if there else []
    needed = sorted({need for one in QUESTIONS for need in one.needs if need.partition(".")[0] in there})
    missing = tuple(need for need in needed if need.partition(".")[2] not in columns[need.partition(".")[0]])
    with understood("What MariaDB answered", LOOK_AGAIN):
        found = Facts(
            server_version=version,
            rows={name: int(count) for kind, name, *counted in answers if kind == "rows" for count in counted},
            missing_columns=missing,
            answers={kind: tuple(rest) for kind, *rest in answers if kind != "rows"},
        )
        _require_all(found, there, [one.name for one in asked])
    return found


def _require_all(found: Facts, tables: Sequence[str], names: Sequence[str]) -> None:
    """Raise what ``understood`` translates unless each question has its answer: a list that was cut off is not one."""
    if found.rows.keys() != set(tables) or found.answers.keys() != set(names):
        raise ValueError
    for name in names:
        found.number(name)
    _ = found.fingerprint, found.moment(NEWEST), found.moment(FETCHED), found.moment(RESERVED)


def _catalogue(host: Database, database: str) -> tuple[str, dict[str, set[str]]]:
    told = host.sql(
        "SELECT VERSION();\nSELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS"
        " WHERE TABLE_SCHEMA = DATABASE();\n",
        database=database,
    )
    columns: dict[str, set[str]] = {}
    with understood("What MariaDB said of its tables", LOOK_AGAIN):
        (version,), *rows = told
        for table, column in rows:
            columns.setdefault(table, set()).add(column)
    return version, columns


def _can_be_asked(question: Question, columns: Mapping[str, set[str]]) -> bool:
    wanted: Sequence[tuple[str, str, str]] = [need.partition(".") for need in question.needs]
    return all(column in columns.get(table, ()) for table, _dot, column in wanted)
