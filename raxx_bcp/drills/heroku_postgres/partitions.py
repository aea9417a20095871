"""The partitions of a database's tables: each is there, below its table and with its bounds.

Rows are counted by table, so the loss of an empty partition would not be seen, and the next row for it would be
refused. PostgreSQL does not say when a table was made. A partition that only production has counts as made since the
backup in two cases: its lower bound is a later time, or its own rows all say that they are from later.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from raxx_bcp.clients.postgres import Reader
from raxx_bcp.drills.engine.drill import CheckResult
from raxx_bcp.drills.heroku_postgres.catalogue import label
from raxx_bcp.drills.heroku_postgres.catalogue_queries import ours
from raxx_bcp.drills.heroku_postgres.messages import checked, listed
from raxx_bcp.evidence.row import CheckStatus

PARTITIONS: Final = "partitions"
_LOWER: Final = re.compile(r"FOR VALUES FROM \('([^']*)'\)")

_QUERY: Final = ours("""
SELECT c.oid::bigint, n.nspname, c.relname, pn.nspname, p.relname, pg_get_expr(c.relpartbound, c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_inherits i ON i.inhrelid = c.oid JOIN pg_class p ON p.oid = i.inhparent
JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE c.relkind IN ('r', 'p', 'f') AND c.relispartition AND OURS(pg_class, c)""")


@dataclass(frozen=True)
class Partition:
    """One partition: its place, and how many rows it has, and had at the backup where its rows tell."""

    parent: str
    bounds: str
    rows: int | None = None
    rows_then: int | None = None

    def made_after(self, moment: datetime) -> bool:
        """Was it made after ``moment``, by all that can be seen of it?"""
        lower = _LOWER.match(self.bounds)
        with contextlib.suppress(ValueError):
            begins = datetime.fromisoformat(lower.group(1)) if lower else None
            if begins is not None and (begins if begins.tzinfo else begins.replace(tzinfo=UTC)) > moment:
                return True
        return bool(self.rows) and self.rows_then == 0


def read_partitions(reader: Reader) -> dict[int, tuple[str, Partition]]:
    """By oid the label of each, and the partition without its rows. Raises what ``Reader.rows`` raises."""
    return {
        oid: (label(schema, name), Partition(label(above, parent), bounds or ""))
        for oid, schema, name, above, parent, bounds in reader.rows(_QUERY, "list the partitions")
    }


def compare_partitions(
    expected: Mapping[str, Partition], actual: Mapping[str, Partition], tables: set[str], as_of: datetime
) -> CheckResult:
    """``tables`` are on both sides. A missing partitioned table is not reported here."""
    there = {name: one for name, one in expected.items() if one.parent in tables | actual.keys()}
    if expected and not there:
        return CheckResult(PARTITIONS, f"{len(expected):,}", "", CheckStatus.NOT_RUN, "their tables are missing")
    absent = there.keys() - actual.keys()
    since = {name for name in absent if there[name].made_after(as_of)}
    moved = {
        name
        for name in there.keys() & actual.keys()
        if (there[name].parent, there[name].bounds) != (actual[name].parent, actual[name].bounds)
    }
    dropped = len(actual.keys() - expected.keys())
    told = f"{len(actual):,}"
    told += f"; {len(since):,} made since the backup, by their bounds or rows" if since else ""
    told += f"; {dropped:,} that production no longer has" if dropped else ""
    reasons = [listed("missing", absent - since), listed("with other bounds or below another table", moved)]
    return checked(PARTITIONS, f"{len(there):,}", told, reasons)
