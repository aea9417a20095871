"""Reads every table of a database once: how many rows, how new, how high the sequences, and whether they can be read.

One statement a table answers all of it (see ``table_statements.py``), so that nothing is scanned twice; several
connections share one moment (``pg_export_snapshot``). A foreign key is proved by one anti-join.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from raxx_bcp.clients.postgres import DamagedError, NoConnectionLeftError, Reader
from raxx_bcp.drills.heroku_postgres.catalogue import Catalogue, Reference, Relation
from raxx_bcp.drills.heroku_postgres.content import BEGUN, CREATED, Content, Shape, content_of
from raxx_bcp.drills.heroku_postgres.facts import Facts
from raxx_bcp.drills.heroku_postgres.table_columns import Asked

if TYPE_CHECKING:
    from psycopg.abc import QueryNoTemplate

WRITTEN: Final = CREATED | {
    "logged_at",
    "modified_at",
    "modified_on",
    "occurred_at",
    "received_at",
    "recorded_at",
    "updated",
    "updated_at",
    "updated_on",
}
"""Columns that say when a row was made or changed."""
WHOLE_KEYS_BYTES: Final = 16 * 1024 * 1024
"""PostgreSQL itself proves every key when pg_restore adds it, and only a superuser can bypass that.

To repeat it in full takes half of the whole look's processor time at 95 MB and four fifths at 1 GB
(benchmarks/verify_database.py). The rows' content, which nothing else proves, needs that time more.
"""
CONNECTION_PAGES: Final = 128 * 1024 * 1024 // 8192
CONNECTION_STATEMENTS: Final = 16
"""A connection more for so much to read, or so many statements: to open one takes a few round trips and about 10 ms of
the processor on the server and here, and in a small look it is idle before it has earned them."""
_PAGE_BYTES: Final = 8192
_ZONED: Final = "timestamp with time zone"
_MOMENTS: Final = frozenset({_ZONED, "timestamp without time zone"})


@dataclass(frozen=True)
class Plan:
    """What to look for besides the number of rows."""

    as_of: datetime
    """Rows up to here belong to the backup."""
    thorough: bool
    """Also the sample, the orphans and the rows younger than ``as_of``: for what was restored, not for production."""
    moment_columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Table to the columns that tell its newest row; empty: those that are called as in ``WRITTEN``."""
    whole_keys_bytes: int = WHOLE_KEYS_BYTES
    """A validated foreign key of a larger table is proved by a sample of its rows."""
    like: Facts | None = None
    """Production's facts: the rows to hash are those that were hashed there."""

    @property
    def since(self) -> datetime:
        """Rows whose own times are after this may differ from the backup's."""
        return (self.like.as_of if self.like else self.as_of) - BEGUN


@dataclass(frozen=True)
class Scanned:
    """One table or partition. ``highest`` is of the columns that use sequences."""

    rows: int | None = None
    rows_then: int | None = None
    newest: Mapping[str, datetime] = field(default_factory=dict)
    younger: int = 0
    highest: Mapping[str, int] = field(default_factory=dict)
    sampled: int | None = None
    content: Content | None = field(repr=False, default=None)
    damage: str = ""


@dataclass(frozen=True)
class Checked:
    """One foreign key."""

    orphans: int | None = None
    damage: str = ""
    sampled: bool = False
    """Were not all of its rows looked at?"""


@dataclass(frozen=True)
class Job:
    """One statement that answers with one row, and what to make of it."""

    key: int | str
    pages: int
    """What it reads, about: the longest jobs go first."""
    action: str
    statement: QueryNoTemplate
    told: Callable[[tuple[Any, ...]], Scanned | Checked]
    damaged: Callable[[str], Scanned | Checked]


def jobs_of(catalogue: Catalogue, plan: Plan, shapes: Mapping[int, Shape]) -> list[Job]:
    """One for every table and partition and, where ``plan`` is thorough, for every foreign key; the longest first.

    ``shapes`` say by the oid of a table, not of its partitions, how its content is hashed.
    """
    relations = {one.oid: one for one in catalogue.relations}
    jobs = [
        _table_job(one, relations, catalogue, plan, shapes.get(one.root))
        for one in catalogue.relations
        if one.holds_rows
    ]
    if plan.thorough:
        keys = [one for one in catalogue.references if one.plain and one.child in relations]
        jobs += [_key_job(one, relations[one.child], catalogue, plan) for one in keys]
    return sorted(jobs, key=lambda job: job.pages, reverse=True)


