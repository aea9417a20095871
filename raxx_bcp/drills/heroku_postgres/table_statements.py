"""The statements that read tables. Names are quoted by psycopg; what is compared with is written in as a literal.

The sample is turned into text **by the server** and only counted: no value of a row ever leaves it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, LiteralString

from psycopg import sql

from raxx_bcp.drills.heroku_postgres.catalogue import Reference, Relation
from raxx_bcp.drills.heroku_postgres.table_columns import Asked

_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Also leaves out what Python cannot represent: -infinity and years before Christ."""
_HEAD_ROWS, _SPREAD_ROWS, _SPREAD_PAGES = 50, 150, 20
_KEY_PAGES: Final = 128


def look_at_table(
    table: Relation, asked: Asked, as_of: datetime, also: Sequence[sql.Composable] = (), *, thorough: bool
) -> sql.Composed:
    """One row: the number of rows; of rows then; the newest of each moment; the highest of each counted column;
    where ``thorough`` the rows younger than ``as_of``, and how many rows of the sample were read whole; and ``also``.
    """
    until = sql.Literal(as_of)
    parts: list[sql.Composable] = [sql.SQL("count(*)")]
    parts += [_each("count(*) FILTER (WHERE {0} IS NULL OR {0} <= {1})", name, until) for name in asked.created]
    newest = "max({0}) FILTER (WHERE {0} BETWEEN {2} AND {1})"
    parts += [_each(newest, name, until, sql.Literal(_EARLIEST)) for name in asked.moments]
    parts += [_each("max({0})", name) for name in asked.counted]
    if thorough:
        parts += [_each("count(*) FILTER (WHERE {0} > {1} AND {0} <= now())", name, until) for name in asked.zoned]
        parts.append(_sample(table))
    parts += also
    return sql.SQL("SELECT {} FROM ONLY {}").format(sql.SQL(", ").join(parts), name_of(table))


def look_for_orphans(key: Reference, child: Relation, *, of_pages: int | None) -> sql.Composed:
    """One row: how many rows of ``child`` point nowhere. A key with a null in it points nowhere on purpose.

    With the operators that the key itself has: ``citext`` is not compared as text is. ``of_pages``: only rows of
    some pages, out of so many.
    """
    known = [_each("child.{0} IS NOT NULL", column) for column in key.child_columns]
    same = [
        sql.SQL("parent.{} {} child.{}").format(sql.Identifier(above), sql.SQL(operator), sql.Identifier(below))
        for above, operator, below in zip(key.parent_columns, key.operators, key.child_columns, strict=True)
    ]
    parent = sql.Identifier(key.parent_schema, key.parent_name)
    together = sql.SQL(" AND ")
    statement = "SELECT count(*) FROM {} AS child{} WHERE {} AND NOT EXISTS (SELECT FROM {} AS parent WHERE {})"
    return sql.SQL(statement).format(
        _only(child.kind, name_of(child)),
        sql.SQL("") if of_pages is None else _some_pages(_KEY_PAGES, of_pages),
        together.join(known),
        _only(key.parent_kind, parent),
        together.join(same),
    )


def _sample(table: Relation) -> sql.Composed:
    """The number of rows of a sample, each of which the server has read whole, with what is stored out of line.

    The first rows, and in a large table also those of some pages from all over it.
    """
    where = name_of(table)
    head = "(SELECT octet_length(ROW(one.*)::text) AS size FROM ONLY {} AS one LIMIT {})"
    parts = [sql.SQL(head).format(where, sql.Literal(_HEAD_ROWS))]
    if table.pages > _SPREAD_PAGES:
        spread = "(SELECT octet_length(ROW(one.*)::text) FROM ONLY {} AS one{} LIMIT {})"
        some = _some_pages(_SPREAD_PAGES, table.pages)
        parts.append(sql.SQL(spread).format(where, some, sql.Literal(_SPREAD_ROWS)))
    return sql.SQL("(SELECT count(size) FROM ({}) AS sample)").format(sql.SQL(" UNION ALL ").join(parts))


def _some_pages(some: int, of_pages: int) -> sql.Composed:
    return sql.SQL(" TABLESAMPLE SYSTEM ({})").format(sql.Literal(min(100.0, 100.0 * some / of_pages)))


def _each(template: LiteralString, column: str, *more: sql.Composable) -> sql.Composed:
    return sql.SQL(template).format(sql.Identifier(column), *more)


def _only(kind: str, table: sql.Identifier) -> sql.Composed:
    """A plain table without those that inherit from it; a partitioned one with its partitions."""
    return sql.SQL("{}{}").format(sql.SQL("" if kind == "p" else "ONLY "), table)


def name_of(table: Relation) -> sql.Identifier:
    """The table's name with its schema."""
    return sql.Identifier(table.schema, table.name)
