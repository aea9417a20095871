"""What PostgreSQL's catalogue says is in a database: a handful of queries, none of which reads a row.

Objects of extensions are left out (the extension itself is compared), and so is what belongs to the server or to
Heroku. Definitions are PostgreSQL's own words with every name qualified, reduced to their essence (see ``essence``).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from raxx_bcp.clients.postgres import Reader
from raxx_bcp.drills.heroku_postgres import catalogue_queries as queries
from raxx_bcp.drills.heroku_postgres.operator_queries import OPERATORS

ALEMBIC_TABLE: Final = "alembic_version"
PUBLIC: Final = "public"
HEROKU_EXT: Final = "heroku_ext"
EXTENSION_SCHEMAS: Final = frozenset({PUBLIC, HEROKU_EXT})
"""Where Heroku keeps extensions: in its own schema since 2022, in ``public`` before and again since 2023."""
_EXTENSION_PREFIX: Final = f"{HEROKU_EXT}."
_CAST: Final = re.compile(
    r"::(?:character varying|bit varying|double precision|(?:timestamp|time) with(?:out)? time zone"
    r'|(?:"[^"]+"|\w+)(?:\.(?:"[^"]+"|\w+))?)(?:\(\d+(?:,\d+)?\))?(?:\[\])*'
)


@dataclass(frozen=True)
class Relation:
    """A table, partition, view or the like. ``pages`` is its size in blocks."""

    oid: int
    schema: str
    name: str
    kind: str
    root: int
    populated: bool
    pages: int

    @property
    def label(self) -> str:
        return label(self.schema, self.name)

    @property
    def is_partition(self) -> bool:
        return self.root != self.oid

    @property
    def holds_rows(self) -> bool:
        """A table or partition. Not a partitioned table, which has no rows of its own, and not a view."""
        return self.kind == "r"


@dataclass(frozen=True)
class Reference:
    """A foreign key as the scan needs it."""

    label: str
    validated: bool
    child: int
    parent: int
    parent_schema: str
    parent_name: str
    parent_kind: str
    child_columns: tuple[str, ...]
    parent_columns: tuple[str, ...]
    operators: tuple[str, ...]

    @property
    def plain(self) -> bool:
        """By equality alone: not PostgreSQL 18's keys over periods, which several rows may answer together."""
        return all(operator.endswith(".=)") for operator in self.operators)


@dataclass(frozen=True)
class Counter:
    """A sequence: its last value, None when it never gave one, and the columns (relation, name) that take from it."""

    label: str
    start: int
    increment: int
    last: int | None
    definition: str
    columns: tuple[tuple[int, str], ...]

    def behind(self, highest: int | None) -> bool:
        """Is the next value at or below the highest in use? Never for a descending sequence."""
        if highest is None or self.increment < 0:
            return False
        return self.start <= highest if self.last is None else self.last < highest


@dataclass(frozen=True)
class Catalogue:
    """All that the catalogue says."""

    server_version: int
    relations: tuple[Relation, ...]
    column_types: Mapping[int, Mapping[str, str]]
    """Of each relation that is no partition: column to type."""
    columns: Mapping[str, str]
    indexes: Mapping[str, str]
    constraints: Mapping[str, str]
    references: tuple[Reference, ...]
    counters: tuple[Counter, ...]
    extensions: Mapping[str, tuple[str, str]]
    """Name to version and schema."""
    schemas: frozenset[str]
    event_triggers: frozenset[str]
    routines: Mapping[str, str]
    operators: Mapping[str, str]
    revisions: tuple[str, ...] | None

    @functools.cached_property
    def pages(self) -> Mapping[int, int]:
        """The size of each table, a partitioned one's with its partitions."""
        found: dict[int, int] = {}
        for one in self.relations:
            found[one.root] = found.get(one.root, 0) + one.pages
        return found

    @functools.cached_property
    def counted(self) -> Mapping[int, tuple[str, ...]]:
        """Of each relation the columns that take from sequences."""
        found: dict[int, set[str]] = {}
        for counter in self.counters:
            for relation, column in counter.columns:
                found.setdefault(relation, set()).add(column)
        return {relation: tuple(sorted(columns)) for relation, columns in found.items()}


