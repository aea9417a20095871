"""What of a table's rows is compared, and how: shares of NULL and of empty, and each row's hash by its key.

Production decides what is looked at (``Shape``); the restored database is asked the same. All rows of a small table are
hashed. Of a large one a sample is, which its keys choose, so that both sides choose the same rows. The rows at both
ends of its key and of its time are always hashed. Hashes stay in memory: nothing shows them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from raxx_bcp.clients.postgres import Reader
from raxx_bcp.drills.heroku_postgres import content_queries as queries
from raxx_bcp.drills.heroku_postgres.catalogue import ALEMBIC_TABLE, Catalogue

CREATED: Final = frozenset(
    {
        "created",
        "created_at",
        "created_date",
        "created_on",
        "creation_date",
        "date_created",
        "inserted_at",
        "inserted_on",
    }
)
"""Columns that say when a row was made."""
CHANGED: Final = frozenset(
    {
        "changed_at",
        "changed_on",
        "date_modified",
        "date_updated",
        "last_modified",
        "last_modified_at",
        "modified",
        "modified_at",
        "modified_on",
        "updated",
        "updated_at",
        "updated_on",
    }
)
"""Columns that say when a row was last changed."""
WHOLE_BYTES: Final = 512 * 1024
"""All rows of a table up to this size, with what it stores out of line, are hashed."""
SAMPLE_BYTES: Final = 256 * 1024
"""At most this much of a larger one is: hashing rows is what costs most (benchmarks/verify_database.py)."""
END_ROWS: Final = 25
"""How many rows at each end of a large table's key and time are hashed whatever the sample chose."""
BEGUN: Final = timedelta(minutes=5)
"""A row whose time is up to this long before the backup's may be missing from the backup: its transaction was open."""
_PAGE_BYTES: Final = 8192
_MOMENTS: Final = frozenset({"timestamp with time zone", "timestamp without time zone"})
KEY_BYTES, HASH_BYTES = 8, 16
RECORD_BYTES: Final = KEY_BYTES + HASH_BYTES + 1


@dataclass(frozen=True)
class KeyColumn:
    """A column by which rows are told apart. ``hashed_as`` is ``int``, ``uuid`` or ``text``."""

    name: str
    hashed_as: str


@dataclass(frozen=True)
class Shape:
    """What is asked of one table. Both sides are asked the same, or nothing is compared."""

    columns: tuple[str, ...]
    """What a row's hash is made of."""
    key: tuple[KeyColumn, ...]
    """What its key is made of, and what chooses the sample."""
    unique: bool
    """Does the key tell rows apart? If not, a row's own hash does, and ``key`` only chooses the sample."""
    one_in: int
    """A power of two: how many rows one of the sample stands for."""
    nullable: tuple[str, ...]
    texts: tuple[str, ...]
    binaries: tuple[str, ...] = ()
    """Columns that can be empty without being NULL."""
    created: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    """Columns that say when a row was made, and when it was last changed."""
    ends: tuple[tuple[str, ...], ...] = ()
    """Orders, each kept by an index, whose first and last rows are always hashed."""


@dataclass(frozen=True)
class Content:
    """The result for one table: numbers, and hashes that nothing shows."""

    shape: Shape
    nulls: tuple[int, ...] = ()
    """NULLs in each of ``shape.nullable``."""
    empties: tuple[int, ...] = ()
    """The same of each of ``shape.texts`` and then ``shape.binaries``."""
    changed: int = 0
    """Rows whose own times say that they were made or changed after the backup started."""
    rows: Mapping[bytes, bytes] = field(repr=False, default_factory=dict)
    """Key to hash of the rows of the sample."""
    ends: Mapping[bytes, bytes] = field(repr=False, default_factory=dict)
    """The same of the rows at the ends."""
    since: frozenset[bytes] = field(repr=False, default_factory=frozenset)
    """The keys among them of rows made or changed after the backup began."""

    def with_part(self, other: Content) -> Content:
        """A partitioned table's rows are those of its partitions together."""
        return Content(
            self.shape,
            tuple(a + b for a, b in zip(self.nulls, other.nulls, strict=True)),
            tuple(a + b for a, b in zip(self.empties, other.empties, strict=True)),
            self.changed + other.changed,
            {**self.rows, **other.rows},
            {**self.ends, **other.ends},
            self.since | other.since,
        )


@dataclass(frozen=True)
class _Column:
    name: str
    kind: str
    is_text: bool
    is_binary: bool
    required: bool


