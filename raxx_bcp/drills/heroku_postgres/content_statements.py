"""What is added to the one statement that reads a table (``table_statements.py``) so that its content is compared.

A row becomes its key's hash (8 bytes), the first 16 bytes of the SHA-256 of its text, and whether its own times say
that it is from after the backup started. Only those leave the server.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from datetime import datetime
from typing import Final, LiteralString

from psycopg import sql

from raxx_bcp.drills.heroku_postgres.content import END_ROWS, HASH_BYTES, KeyColumn, Shape

_KEY_HASHES: Final[dict[str, LiteralString]] = {
    "int": "hashint8extended({}::bigint, {})",
    "uuid": "uuid_hash_extended({}, {})",
    "text": 'hashtextextended({}::text COLLATE "C", {})',
}
"""PostgreSQL's own hashes: equal on servers of one major version, which is compared too."""


def ask_content(table: sql.Identifier, shape: Shape, since: datetime) -> list[sql.Composable]:
    """Five values: the NULLs and the empties of each column, the rows from after ``since``, the sample, the ends."""
    later = _later(shape, since)
    record = _record(shape, later)
    sample = sql.SQL("string_agg({}, ''::bytea)").format(record)
    if shape.one_in > 1:
        chosen = sql.SQL(" FILTER (WHERE {} & {} = 0)").format(_key(shape), sql.Literal(shape.one_in - 1))
        sample = sql.Composed([sample, chosen])
    empties = [*_each("count(*) FILTER (WHERE octet_length({}::text) = 0)", shape.texts)]
    empties += _each("count(*) FILTER (WHERE octet_length({}) = 0)", shape.binaries)
    return [
        _numbers(_each("count(*) FILTER (WHERE {} IS NULL)", shape.nullable)),
        _numbers(empties),
        sql.SQL("count(*) FILTER (WHERE {})").format(later),
        sample,
        _ends(table, shape, record, since),
    ]


def _numbers(counts: Iterable[sql.Composable]) -> sql.Composable:
    """In one array: a table may have more columns than a statement may return values."""
    return sql.SQL("ARRAY[{}]::bigint[]").format(sql.SQL(", ").join(counts))


def _record(shape: Shape, later: sql.Composable) -> sql.Composed:
    row = sql.SQL("sha256(convert_to(ROW({})::text, 'UTF8'))").format(_listed(shape.columns))
    template = "int8send({}) || substring({} FROM 1 FOR {}) || CASE WHEN {} THEN {} ELSE {} END"
    flags = (sql.Literal(b"\x01"), sql.Literal(b"\x00"))
    return sql.SQL(template).format(_key(shape), row, sql.Literal(HASH_BYTES), later, *flags)


def _key(shape: Shape) -> sql.Composable:
    """One hash of all columns of the key, each seeded with that of those before it."""

    def add(seed: sql.Composable, column: KeyColumn) -> sql.Composable:
        hashed = sql.SQL(_KEY_HASHES[column.hashed_as]).format(sql.Identifier(column.name), seed)
        return hashed if shape.unique else sql.SQL("coalesce({}, {})").format(hashed, seed)

    first: sql.Composable = sql.Literal(0)
    return functools.reduce(add, shape.key, first)


def _later(shape: Shape, since: datetime) -> sql.Composable:
    columns = (*shape.created, *shape.changed)
    if not columns:
        return sql.SQL("false")
    return sql.SQL(" OR ").join(_each("coalesce({} > {}, false)", columns, sql.Literal(since)))


def _ends(table: sql.Identifier, shape: Shape, record: sql.Composable, since: datetime) -> sql.Composable:
    """The first and the last rows of each order that an index keeps; for those with times, the ones of the backup."""
    if not shape.ends:
        return sql.SQL("NULL::bytea")
    until: sql.Composable = sql.SQL("")
    if shape.created:
        until = sql.SQL(" WHERE {} <= {}").format(sql.Identifier(shape.created[0]), sql.Literal(since))
    few = "(SELECT * FROM ONLY {}{} ORDER BY {} LIMIT {})"
    ways: tuple[LiteralString, ...] = ("{} ASC", "{} DESC")
    ends = [
        sql.SQL(few).format(table, until, sql.SQL(", ").join(_each(way, order)), sql.Literal(END_ROWS))
        for order in shape.ends
        for way in ways
    ]
    together = sql.SQL(" UNION ALL ").join(ends)
    return sql.SQL("(SELECT string_agg({}, ''::bytea) FROM ({}) AS ends)").format(record, together)


def _each(template: LiteralString, columns: Iterable[str], *more: sql.Composable) -> list[sql.Composed]:
    return [sql.SQL(template).format(sql.Identifier(name), *more) for name in columns]


def _listed(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in columns)
