"""Says what agrees between production and the restored database, as checks for the evidence row.

Reasons name objects and numbers, never a value. A check that has nothing to compare is NOT_RUN and says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from raxx_bcp.drills.engine.drill import CheckResult
from raxx_bcp.drills.heroku_postgres import content_compare as content
from raxx_bcp.drills.heroku_postgres import row_security as protection
from raxx_bcp.drills.heroku_postgres.alembic_history import RevisionHistory
from raxx_bcp.drills.heroku_postgres.allowance import Allowance, whole
from raxx_bcp.drills.heroku_postgres.catalogue import EXTENSION_SCHEMAS
from raxx_bcp.drills.heroku_postgres.facts import Facts, Table
from raxx_bcp.drills.heroku_postgres.large_objects import LARGE_OBJECTS, compare_large_objects
from raxx_bcp.drills.heroku_postgres.messages import checked as _checked
from raxx_bcp.drills.heroku_postgres.messages import few as _few
from raxx_bcp.drills.heroku_postgres.messages import listed as _listed
from raxx_bcp.drills.heroku_postgres.messages import objects as _objects
from raxx_bcp.drills.heroku_postgres.partitions import PARTITIONS, compare_partitions
from raxx_bcp.evidence.row import CheckStatus

OPERATORS: Final = "operators, casts, collations and text search"
CHECKS: Final = (
    "server version",
    "alembic revision",
    "tables",
    "columns",
    "indexes",
    "constraints",
    "sequences",
    "views",
    "functions, triggers and types",
    OPERATORS,
    "extensions",
    "row counts",
    "newest row",
    *content.CHECKS,
    PARTITIONS,
    LARGE_OBJECTS,
    *protection.CHECKS,
    "foreign keys",
    "sample readable",
)
"""Every check that ``compare`` makes, in its order."""
_NOTHING_SHARED: Final = "no table is on both sides"
_GAP_SECONDS: Final = 300.0
"""How much older than production's the newest restored row may be: a transaction was still writing."""


def compare(
    expected: Facts,
    actual: Facts,
    *,
    tolerance_ratio: float,
    revisions: tuple[str, ...] | None = None,
    history: RevisionHistory | None = None,
    allowance: Allowance | None = None,
) -> list[CheckResult]:
    """Every check of ``CHECKS``. ``expected`` is of production, ``actual`` of what was restored.

    ``tolerance_ratio`` is how far the number of a table's rows may be off. ``revisions`` are Alembic's heads to
    expect instead of production's; ``history`` tells which of two revisions is ahead. ``allowance`` is how much of
    a table's content may differ; None: nothing whose own time does not say why.
    """
    allowed = allowance or Allowance()
    shared = expected.tables.keys() & actual.tables.keys()
    partitions = expected.partitions.keys() & actual.partitions.keys()
    return [
        _server_version(expected, actual),
        _alembic(expected.revisions if revisions is None else revisions, actual.revisions, history),
        _objects("tables", dict.fromkeys(expected.tables, ""), dict.fromkeys(actual.tables, "")),
        _columns(expected, actual),
        _objects("indexes", _valid(expected.indexes), actual.indexes),
        _objects("constraints", expected.constraints, actual.constraints),
        _sequences(expected, actual),
        _objects("views", expected.views, actual.views),
        _objects("functions, triggers and types", expected.routines, actual.routines, extra_is_fine=True),
        _objects(OPERATORS, expected.operators, actual.operators, extra_is_fine=True),
        _extensions(expected, actual),
        _row_counts(expected, actual, tolerance_ratio, allowed.by_table),
        _newest_row(expected, actual),
        *content.compare_content(expected, actual, allowed),
        compare_partitions(expected.partitions, actual.partitions, shared, expected.as_of),
        compare_large_objects(expected.large_objects, actual.large_objects, allowed),
        *protection.compare_protection(expected.protection, actual.protection, shared | partitions),
        _foreign_keys(expected, actual),
        _sample(actual),
    ]


def _server_version(expected: Facts, actual: Facts) -> CheckResult:
    reason = "" if expected.major == actual.major else "create the throwaway database with production's major version"
    return _checked("server version", _version(expected), _version(actual), [reason])


def _version(facts: Facts) -> str:
    return f"{facts.major}.{facts.server_version % 10_000}"


