"""What proves that a restored PostgreSQL is the production database (ADR-0103 D4): its facts, and their comparison.

``expected_from`` looks at production, lightly; ``actual_from`` at what was restored, thoroughly; ``compare`` (in
``compare.py``) says what agrees. Production is only ever read, at one moment, within time limits.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from pydantic import SecretStr

from raxx_bcp.clients.postgres import DamagedError, Limits, Reader
from raxx_bcp.drills.heroku_postgres import facts
from raxx_bcp.drills.heroku_postgres.alembic_history import RevisionHistory
from raxx_bcp.drills.heroku_postgres.allowance import Allowance
from raxx_bcp.drills.heroku_postgres.catalogue import Catalogue, Counter, Reference, Relation, read_catalogue
from raxx_bcp.drills.heroku_postgres.compare import CHECKS, compare
from raxx_bcp.drills.heroku_postgres.content import Content, fitting, shapes_of
from raxx_bcp.drills.heroku_postgres.facts import Facts
from raxx_bcp.drills.heroku_postgres.large_objects import read_large_objects
from raxx_bcp.drills.heroku_postgres.partitions import Partition, read_partitions
from raxx_bcp.drills.heroku_postgres.row_security import read_protection
from raxx_bcp.drills.heroku_postgres.table_scan import (
    WHOLE_KEYS_BYTES,
    Checked,
    Plan,
    Scanned,
    helpers_for,
    jobs_of,
    scan,
    shared_readers,
)
from raxx_bcp.errors import BackupWrongError, CouldNotVerifyError, UsageError

__all__ = ["CHECKS", "Allowance", "Facts", "RevisionHistory", "actual_from", "compare", "expected_from"]

CLOCK_SLACK: Final = timedelta(minutes=5)
"""How far the clocks of an application, of Heroku and of PostgreSQL may differ."""


def expected_from(
    production: SecretStr,
    *,
    backup_created: datetime,
    connections: int = 3,
    limits: Limits | None = None,
    moment_columns: Sequence[str] = (),
) -> Facts:
    """The facts of production, and how much of it was there when the backup was made.

    Reads every table once, over at most ``connections`` connections that share one moment. ``moment_columns``
    (``table.column``) tell the newest row; by default the usual names do. Raises ``CouldNotVerifyError`` when
    production cannot be reached, denies, takes too long, or cannot read its own data.
    """
    plan = Plan(backup_created, thorough=False, moment_columns=_by_table(moment_columns))
    found = _look(production, plan, connections, limits)
    _refuse_unknown(plan, found)
    damage = [one.damage for one in found.tables.values() if one.damage] + [found.large_objects.damage]
    if any(damage):
        raise CouldNotVerifyError(
            f"There is nothing to compare the restore with: in production, {next(filter(None, damage))}",
            "Production itself is damaged: see its server's log first.",
        )
    return found


def actual_from(
    restored: SecretStr,
    *,
    backup_finished: datetime,
    connections: int = 5,
    limits: Limits | None = None,
    moment_columns: Sequence[str] = (),
    whole_keys_bytes: int = WHOLE_KEYS_BYTES,
    like: Facts | None = None,
) -> Facts:
    """The facts of what was restored, with a sample of every table read whole and every foreign key proved.

    ``backup_finished`` is when the backup had ended: nothing in it can be younger. A foreign key that PostgreSQL
    has validated is proved again over all rows of a table of up to ``whole_keys_bytes``, and over a sample of a
    larger one. ``like`` are production's facts, so that the same rows are hashed as there. Damage of a table is a
    fact here, not an error; of the catalogue it is ``BackupWrongError``. Raises ``CouldNotVerifyError`` when the
    database cannot be reached, denies or takes too long.
    """
    plan = Plan(
        backup_finished + CLOCK_SLACK,
        thorough=True,
        moment_columns=_by_table(moment_columns),
        whole_keys_bytes=whole_keys_bytes,
        like=like,
    )
    try:
        return _look(restored, plan, connections, limits)
    except DamagedError as damaged:
        raise BackupWrongError(damaged.what, "What was restored is damaged: look at where it was backed up.") from None


def _look(url: SecretStr, plan: Plan, connections: int, limits: Limits | None) -> Facts:
    def make(snapshot: str) -> Reader:
        return Reader(url, limits, snapshot=snapshot)

    with make("") as leader:
        catalogue = read_catalogue(leader)
        shapes = fitting(plan.like.contents, catalogue) if plan.like else shapes_of(leader, catalogue)
        protection, partitions = read_protection(leader), read_partitions(leader)
        jobs = jobs_of(catalogue, plan, shapes)
        with shared_readers(leader, helpers_for(jobs, connections), make) as readers:
            tables, keys = scan(readers, jobs)
        large_objects = read_large_objects(leader, plan.like.large_objects if plan.like else None)
    return replace(
        _facts(catalogue, plan, tables, keys),
        protection=protection,
        partitions={name: _counted(one, tables.get(oid)) for oid, (name, one) in partitions.items()},
        large_objects=large_objects,
    )


def _facts(catalogue: Catalogue, plan: Plan, tables: Mapping[int, Scanned], keys: Mapping[str, Checked]) -> Facts:
    newest = [(moment, column) for table in tables.values() for column, moment in table.newest.items()]
    newest_utc, newest_in = max(newest, default=(None, ""))
    roots = [one for one in catalogue.relations if not one.is_partition]
    parts: dict[int, list[Scanned]] = {root.oid: [] for root in roots}
    for one in catalogue.relations:
        if one.oid in tables and one.root in parts:
            parts[one.root].append(tables[one.oid])
    return Facts(
        server_version=catalogue.server_version,
        as_of=plan.as_of,
        revisions=catalogue.revisions,
        tables={root.label: _table(root, parts[root.oid]) for root in roots if root.kind in "rpf"},
        views={root.label: f"{root.kind} {root.populated}" for root in roots if root.kind in "vm"},
        columns=catalogue.columns,
        indexes=catalogue.indexes,
        constraints=catalogue.constraints,
        sequences={one.label: facts.Sequence(one.definition, _behind(one, parts)) for one in catalogue.counters},
        routines=catalogue.routines,
        operators=catalogue.operators,
        extensions={name: version for name, (version, _schema) in catalogue.extensions.items()},
        extension_schemas={name: schema for name, (_version, schema) in catalogue.extensions.items()},
        schemas=catalogue.schemas,
        event_triggers=catalogue.event_triggers,
        foreign_keys={one.label: _foreign_key(one, keys) for one in catalogue.references},
        contents={root.label: found for root in roots if (found := _content(parts[root.oid]))},
        newest_utc=newest_utc,
        newest_in=newest_in,
        younger={root.label: younger for root in roots if (younger := sum(one.younger for one in parts[root.oid]))},
    )


def _table(root: Relation, parts: Sequence[Scanned]) -> facts.Table:
    """A table, or a partitioned one's partitions together. What is stored elsewhere (a foreign table) has no rows."""
    if not parts:
        return facts.Table(rows=0 if root.kind == "p" else None)
    damage = next((one.damage for one in parts if one.damage), "")
    if damage:
        return facts.Table(damage=damage)
    return facts.Table(
        rows=_sum(one.rows for one in parts),
        rows_then=_sum(one.rows_then for one in parts),
        sampled=_sum(one.sampled for one in parts),
    )