def read_catalogue(reader: Reader) -> Catalogue:
    """Read everything. Raises what ``Reader.rows`` raises."""
    relations = tuple(Relation(*row) for row in reader.rows(queries.RELATIONS, "list the tables"))
    types, columns = _columns(reader, {relation.oid: relation.label for relation in relations})
    surroundings = reader.rows(queries.SURROUNDINGS, "list schemas and event triggers")
    version = reader.rows("SELECT current_setting('server_version_num')::int", "tell its version")
    return Catalogue(
        server_version=version[0][0],
        relations=relations,
        column_types=types,
        columns=columns,
        indexes={
            label(schema, name): essence(definition) + ("" if valid else " INVALID")
            for schema, name, definition, valid in reader.rows(queries.INDEXES, "list the indexes")
        },
        constraints={
            f"{label(schema, table)}.{name}": essence(definition)
            for schema, table, name, definition in reader.rows(queries.CONSTRAINTS, "list the constraints")
        },
        references=tuple(
            Reference(f"{label(row[0], row[1])}.{row[2]}", *row[3:9], *map(tuple, row[9:]))
            for row in reader.rows(queries.FOREIGN_KEYS, "list the foreign keys")
        ),
        counters=_counters(reader),
        extensions={
            name: (version, schema)
            for name, version, schema in sorted(reader.rows(queries.EXTENSIONS, "list the extensions"))
        },
        schemas=frozenset(name for kind, name in surroundings if kind == "schema"),
        event_triggers=frozenset(name for kind, name in surroundings if kind == "event trigger"),
        routines={
            f"{kind} {label(schema, _at_home(name))}": essence(definition)
            for kind, schema, name, definition in reader.rows(queries.ROUTINES, "list functions, triggers and types")
        },
        operators={
            f"{kind} {label(schema, _at_home(name))}": essence(definition)
            for kind, schema, name, definition in reader.rows(OPERATORS, "list operators and casts")
        },
        revisions=_revisions(reader, relations),
    )


def label(schema: str, name: str) -> str:
    """The name of an object in checks and messages."""
    return name if schema == "public" else f"{schema}.{name}"


def essence(definition: str | None) -> str:
    """A definition without casts, brackets and spaces, and with extensions where they are today.

    PostgreSQL writes ``status IN ('a', 'b')`` over a ``varchar`` with its casts in one way before a dump and in
    another after the restore; the two mean the same.
    """
    bare = _CAST.sub("", (definition or "").replace(_EXTENSION_PREFIX, "public."))
    return re.sub(r"[()\s]", "", bare)


def _at_home(name: str) -> str:
    """A name with extensions' types in it, wherever Heroku keeps extensions today."""
    return name.replace(_EXTENSION_PREFIX, "public.")


def _columns(reader: Reader, labels: Mapping[int, str]) -> tuple[dict[int, dict[str, str]], dict[str, str]]:
    types: dict[int, dict[str, str]] = {}
    described: dict[str, str] = {}
    for oid, name, kind, not_null, generated, identity, default in reader.rows(queries.COLUMNS, "list the columns"):
        if oid not in labels:
            continue  # made between the two queries
        types.setdefault(oid, {})[name] = kind
        parts = (kind.replace(_EXTENSION_PREFIX, "public."), "not null" if not_null else "null", generated, identity)
        described[f"{labels[oid]}.{name}"] = " ".join([*parts, essence(default)])
    return types, described


def _counters(reader: Reader) -> tuple[Counter, ...]:
    users: dict[int, list[tuple[int, str]]] = {}
    for sequence, relation, column in reader.rows(
        queries.SEQUENCE_COLUMNS, "list the columns that take from sequences"
    ):
        users.setdefault(sequence, []).append((relation, column))
    return tuple(
        Counter(label(schema, name), start, increment, last, definition, tuple(users.get(oid, ())))
        for oid, schema, name, start, increment, last, definition in reader.rows(
            queries.SEQUENCES, "list the sequences"
        )
    )


def _revisions(reader: Reader, relations: tuple[Relation, ...]) -> tuple[str, ...] | None:
    from psycopg import sql

    tables = [one for one in relations if one.name == ALEMBIC_TABLE and one.kind == "r"]
    if not tables:
        return None
    found: set[str] = set()
    for table in tables:
        look = sql.SQL("SELECT version_num::text FROM {}").format(sql.Identifier(table.schema, table.name))
        found |= {str(row[0]) for row in reader.rows(look, "read the Alembic revision")}
    return tuple(sorted(found))
