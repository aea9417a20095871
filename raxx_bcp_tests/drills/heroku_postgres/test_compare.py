"""What agrees and what does not, without a database: the numbers' edges, and definitions that mean the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raxx_bcp.drills.engine.drill import CheckResult
from raxx_bcp.drills.heroku_postgres.catalogue import Counter, essence
from raxx_bcp.drills.heroku_postgres.database import CHECKS, Facts, compare
from raxx_bcp.drills.heroku_postgres.facts import ForeignKey, Sequence, Table
from raxx_bcp.evidence.row import CheckStatus

AS_OF = datetime(2024, 6, 1, 6, 0, tzinfo=UTC)
PASS, FAIL, NOT_RUN = CheckStatus.PASS, CheckStatus.FAIL, CheckStatus.NOT_RUN


def facts(**changed: Any) -> Facts:
    return replace(
        Facts(
            server_version=170004,
            as_of=AS_OF,
            revisions=("9f",),
            tables={"orders": Table(rows=100, sampled=100)},
            columns={"orders.id": "integer not null"},
            newest_utc=AS_OF - timedelta(hours=1),
            newest_in="orders.created_at",
        ),
        **changed,
    )


def result(name: str, expected: Facts, actual: Facts, ratio: float = 0.05, **named: Any) -> CheckResult:
    found = {one.name: one for one in compare(expected, actual, tolerance_ratio=ratio, **named)}
    assert tuple(found) == CHECKS
    return found[name]


def counts(there: Table, here: int | None, ratio: float = 0.05) -> CheckResult:
    return result("row counts", facts(tables={"orders": there}), facts(tables={"orders": Table(rows=here)}), ratio)


@pytest.mark.parametrize(
    ("there", "here", "ratio", "status"),
    [
        (Table(rows=100), 100, 0.0, PASS),
        (Table(rows=100), 99, 0.0, FAIL),
        (Table(rows=100), 101, 0.0, FAIL),
        (Table(rows=100), 95, 0.05, PASS),
        (Table(rows=100), 94, 0.05, FAIL),
        (Table(rows=100), 105, 0.05, PASS),
        (Table(rows=100), 106, 0.05, FAIL),
        (Table(rows=0), 0, 0.0, PASS),
        (Table(rows=0), 1, 0.5, FAIL),
        (Table(rows=1), 0, 1.0, FAIL),
        (Table(rows=3), 2, 0.05, FAIL),
        (Table(rows=40), 38, 0.05, PASS),
        (Table(rows=150, rows_then=100), 100, 0.0, PASS),
        (Table(rows=150, rows_then=100), 99, 0.0, FAIL),
        (Table(rows=150, rows_then=100), 150, 0.0, PASS),
        (Table(rows=150, rows_then=100), 151, 0.0, FAIL),
        (Table(rows=5, rows_then=0), 0, 0.0, PASS),
        (Table(rows=5, rows_then=1), 0, 1.0, FAIL),
        (Table(rows=80, rows_then=80), 100, 0.05, FAIL),
        (Table(rows=100), None, 1.0, FAIL),
    ],
)
def test_how_far_a_table_may_be_off(there: Table, here: int | None, ratio: float, status: CheckStatus) -> None:
    assert counts(there, here, ratio).status is status


@given(rows=st.integers(0, 10**9), ratio=st.floats(0, 0.5))
def test_the_same_number_always_passes_and_half_of_it_never(rows: int, ratio: float) -> None:
    assert counts(Table(rows=rows), rows, ratio).status is PASS
    if rows > 4 and ratio < 0.25:
        assert counts(Table(rows=rows), rows // 2, ratio).status is FAIL


def test_the_first_few_tables_are_named_with_both_numbers() -> None:
    there = {f"t{number}": Table(rows=2000) for number in range(8)}
    here = {name: Table(rows=1000) for name in there}
    found = result("row counts", facts(tables=there), facts(tables=here))
    assert found.reason.startswith("t0 has 1,000 rows instead of 2,000, t1 has")
    assert found.reason.endswith("t4 has 1,000 rows instead of 2,000 and 3 more")
    assert (found.expected, found.actual) == ("16,000 rows in 8 tables, within 5.0%", "8,000 rows")


@pytest.mark.parametrize(
    ("expected", "actual", "status"),
    [(170004, 170009, PASS), (170004, 160009, FAIL), (170004, 180000, FAIL)],
)
def test_the_major_version_is_productions(expected: int, actual: int, status: CheckStatus) -> None:
    found = result("server version", facts(server_version=expected), facts(server_version=actual))
    assert (found.status, found.expected) == (status, "17.4")


@pytest.mark.parametrize(
    ("expected", "actual", "status"),
    [
        (("a",), ("a",), PASS),
        (("a", "b"), ("b", "a"), PASS),
        (("a", "b"), ("a",), FAIL),
        (("a",), ("b",), FAIL),
        (("a",), None, FAIL),
        (("a",), (), FAIL),
        ((), (), FAIL),
        (None, ("a",), NOT_RUN),
        (None, None, NOT_RUN),
    ],
)
def test_alembics_heads(expected: Any, actual: Any, status: CheckStatus) -> None:
    found = result("alembic revision", facts(revisions=expected), facts(revisions=actual))
    assert found.status is status
    assert bool(found.reason) is (status is not PASS)


@pytest.mark.parametrize(
    ("there", "here", "status"),
    [
        (AS_OF, AS_OF, PASS),
        (AS_OF, AS_OF - timedelta(minutes=4), PASS),
        (AS_OF, AS_OF - timedelta(minutes=6), FAIL),
        (AS_OF - timedelta(days=3), AS_OF, PASS),
        (AS_OF, None, FAIL),
        (None, AS_OF, PASS),
        (None, None, NOT_RUN),
    ],
)
def test_the_newest_row(there: datetime | None, here: datetime | None, status: CheckStatus) -> None:
    assert result("newest row", facts(newest_utc=there), facts(newest_utc=here)).status is status


def test_rows_younger_than_the_backup_do_not_come_from_it() -> None:
    found = result("newest row", facts(), facts(younger={"orders": 1200}))
    assert found.reason == "rows are younger than the backup, so they do not come from it: orders has 1,200"
    assert result("newest row", facts(newest_utc=None), facts(newest_utc=None, younger={"orders": 1})).status is FAIL


@pytest.mark.parametrize(
    ("there", "here", "status"),
    [
        (ForeignKey(validated=True), ForeignKey(validated=True, orphans=0), PASS),
        (ForeignKey(validated=True), ForeignKey(validated=True), PASS),
        (ForeignKey(validated=True), ForeignKey(validated=True, orphans=1), FAIL),
        (ForeignKey(validated=True), ForeignKey(validated=False, orphans=0), FAIL),
        (ForeignKey(validated=True), ForeignKey(validated=True, damage="XX001"), FAIL),
        (ForeignKey(validated=True), None, FAIL),
        (ForeignKey(validated=False), ForeignKey(validated=False, orphans=7), PASS),
    ],
)
def test_foreign_keys(there: ForeignKey, here: ForeignKey | None, status: CheckStatus) -> None:
    actual = facts(foreign_keys={"orders.fk": here} if here else {})
    assert result("foreign keys", facts(foreign_keys={"orders.fk": there}), actual).status is status


def test_what_is_broken_in_production_too_is_not_the_restores_fault() -> None:
    behind = facts(sequences={"ids": Sequence("bigint", behind=True)})
    assert result("sequences", behind, behind).status is PASS
    assert result("sequences", facts(sequences={"ids": Sequence("bigint")}), behind).reason == "behind its column: ids"
    invalid = facts(indexes={"good": "CREATE", "bad": "CREATE INVALID"})
    assert result("indexes", invalid, facts(indexes={"good": "CREATE"})).status is PASS


@pytest.mark.parametrize(
    ("here", "reason"),
    [
        ({"hstore": ("1.8", "public"), "plpgsql": ("1.0", "pg_catalog")}, ""),
        ({"hstore": ("1.8", "heroku_ext"), "plpgsql": ("1.0", "pg_catalog"), "other": ("1", "public")}, ""),
        ({"plpgsql": ("1.0", "pg_catalog")}, "missing: hstore"),
        (
            {"hstore": ("1.7", "public"), "plpgsql": ("1.0", "pg_catalog")},
            "hstore is 1.7 instead of 1.8 (in the older one: ALTER EXTENSION hstore UPDATE)",
        ),
        (
            {"hstore": ("1.9", "public"), "plpgsql": ("1.0", "pg_catalog")},
            "hstore is 1.9 instead of 1.8 (in the older one: ALTER EXTENSION hstore UPDATE)",
        ),
        (
            {"hstore": ("1.8", "audit"), "plpgsql": ("1.0", "pg_catalog")},
            "hstore is in schema audit instead of public",
        ),
    ],
)
def test_extensions_may_be_more_but_not_missing_nor_others(here: dict[str, tuple[str, str]], reason: str) -> None:
    there = {"hstore": ("1.8", "public"), "plpgsql": ("1.0", "pg_catalog")}
    found = result("extensions", facts(**_extensions(there)), facts(**_extensions(here)))
    assert (found.status, found.reason) == (FAIL if reason else PASS, reason)


def _extensions(made: dict[str, tuple[str, str]]) -> dict[str, dict[str, str]]:
    return {
        "extensions": {name: version for name, (version, _schema) in made.items()},
        "extension_schemas": {name: schema for name, (_version, schema) in made.items()},
    }


@pytest.mark.parametrize(
    ("table", "status"),
    [
        (Table(rows=5, sampled=5), PASS),
        (Table(rows=5, sampled=0), FAIL),
        (Table(damage="PostgreSQL cannot read"), FAIL),
        (Table(rows=0, sampled=0), NOT_RUN),
        (Table(), NOT_RUN),
    ],
)
def test_a_sample_of_every_table_was_read(table: Table, status: CheckStatus) -> None:
    assert result("sample readable", facts(), facts(tables={"orders": table})).status is status


# Definitions

BEFORE_A_DUMP = "CHECK (((state)::text = ANY ((ARRAY['new'::character varying, 'old'::character varying])::text[])))"
AFTER_A_RESTORE = (
    "CHECK (((state)::text = ANY (ARRAY[('new'::character varying)::text, ('old'::character varying)::text])))"
)


def test_a_check_that_postgresql_writes_otherwise_after_a_restore_is_the_same() -> None:
    assert essence(BEFORE_A_DUMP) == essence(AFTER_A_RESTORE)
    assert essence(BEFORE_A_DUMP) != essence(BEFORE_A_DUMP.replace("'old'", "'odd'"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("'new'::character varying(8)", "'new'"),
        ("'{}'::text[]", "'{}'"),
        ("'0'::numeric(10,2)", "'0'"),
        ("now()::timestamp without time zone", "now()"),
        ("heroku_ext.uuid_generate_v4()", "public.uuid_generate_v4()"),
        ("'a=>1'::heroku_ext.hstore", "'a=>1'::public.hstore"),
        ('\'x\'::"My Schema"."My Type"', "'x'"),
    ],
)
def test_definitions_that_mean_the_same(one: str, other: str) -> None:
    assert essence(one) == essence(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("(total >= 0)", "(total > 0)"),
        ("CREATE INDEX i ON public.t USING btree (a, b)", "CREATE INDEX i ON public.t USING btree (b, a)"),
        ("CREATE INDEX i ON public.t USING btree (a)", "CREATE UNIQUE INDEX i ON public.t USING btree (a)"),
        ("FOREIGN KEY (a) REFERENCES public.t(id)", "FOREIGN KEY (a) REFERENCES public.t(id) ON DELETE CASCADE"),
        ("FOREIGN KEY (a) REFERENCES public.t(id)", "FOREIGN KEY (a) REFERENCES public.t(id) NOT VALID"),
    ],
)
def test_definitions_that_do_not(one: str, other: str) -> None:
    assert essence(one) != essence(other)


@pytest.mark.parametrize(
    ("increment", "last", "highest", "behind"),
    [
        (1, 10, 10, False),
        (1, 9, 10, True),
        (1, 500, 10, False),
        (1, None, None, False),
        (1, 5, None, False),
        (1, None, 1, True),
        (1, None, 0, False),
        (-1, 1, 10, False),
    ],
)
def test_when_a_sequence_is_behind(increment: int, last: int | None, highest: int | None, behind: bool) -> None:  # noqa: FBT001
    assert Counter("ids", 1, increment, last, "bigint", ()).behind(highest) is behind