def _counted(partition: Partition, scanned: Scanned | None) -> Partition:
    return replace(partition, rows=scanned.rows, rows_then=scanned.rows_then) if scanned else partition


def _content(parts: Sequence[Scanned]) -> Content | None:
    found = [one.content for one in parts if one.content is not None]
    return functools.reduce(Content.with_part, found) if found and len(found) == len(parts) else None


def _foreign_key(key: Reference, checked: Mapping[str, Checked]) -> facts.ForeignKey:
    found = checked.get(key.label, Checked())
    return facts.ForeignKey(key.validated, found.orphans, found.damage, found.sampled)


def _behind(counter: Counter, parts: Mapping[int, Sequence[Scanned]]) -> bool:
    tops: list[int] = [
        one.highest[column]
        for table, column in counter.columns
        for one in parts.get(table, ())
        if column in one.highest
    ]
    return counter.behind(max(tops) if tops else None)


def _sum(numbers: Iterable[int | None]) -> int | None:
    known = list(numbers)
    return None if None in known else sum(number for number in known if number is not None)


def _by_table(columns: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """``["orders.placed_at"]`` as ``{"orders": ("placed_at",)}``."""
    found: dict[str, tuple[str, ...]] = {}
    for one in columns:
        table, _dot, column = one.removeprefix("public.").rpartition(".")
        found[table] = (*found.get(table, ()), column)
    return found


def _refuse_unknown(plan: Plan, found: Facts) -> None:
    named = [f"{table}.{column}" for table, columns in plan.moment_columns.items() for column in columns]
    wrong = [one for one in named if not found.columns.get(one, "").startswith("timestamp")]
    if wrong:
        raise UsageError(
            f"Production has no column of a time called {wrong[0]}.", "Name columns of bcp.toml as table.column."
        )


def refuse_unknown_tables(named: Iterable[str], found: Facts) -> None:
    """Raises ``UsageError`` for a table of the policy that production does not have."""
    unknown = sorted(set(named) - found.tables.keys())
    if unknown:
        raise UsageError(
            f"Production has no table called {unknown[0]}, which heroku_postgres.table_tolerance_ratios names.",
            "Correct its name in bcp.toml (with its schema, where that is not public), or take it out.",
        )