def shapes_of(reader: Reader, catalogue: Catalogue) -> dict[int, Shape]:
    """Of each table that is no partition, by its oid. Raises what ``Reader.rows`` raises."""
    columns: dict[int, list[_Column]] = {}
    for oid, *column in reader.rows(queries.COLUMNS, "list the columns to compare"):
        columns.setdefault(oid, []).append(_Column(*column))
    keys: dict[int, tuple[str, ...]] = {}
    for oid, names in reader.rows(queries.KEYS, "list the keys of tables"):
        keys.setdefault(oid, tuple(names))
    ordered: dict[int, set[str]] = {}
    for oid, name in reader.rows(queries.ORDERED, "list the columns that indexes keep in order"):
        ordered.setdefault(oid, set()).add(name)
    sizes = dict(reader.rows(queries.SIZES, "tell the sizes of tables"))
    return {
        one.oid: _shape(columns[one.oid], keys.get(one.oid, ()), ordered.get(one.oid, set()), sizes.get(one.oid, 0))
        for one in catalogue.relations
        if one.kind in "rp" and one.oid in columns and not one.is_partition and one.name != ALEMBIC_TABLE
    }


def fitting(wanted: Mapping[str, Content], catalogue: Catalogue) -> dict[int, Shape]:
    """The shapes of ``wanted`` (by the table's label) by this database's oids, where it has all of the columns."""
    return {
        one.oid: wanted[one.label].shape
        for one in catalogue.relations
        if not one.is_partition
        and one.label in wanted
        and set(wanted[one.label].shape.columns) <= catalogue.column_types.get(one.oid, {}).keys()
    }


def content_of(shape: Shape, answer: Sequence[object]) -> Content:
    """From the values that ``content_statements.content`` asks for."""
    nulls, empties, changed, sample, ends = answer
    rows, since_sample = _records(shape, sample)
    outer, since_ends = _records(shape, ends)
    return Content(shape, _numbers(nulls), _numbers(empties), _number(changed), rows, outer, since_sample | since_ends)


def _shape(columns: Sequence[_Column], key: tuple[str, ...], ordered: set[str], size_bytes: int) -> Shape:
    kinds = {one.name: one.kind for one in columns}
    one_in = 1
    while size_bytes > WHOLE_BYTES and size_bytes > SAMPLE_BYTES * one_in:
        one_in *= 2
    moments = {name for name, kind in kinds.items() if kind in _MOMENTS}
    created = tuple(sorted(moments & CREATED))[:1]
    ends = [key, *((name,) for name in created if name in ordered)] if key and one_in > 1 else []
    return Shape(
        columns=tuple(sorted(kinds)),
        key=tuple(KeyColumn(name, _hashed_as(kinds[name])) for name in key or _told_apart_by(columns)),
        unique=bool(key),
        one_in=one_in,
        nullable=tuple(one.name for one in columns if not one.required),
        texts=tuple(one.name for one in columns if one.is_text),
        binaries=tuple(one.name for one in columns if one.is_binary),
        created=created,
        changed=tuple(sorted(moments & CHANGED)),
        ends=tuple(ends),
    )


def _told_apart_by(columns: Sequence[_Column]) -> tuple[str, ...]:
    """Where nothing is unique: a few columns that are cheap to hash, or the first ones."""
    cheap = [one.name for one in columns if _hashed_as(one.kind) != "text" or one.kind in _MOMENTS]
    return tuple((cheap or [one.name for one in columns])[:3])


def _hashed_as(kind: str) -> str:
    if kind in ("smallint", "integer", "bigint"):
        return "int"
    return "uuid" if kind == "uuid" else "text"


def _records(shape: Shape, packed: object) -> tuple[dict[bytes, bytes], frozenset[bytes]]:
    rows: dict[bytes, bytes] = {}
    later: set[bytes] = set()
    data = bytes(packed) if isinstance(packed, bytes | memoryview) else b""
    for start in range(0, len(data), RECORD_BYTES):
        found = data[start + KEY_BYTES : start + RECORD_BYTES - 1]
        key = data[start : start + KEY_BYTES] if shape.unique else _numbered(found, rows)
        rows[key] = found
        if data[start + RECORD_BYTES - 1]:
            later.add(key)
    return rows, frozenset(later)


def _numbered(found: bytes, rows: Mapping[bytes, bytes]) -> bytes:
    """Rows that nothing tells apart may exist several times."""
    number = 0
    while (key := found + number.to_bytes(4)) in rows:
        number += 1
    return key


def _numbers(value: object) -> tuple[int, ...]:
    return tuple(map(int, value)) if isinstance(value, list) else ()


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