def _alembic(
    expected: tuple[str, ...] | None, actual: tuple[str, ...] | None, history: RevisionHistory | None
) -> CheckResult:
    name = "alembic revision"
    if expected is None:
        return CheckResult(name, "", _heads(actual), CheckStatus.NOT_RUN, "production has no table alembic_version")
    if set(expected) == set(actual or ()) and expected:
        return CheckResult(name, _heads(expected), _heads(actual), CheckStatus.PASS)
    if not expected or not actual:
        reason = "no revision is recorded" if actual == () or not expected else "there is no table alembic_version"
    else:
        reason = (
            history.compared(expected, actual) if history else "no revision history was given to say which is ahead"
        )
    return CheckResult(name, _heads(expected), _heads(actual), CheckStatus.FAIL, reason)


def _heads(revisions: tuple[str, ...] | None) -> str:
    return ", ".join(revisions) if revisions else "none"


def _columns(expected: Facts, actual: Facts) -> CheckResult:
    """Only of what both have: its own check reports a missing table."""
    shared = (expected.tables.keys() | expected.views.keys()) & (actual.tables.keys() | actual.views.keys())
    if not shared:
        return CheckResult("columns", "", "", CheckStatus.NOT_RUN, _NOTHING_SHARED)
    return _objects("columns", _within(expected.columns, shared), _within(actual.columns, shared))


def _within(columns: Mapping[str, str], owners: Iterable[str]) -> dict[str, str]:
    owning = set(owners)
    return {name: one for name, one in columns.items() if name.rpartition(".")[0] in owning}


def _valid(indexes: Mapping[str, str]) -> dict[str, str]:
    """Without those that a failed CREATE INDEX CONCURRENTLY left invalid: pg_dump leaves them out."""
    return {name: definition for name, definition in indexes.items() if not definition.endswith(" INVALID")}


def _sequences(expected: Facts, actual: Facts) -> CheckResult:
    known = _objects(
        "sequences",
        {name: one.definition for name, one in expected.sequences.items()},
        {name: one.definition for name, one in actual.sequences.items()},
    )
    excused = {name for name, one in expected.sequences.items() if one.behind}
    behind = {name for name, one in actual.sequences.items() if one.behind} - excused
    return _checked("sequences", known.expected, known.actual, [known.reason, _listed("behind its column", behind)])


def _extensions(expected: Facts, actual: Facts) -> CheckResult:
    """Each is there in production's version, which pg_dump does not record, and where production has it."""
    missing = expected.extensions.keys() - actual.extensions.keys()
    shared = sorted(expected.extensions.keys() & actual.extensions.keys())
    differing = [extension_difference(name, expected, actual) for name in shared]
    reasons = [_listed("missing", missing), _few([one for one in differing if one])]
    return _checked("extensions", _versions(expected, expected.extensions), _versions(actual, shared), reasons)


def extension_difference(name: str, expected: Facts, actual: Facts) -> str:
    """How an extension that both have differs: its version, or its schema; empty: it does not.

    Heroku moves extensions between ``public`` and its own schema (changelogs 2446 and 2646): that is no difference.
    """
    there, here = expected.extensions[name], actual.extensions[name]
    if there != here:
        return f"{name} is {here} instead of {there} (in the older one: ALTER EXTENSION {name} UPDATE)"
    there, here = (facts.extension_schemas.get(name, "") for facts in (expected, actual))
    if there != here and not {there, here} <= EXTENSION_SCHEMAS:
        return f"{name} is in schema {here} instead of {there}"
    return ""


def _versions(facts: Facts, names: Iterable[str]) -> str:
    return ", ".join(f"{name} {facts.extensions[name]}" for name in sorted(names)) or "none"


def _row_counts(expected: Facts, actual: Facts, tolerance_ratio: float, by_table: Mapping[str, float]) -> CheckResult:
    shared = sorted(expected.tables.keys() & actual.tables.keys())
    counted = [name for name in shared if expected.tables[name].rows is not None]
    if not counted:
        return CheckResult("row counts", "", "", CheckStatus.NOT_RUN, _NOTHING_SHARED)
    then = sum(_then(expected.tables[name]) for name in counted)
    ratios = {name: max(tolerance_ratio, by_table.get(name, 0.0)) for name in counted}
    differing = list(_differing(expected, actual, ratios))
    return _checked(
        "row counts",
        f"{then:,} rows in {len(counted):,} tables, within {tolerance_ratio:.1%}",
        f"{sum(actual.tables[name].rows or 0 for name in counted):,} rows",
        [_few(differing)],
    )


