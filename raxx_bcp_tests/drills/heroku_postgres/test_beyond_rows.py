"""What a restore can lose without losing a row of a table: policies, empty partitions, large objects."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from raxx_bcp.drills.heroku_postgres.allowance import Allowance
from raxx_bcp.drills.heroku_postgres.large_objects import LargeObjects, compare_large_objects
from raxx_bcp.drills.heroku_postgres.partitions import Partition, compare_partitions
from raxx_bcp.drills.heroku_postgres.row_security import Protection, compare_protection
from raxx_bcp.evidence.row import CheckStatus
from raxx_bcp_sandbox.heroku.tenants import SCHEMA as TENANTS
from raxx_bcp_tests.drills.heroku_postgres.contents import DAY, EXACTLY, Contents, contents, failed

AS_OF = datetime(2024, 6, 1, 6, 0, tzinfo=UTC)
PASS, FAIL = CheckStatus.PASS, CheckStatus.FAIL


@pytest.fixture(scope="module")
def world() -> Iterator[Contents]:
    with contents(TENANTS) as made:
        yield made


def test_a_healthy_restore_has_them_all_and_says_how_many(world: Contents) -> None:
    checks = world.checks(allowance=EXACTLY)
    assert failed(checks) == {}
    told = {name: (one.expected, one.actual) for name, one in checks.items()}
    assert told["row security"] == ("1 tables with row-level security, 2 policies",) * 2
    assert told["partitions"] == ("2", "2")
    assert told["large objects"][0] == "4 with 640,000 bytes"
    assert told["large objects"][1].startswith("4 with 640,000 bytes; excused: 0 ")
    assert told["comments and column privileges"] == (
        "2 comments, 2 columns with own privileges",
        "2 and 0 came back; recorded only",
    )


BROKEN = {
    "row-level security is off": (
        "ALTER TABLE tenants.documents DISABLE ROW LEVEL SECURITY",
        {"row security": "row-level security, missing: tenants.documents"},
    ),
    "a policy is lost": (
        "DROP POLICY own_documents ON tenants.documents",
        {"row security": "policies, missing: tenants.documents.own_documents"},
    ),
    "a policy lets all pass": (
        "ALTER POLICY own_documents ON tenants.documents USING (true)",
        {"row security": "policies, different: tenants.documents.own_documents"},
    ),
    "a restriction has become a permission": (
        (
            "DROP POLICY no_moving ON tenants.documents;"
            " CREATE POLICY no_moving ON tenants.documents FOR UPDATE USING (true)"
            " WITH CHECK (organisation_id = current_setting('app.organisation', true)::bigint)"
        ),
        {"row security": "policies, different: tenants.documents.no_moving"},
    ),
    "a policy is for other roles": (
        "ALTER POLICY own_documents ON tenants.documents TO CURRENT_USER",
        {"row security": "policies, different: tenants.documents.own_documents"},
    ),
    "an empty partition is lost": ("DROP TABLE tenants.usage_2019", {"partitions": "missing: tenants.usage_2019"}),
    "a partition has other bounds": (
        (
            "ALTER TABLE tenants.usage DETACH PARTITION tenants.usage_2019; ALTER TABLE tenants.usage ATTACH PARTITION"
            " tenants.usage_2019 FOR VALUES FROM ('2018-01-01') TO ('2019-01-01')"
        ),
        {"partitions": "with other bounds or below another table: tenants.usage_2019"},
    ),
    "a partition has become a table": (
        "ALTER TABLE tenants.usage DETACH PARTITION tenants.usage_2019",
        {
            "tables": "not in production: tenants.usage_2019",
            "partitions": "missing: tenants.usage_2019",
            "indexes": "",
            "constraints": "",
        },
    ),
    "all large objects are lost": (
        "SELECT lo_unlink(oid) FROM pg_largeobject_metadata",
        {"large objects": "4 are missing"},
    ),
    "one large object is cut": (
        "SELECT lo_truncate(lo_open(min(oid), 131072), 10) FROM pg_largeobject_metadata",
        {"large objects": "1 of 4 differ"},
    ),
    "one large object is another": (
        "SELECT lo_put(min(oid), 5, 'other') FROM pg_largeobject_metadata",
        {"large objects": "1 of 4 differ"},
    ),
    "a large object too many": ("SELECT lo_from_bytea(1, 'x')", {"large objects": "1 are not production's"}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_lost_fails_by_name(world: Contents, name: str) -> None:
    damage, wrong = BROKEN[name]
    found = failed(world.checks([damage]))
    assert found.keys() == wrong.keys(), found
    assert all(found[check].startswith(reason) for check, reason in wrong.items()), found


def test_what_production_made_since_the_backup_is_no_loss(world: Contents) -> None:
    since = (
        "CREATE TABLE tenants.usage_2025 PARTITION OF tenants.usage FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
        "SELECT lo_from_bytea(0, 'new')",
        "COMMENT ON TABLE tenants.countries IS 'new'",
    )
    checks = world.checks(since=since, allowance=DAY)
    assert failed(checks) == {}
    assert checks["partitions"].actual == "2; 1 made since the backup, by their bounds or rows"
    assert "excused: 1 by" in checks["large objects"].actual
    assert checks["comments and column privileges"].actual == "2 and 0 came back; recorded only"


def test_a_partition_that_production_dropped_since_is_no_failure(world: Contents) -> None:
    checks = world.checks(since=["DROP TABLE tenants.usage_2019"])
    assert failed(checks) == {}
    assert checks["partitions"].actual == "2; 1 that production no longer has"


@pytest.mark.parametrize(
    ("partition", "status"),
    [
        (Partition("t", "FOR VALUES FROM ('2024-07-01') TO ('2024-08-01')"), PASS),
        (Partition("t", "FOR VALUES FROM ('2024-06-01 06:00:01+00') TO (MAXVALUE)"), PASS),
        (Partition("t", "FOR VALUES FROM ('2024-06-01 06:00:00+00') TO (MAXVALUE)"), FAIL),
        (Partition("t", "FOR VALUES FROM ('2024-06-01') TO ('2024-06-02')"), FAIL),
        (Partition("t", "FOR VALUES IN ('2024-07-01')"), FAIL),
        (Partition("t", "FOR VALUES FROM ('x') TO ('y')"), FAIL),
        (Partition("t", "FOR VALUES FROM (1000) TO (2000)", rows=0, rows_then=0), FAIL),
        (Partition("t", "FOR VALUES FROM (1000) TO (2000)", rows=9, rows_then=0), PASS),
        (Partition("t", "FOR VALUES FROM (1000) TO (2000)", rows=9, rows_then=1), FAIL),
        (Partition("t", "FOR VALUES FROM (1000) TO (2000)", rows=9), FAIL),
        (Partition("t", "DEFAULT"), FAIL),
    ],
)
def test_when_a_partition_that_only_production_has_was_made_since(partition: Partition, status: CheckStatus) -> None:
    assert compare_partitions({"p": partition}, {}, {"t"}, AS_OF).status is status


def test_partitions_of_a_missing_table_are_told_by_the_table() -> None:
    there = {"p": Partition("t", "DEFAULT"), "q": Partition("p", "DEFAULT")}
    assert compare_partitions(there, {}, set(), AS_OF).status is CheckStatus.NOT_RUN
    assert compare_partitions(there, {}, {"t"}, AS_OF).reason == "missing: p"
    assert compare_partitions(there, {"p": there["p"]}, {"t"}, AS_OF).reason == "missing: q"
    assert compare_partitions({}, {}, set(), AS_OF - timedelta(days=1)).status is PASS


def test_row_security_of_missing_tables_is_told_by_the_tables() -> None:
    there = Protection(tables={"t": "on"}, policies={"t": {"own": "r"}})
    found = compare_protection(there, Protection(), set())[0]
    assert (found.status, found.reason) == (CheckStatus.NOT_RUN, "the tables that have it are missing")
    assert compare_protection(there, Protection(), {"t"})[0].status is FAIL
    assert compare_protection(Protection(), Protection(), set())[0].status is PASS


def objects(*oids: int, size: int = 1) -> LargeObjects:
    return LargeObjects(len(oids), max(oids, default=0), sample=dict.fromkeys(oids, (size, b"h")))


@pytest.mark.parametrize(
    ("there", "here", "status"),
    [
        (objects(), objects(), PASS),
        (objects(1, 2), objects(1, 2), PASS),
        (objects(1, 2), objects(), FAIL),
        (objects(1, 2), objects(2), FAIL),
        (objects(*range(1, 21)), objects(*range(1, 20)), PASS),
        (objects(*range(1, 31)), objects(*range(1, 16)), FAIL),
        (objects(*range(1, 41)), objects(*range(2, 41)), PASS),
        (objects(1, 2), objects(1, 2, size=2), FAIL),
        (objects(1), LargeObjects(damage="it cannot be read"), FAIL),
    ],
)
def test_how_many_large_objects_may_be_off(there: LargeObjects, here: LargeObjects, status: CheckStatus) -> None:
    assert compare_large_objects(there, here, Allowance(0.05)).status is status
