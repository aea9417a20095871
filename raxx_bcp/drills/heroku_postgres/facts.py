"""What is known of one PostgreSQL database: names, definitions and numbers, never a value of a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from raxx_bcp.drills.heroku_postgres.content import Content
from raxx_bcp.drills.heroku_postgres.large_objects import LargeObjects
from raxx_bcp.drills.heroku_postgres.partitions import Partition
from raxx_bcp.drills.heroku_postgres.row_security import Protection


@dataclass(frozen=True)
class Table:
    """One table; a partitioned one with its partitions together. ``rows`` is None where it was not counted."""

    rows: int | None = None
    rows_then: int | None = None
    """The rows that were there at the moment of the backup, where the table says when each was created."""
    sampled: int | None = None
    """How many rows were read whole; None: not tried."""
    damage: str = ""
    """Why it could not be read; empty: it could."""


@dataclass(frozen=True)
class Sequence:
    """One sequence. ``behind`` is True when its next value is in use already in a column that takes from it."""

    definition: str
    behind: bool = False


@dataclass(frozen=True)
class ForeignKey:
    """One foreign key: ``orphans`` are rows that point nowhere; None: not looked for."""

    validated: bool
    orphans: int | None = None
    damage: str = ""
    sampled: bool = False
    """Were not all of its rows looked at?"""


@dataclass(frozen=True)
class Facts:
    """A database at one moment. Keys are names without the schema ``public``; values are definitions."""

    server_version: int
    """PostgreSQL's ``server_version_num``, such as 170004."""
    as_of: datetime
    """The moment of the backup, as it was told."""
    revisions: tuple[str, ...] | None
    """Alembic's heads, sorted; None: there is no ``alembic_version``."""
    tables: Mapping[str, Table]
    columns: Mapping[str, str] = field(repr=False, default_factory=dict)
    indexes: Mapping[str, str] = field(repr=False, default_factory=dict)
    constraints: Mapping[str, str] = field(repr=False, default_factory=dict)
    sequences: Mapping[str, Sequence] = field(repr=False, default_factory=dict)
    views: Mapping[str, str] = field(repr=False, default_factory=dict)
    routines: Mapping[str, str] = field(repr=False, default_factory=dict)
    """Functions, triggers and types."""
    operators: Mapping[str, str] = field(repr=False, default_factory=dict)
    """Operators, casts, collations, and configurations and dictionaries of text search."""
    extensions: Mapping[str, str] = field(default_factory=dict)
    """Extension to its version."""
    extension_schemas: Mapping[str, str] = field(default_factory=dict)
    """Extension to the schema that it is in."""
    schemas: frozenset[str] = frozenset()
    event_triggers: frozenset[str] = frozenset()
    """Heroku's own: nobody else may make one."""
    foreign_keys: Mapping[str, ForeignKey] = field(repr=False, default_factory=dict)
    newest_utc: datetime | None = None
    """The newest row that is not younger than the backup; None: no column tells."""
    newest_in: str = ""
    """The ``table.column`` that told."""
    contents: Mapping[str, Content] = field(repr=False, default_factory=dict)
    """What was hashed of each table's rows."""
    partitions: Mapping[str, Partition] = field(default_factory=dict)
    large_objects: LargeObjects = field(default_factory=LargeObjects)
    protection: Protection = field(default_factory=Protection)
    younger: Mapping[str, int] = field(default_factory=dict)
    """Rows by table that are younger than the backup, and not in the future."""

    @property
    def major(self) -> int:
        """PostgreSQL's major version."""
        return self.server_version // 10_000

    @property
    def rows(self) -> int:
        """Every counted row."""
        return sum(table.rows or 0 for table in self.tables.values())