def _differing(expected: Facts, actual: Facts, ratios: Mapping[str, float]) -> Iterator[str]:
    for name, ratio in ratios.items():
        there, here = expected.tables[name], actual.tables[name].rows
        then, now = _then(there), there.rows or 0
        if here is None:
            yield f"{name} could not be counted"
        elif (then and not here) or not _least(then, ratio) <= here <= _most(max(then, now), ratio):
            yield f"{name} has {here:,} rows instead of {then:,}"


def _then(table: Table) -> int:
    """The rows at the time of the backup, where production can tell them; otherwise the rows of now."""
    return (table.rows if table.rows_then is None else table.rows_then) or 0


def _least(rows: int, ratio: float) -> int:
    """The tolerance is never rounded up to a whole row: of a table of three rows, two are not enough."""
    return rows - whole(rows * ratio)


def _most(rows: int, ratio: float) -> int:
    return rows + whole(rows * ratio)


def _newest_row(expected: Facts, actual: Facts) -> CheckResult:
    """As new as what production had at the backup. No row is younger than the backup."""
    name, there, here = "newest row", expected.newest_utc, actual.newest_utc
    younger = [f"{table} has {count:,}" for table, count in actual.younger.items()]
    if there is None and here is None and not younger:
        reason = "no column tells when a row was made: name one in bcp.toml"
        return CheckResult(name, "", "", CheckStatus.NOT_RUN, reason)
    reasons = [f"rows are younger than the backup, so they do not come from it: {_few(younger)}"] if younger else []
    if there is not None and here is None:
        reasons.append("no row tells a time up to the backup's")
    elif there is not None and here is not None and (there - here).total_seconds() > _GAP_SECONDS:
        hours = (there - here).total_seconds() / 3600
        reasons.append(f"the newest row is {hours:.1f} hours older than production's was at the backup")
    return _checked(name, _newest(expected), _newest(actual), reasons)


def _newest(facts: Facts) -> str:
    if facts.newest_utc is None:
        return "none"
    return f"{facts.newest_utc:%Y-%m-%dT%H:%M:%SZ} ({facts.newest_in})"


def _foreign_keys(expected: Facts, actual: Facts) -> CheckResult:
    """Each is there, was validated, and no row is an orphan. A key that production has NOT VALID is accepted."""
    loose = {name for name, one in expected.foreign_keys.items() if not one.validated}
    missing = expected.foreign_keys.keys() - actual.foreign_keys.keys()
    judged = {name: one for name, one in actual.foreign_keys.items() if name not in loose}
    orphans = [f"{name} has {one.orphans:,}" for name, one in sorted(judged.items()) if one.orphans]
    damaged = {name for name, one in judged.items() if one.damage}
    unproved = {name for name, one in judged.items() if not one.validated}
    valid = len(actual.foreign_keys) - len(damaged | unproved | {one for one in judged if judged[one].orphans})
    reasons = [
        _listed("missing", missing),
        _listed("not validated", unproved),
        f"rows point nowhere: {_few(orphans)}" if orphans else "",
        _listed("could not be read", damaged),
    ]
    sampled = sum(one.sampled for one in actual.foreign_keys.values())
    how = f", {sampled:,} of them proved again by a sample of their rows" if sampled else ""
    return _checked("foreign keys", f"{len(expected.foreign_keys):,} valid", f"{valid:,} valid{how}", reasons)


def _sample(actual: Facts) -> CheckResult:
    filled = {name: one for name, one in actual.tables.items() if one.rows or one.damage}
    damaged = [f"{name}: {one.damage}" for name, one in sorted(filled.items()) if one.damage]
    unread = {name for name, one in filled.items() if not one.damage and not one.sampled}
    if not filled:
        return CheckResult("sample readable", "", "", CheckStatus.NOT_RUN, "there is no row to read")
    read = sum(one.sampled or 0 for one in filled.values())
    good = len(filled) - len(damaged) - len(unread)
    reasons = [_few(damaged), _listed("no row could be read", unread)]
    return _checked("sample readable", f"rows of {len(filled):,} tables", f"{read:,} rows of {good:,} tables", reasons)
