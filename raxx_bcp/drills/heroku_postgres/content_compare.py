"""Says whether the rows of a restored database are production's: counts are not content.

Only three things excuse a difference: the row's own time after the backup started, the policy for its table, or the
share that an ordinary day changes. The check reports what was excused by which. It shows no hash and no value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from raxx_bcp.drills.engine.drill import CheckResult
from raxx_bcp.drills.heroku_postgres.allowance import Allowance
from raxx_bcp.drills.heroku_postgres.content import Content
from raxx_bcp.drills.heroku_postgres.facts import Facts
from raxx_bcp.drills.heroku_postgres.messages import few
from raxx_bcp.evidence.row import CheckStatus

VALUES: Final = "null and empty values"
ROWS: Final = "row content"
CHECKS: Final = (VALUES, ROWS)


def compare_content(expected: Facts, actual: Facts, allowance: Allowance) -> list[CheckResult]:
    """The checks of ``CHECKS``. The checks of tables and columns report what is missing as a whole."""
    pairs = {
        table: (there, here)
        for table, there in expected.contents.items()
        if (here := actual.contents.get(table)) and here.shape == there.shape
    }
    if not pairs:
        reason = "no table is on both sides with the same columns"
        return [CheckResult(name, "", "", CheckStatus.NOT_RUN, reason) for name in CHECKS]
    return [_values(expected, actual, pairs, allowance), _rows(expected, actual, pairs, allowance)]


_Pairs = Mapping[str, tuple[Content, Content]]


def _values(expected: Facts, actual: Facts, pairs: _Pairs, allowance: Allowance) -> CheckResult:
    columns = sum(len(there.nulls) + len(there.empties) for there, _here in pairs.values())
    if not columns:
        return CheckResult(VALUES, "", "", CheckStatus.NOT_RUN, "no column of any table can be NULL or empty")
    wrong: list[str] = []
    for table, (there, here) in sorted(pairs.items()):
        then, now = expected.tables[table].rows or 0, actual.tables[table].rows or 0
        explained = there.changed + abs(then - now) + allowance.rows(table, max(then, now))
        wrong += _shifted(table, there, here, explained)
    status = CheckStatus.FAIL if wrong else CheckStatus.PASS
    same = f"{columns - len(wrong):,} columns alike"
    return CheckResult(VALUES, f"{columns:,} columns of {len(pairs):,} tables", same, status, few(wrong))


def _shifted(table: str, there: Content, here: Content, explained: int) -> Iterator[str]:
    shape = there.shape
    for what, names, before, after in (
        ("NULL", shape.nullable, there.nulls, here.nulls),
        ("empty", (*shape.texts, *shape.binaries), there.empties, here.empties),
    ):
        for name, then, now in zip(names, before, after, strict=True):
            if abs(then - now) > explained:
                yield f"{table}.{name} is {what} in {now:,} rows instead of {then:,}"


@dataclass(frozen=True)
class _Found:
    """How the rows of one table compare, in numbers."""

    compared: int
    changed_since: int
    """Excused by their own times."""
    different: int
    missing: int
    extra: int

    @property
    def unexplained(self) -> int:
        return self.different + self.missing + self.extra

    def beyond(self, allowed: int) -> bool:
        return max(self.different, self.missing, self.extra) > allowed

    def said(self, table: str) -> str:
        parts = [
            f"{self.different:,} of {self.compared:,} rows differ" if self.different else "",
            f"{self.missing:,} are missing" if self.missing else "",
            f"{self.extra:,} are not production's" if self.extra else "",
        ]
        return f"{table}: {', '.join(part for part in parts if part)}"


def _rows(expected: Facts, actual: Facts, pairs: _Pairs, allowance: Allowance) -> CheckResult:
    found = {table: _compared(there, here) for table, (there, here) in sorted(pairs.items())}
    wrong = {table for table, one in found.items() if one.beyond(allowance.rows(table, one.compared))}
    by_policy = sum(one.unexplained for table, one in found.items() if table in allowance.by_table.keys() - wrong)
    by_rate = sum(one.unexplained for table, one in found.items() if table not in allowance.by_table.keys() | wrong)
    compared = sum(one.compared for one in found.values())
    since = sum(one.changed_since for one in found.values())
    same = compared - since - sum(one.different + one.missing + one.extra for one in found.values())
    samples = sum(there.shape.one_in > 1 for there, _here in pairs.values())
    left = sorted(expected.contents.keys() & actual.tables.keys() - pairs.keys())
    if not compared:
        return CheckResult(ROWS, "", "", CheckStatus.NOT_RUN, "there is no row to compare")
    return CheckResult(
        ROWS,
        f"{compared:,} rows by their keys: all rows of {len(pairs) - samples:,} tables, a sample of {samples:,}",
        f"{same:,} the same; excused: {since:,} by their own times after the backup, {by_rate:,} by what an ordinary "
        f"day changes (up to {allowance.ratio:.1%} of a table), {by_policy:,} by the policy for their tables"
        + (f"; not compared, since their columns differ: {few(left)}" if left else ""),
        CheckStatus.FAIL if wrong else CheckStatus.PASS,
        few([found[table].said(table) for table in sorted(wrong)], "; "),
    )


def _compared(there: Content, here: Content) -> _Found:
    """``there`` is production, ``here`` the restored. The ends are compared where both have them."""
    ends = {key for key in there.ends.keys() & here.ends.keys() if key not in there.rows}
    both = [(key, there.rows[key], here.rows[key]) for key in there.rows.keys() & here.rows.keys()]
    both += [(key, there.ends[key], here.ends[key]) for key in ends]
    differing = {key for key, before, after in both if before != after}
    gone = there.rows.keys() - here.rows.keys()
    extra = len(here.rows.keys() - there.rows.keys())
    newer = gone & there.since
    if not there.shape.unique:  # a changed row is there under its old hash and gone under its new one
        extra -= min(extra, len(newer))
    return _Found(
        compared=len(both) + len(gone) + extra,
        changed_since=len(differing & there.since) + len(newer),
        different=len(differing - there.since),
        missing=len(gone - newer),
        extra=extra,
    )
