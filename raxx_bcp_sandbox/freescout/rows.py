"""Rows as SQL: what the seed makes, as a script for an empty database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from raxx_bcp_sandbox.freescout import schema

Value = str | int | None
Rows = dict[str, list[dict[str, Value]]]

_ROWS_A_STATEMENT: Final = 200


@dataclass(frozen=True)
class AttachedFile:
    """One attachment as it is on disk: ``storage/app/attachment/{directory}{name}``."""

    directory: str
    name: str
    content: bytes = field(repr=False)


@dataclass
class HelpDesk:
    """All rows by table, and the attachments' files."""

    rows: Rows
    files: list[AttachedFile]
    version: str

    def statements(self) -> Iterator[bytes]:
        """The script that makes tables and rows in an empty database."""
        yield schema.ddl(self.version).encode() + b"\n"
        for table in schema.TABLES:
            yield from inserts(table, self.rows.get(table, []))


def inserts(table: str, rows: Sequence[dict[str, Value]]) -> Iterator[bytes]:
    """INSERT statements of at most 200 rows each."""
    for start in range(0, len(rows), _ROWS_A_STATEMENT):
        part = rows[start : start + _ROWS_A_STATEMENT]
        columns = ", ".join(f"`{name}`" for name in part[0])
        values = ",\n".join(f"({', '.join(literal(value) for value in row.values())})" for row in part)
        yield f"INSERT INTO `{table}` ({columns}) VALUES\n{values};\n".encode()


def literal(value: Value) -> str:
    """``value`` as SQL writes it."""
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    return "'" + value.translate(_ESCAPES) + "'"


_ESCAPES: Final = str.maketrans({"'": "\\'", "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\x00": "\\0", "\x1a": "\\Z"})