def helpers_for(jobs: Sequence[Job], connections: int) -> int:
    """How many more connections than the leader's are worth opening, of at most ``connections`` together.

    With helpers the leader only keeps the snapshot open: a single helper would do no more than the leader alone.
    """
    worth = max(sum(job.pages for job in jobs) // CONNECTION_PAGES, len(jobs) // CONNECTION_STATEMENTS)
    helpers = min(connections - 1, worth)
    return helpers if helpers > 1 else 0


def scan(readers: Sequence[Reader], jobs: Sequence[Job]) -> tuple[dict[int, Scanned], dict[str, Checked]]:
    """Every table by its oid, and every foreign key by its name.

    ``readers`` are the leader, whose moment the others share, and the others; a leader that is alone does the work
    itself. Raises what ``Reader.rows`` raises, except for damage, which is a result.
    """
    answers = _run(readers, deque(jobs))
    scanned = {key: one for key, one in answers.items() if isinstance(key, int) and isinstance(one, Scanned)}
    checked = {key: one for key, one in answers.items() if isinstance(key, str) and isinstance(one, Checked)}
    return scanned, checked


@contextlib.contextmanager
def shared_readers(leader: Reader, more: int, make: Callable[[str], Reader]) -> Iterator[list[Reader]]:
    """The leader, and up to ``more`` readers at its moment: as many as the database has connections left for."""
    with contextlib.ExitStack() as stack:
        readers = [leader]
        snapshot = leader.share() if more else ""
        with contextlib.suppress(NoConnectionLeftError):
            while len(readers) <= more:
                readers.append(stack.enter_context(make(snapshot)))
        yield readers


def _run(readers: Sequence[Reader], jobs: deque[Job]) -> dict[int | str, Scanned | Checked]:
    leader, others = readers[0], readers[1:]
    stop = threading.Event()
    if not others:
        return _work(leader, jobs, stop)
    answers: dict[int | str, Scanned | Checked] = {}
    with ThreadPoolExecutor(len(others)) as pool:
        futures = [pool.submit(_work, reader, jobs, stop) for reader in others]
        try:
            _wait(leader, futures)
            for future in futures:
                answers |= future.result()
        finally:
            stop.set()
            for future, reader in zip(futures, others, strict=True):
                if not future.done():
                    reader.hang_up()
    return answers


def _wait(leader: Reader, futures: Sequence[Future[Any]]) -> None:
    """Wait until all have ended; raises the first failure. Keeps the leader from the idle-in-transaction time-out."""
    while True:
        done, pending = wait(futures, timeout=leader.limits.idle_seconds / 3, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
        if not pending:
            return
        leader.rows("SELECT 1", "keep the shared moment")


def _work(reader: Reader, jobs: deque[Job], stop: threading.Event) -> dict[int | str, Scanned | Checked]:
    answers: dict[int | str, Scanned | Checked] = {}
    while not stop.is_set():
        try:
            job = jobs.popleft()
        except IndexError:
            break
        try:
            answers[job.key] = job.told(reader.rows(job.statement, job.action)[0])
        except DamagedError as error:
            answers[job.key] = job.damaged(error.what)
            reader.begin_again()
    return answers


def _table_job(
    table: Relation, relations: Mapping[int, Relation], catalogue: Catalogue, plan: Plan, shape: Shape | None
) -> Job:
    from raxx_bcp.drills.heroku_postgres.content_statements import ask_content
    from raxx_bcp.drills.heroku_postgres.table_statements import look_at_table, name_of

    root = relations.get(table.root, table)
    columns = catalogue.column_types.get(table.root, {})
    asked = Asked(
        created=tuple(sorted(CREATED & {name for name, kind in columns.items() if kind in _MOMENTS}))[:1],
        moments=tuple(_moments(root, columns, plan)),
        counted=catalogue.counted.get(table.root, ()),
        zoned=tuple(sorted(CREATED & {name for name, kind in columns.items() if kind == _ZONED}))[:1],
    )

    def told(row: tuple[Any, ...]) -> Scanned:
        rest = iter(row)
        return Scanned(
            rows=next(rest),
            rows_then=next(rest) if asked.created else None,
            newest={f"{root.label}.{n}": _utc(m) for n in asked.moments if (m := next(rest)) is not None},
            highest={name: int(top) for name in asked.counted if (top := next(rest)) is not None},
            younger=next(rest) if plan.thorough and asked.zoned else 0,
            sampled=next(rest) if plan.thorough else None,
            content=content_of(shape, list(rest)) if shape else None,
        )

    also = ask_content(name_of(table), shape, plan.since) if shape else []
    statement = look_at_table(table, asked, plan.as_of, also, thorough=plan.thorough)
    action = f"count the rows of {table.label}"
    return Job(table.oid, table.pages, action, statement, told, lambda what: Scanned(damage=what))


def _key_job(key: Reference, child: Relation, catalogue: Catalogue, plan: Plan) -> Job:
    from raxx_bcp.drills.heroku_postgres.table_statements import look_for_orphans

    pages = catalogue.pages.get(key.child, 0)
    sampled = key.validated and pages * _PAGE_BYTES > plan.whole_keys_bytes
    statement = look_for_orphans(key, child, of_pages=pages if sampled else None)

    def told(row: tuple[Any, ...]) -> Checked:
        return Checked(row[0], sampled=sampled)

    effort = 0 if sampled else pages + catalogue.pages.get(key.parent, 0)
    action = f"look for orphans of {key.label}"
    return Job(key.label, effort, action, statement, told, lambda what: Checked(damage=what))


def _moments(root: Relation, columns: Mapping[str, str], plan: Plan) -> list[str]:
    fitting = {name for name, kind in columns.items() if kind in _MOMENTS}
    return sorted(fitting & set(plan.moment_columns.get(root.label, ()) if plan.moment_columns else WRITTEN))


def _utc(moment: datetime) -> datetime:
    """A time without a zone is taken as UTC, as SQLAlchemy's ``DateTime`` with ``utcnow`` stores it."""
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
