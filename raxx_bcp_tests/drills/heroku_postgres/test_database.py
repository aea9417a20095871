"""A restored database is proved against production, on a real PostgreSQL: a healthy one passes, a broken one not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from raxx_bcp.drills.engine.drill import CheckResult
from raxx_bcp.drills.heroku_postgres import table_scan
from raxx_bcp.drills.heroku_postgres.compare import OPERATORS
from raxx_bcp.drills.heroku_postgres.content import END_ROWS
from raxx_bcp.drills.heroku_postgres.database import (
    CHECKS,
    Allowance,
    Facts,
    RevisionHistory,
    actual_from,
    compare,
    expected_from,
)
from raxx_bcp.drills.heroku_postgres.facts import Table
from raxx_bcp.errors import CouldNotVerifyError, UsageError
from raxx_bcp.evidence.row import CheckStatus
from raxx_bcp_tests.drills.heroku_postgres.databases import (
    BACKUP_CREATED,
    BACKUP_FINISHED,
    MARK,
    PRODUCTION,
    RESTORED,
    SCHEMA,
    Databases,
    create_with_extensions,
    databases,
    wait_until_nobody_looks,
)

TOLERANCE = 0.05
DAY = Allowance(TOLERANCE)


@pytest.fixture(scope="module")
def world() -> Iterator[Databases]:
    with databases() as made:
        yield made


def checked(world: Databases, actual: Facts) -> dict[str, CheckResult]:
    return {one.name: one for one in compare(world.expected, actual, tolerance_ratio=TOLERANCE, allowance=DAY)}


def failed(world: Databases, actual: Facts) -> set[str]:
    return {name for name, one in checked(world, actual).items() if one.status is not CheckStatus.PASS}


def test_a_healthy_restore_passes_every_check(world: Databases) -> None:
    results = compare(world.expected, world.healthy, tolerance_ratio=0.0)
    assert [(one.name, one.status) for one in results] == [(name, CheckStatus.PASS) for name in CHECKS]
    assert [one.reason for one in results] == [""] * len(CHECKS)
    said = {one.name: (one.expected, one.actual) for one in results}
    assert said["tables"] == ("7", "7")
    assert said["alembic revision"] == ("9f2c41d07a3e", "9f2c41d07a3e")
    assert said["row counts"] == ("8,611 rows in 7 tables, within 0.0%", "8,611 rows")
    assert said["newest row"] == ("2024-06-01T05:59:00Z (users.created_at)",) * 2
    assert said[OPERATORS] == ("6", "6")
    assert said["foreign keys"] == ("4 valid", "4 valid")
    assert said["sample readable"] == ("rows of 6 tables", "561 rows of 6 tables")


BROKEN: dict[str, tuple[str, set[str]]] = {
    "a table is missing": ("DROP TABLE settings", {"tables", "indexes", "constraints"}),
    "a table too many": ("CREATE TABLE other (id int)", {"tables"}),
    "half of the rows": (
        "DELETE FROM lines WHERE number = 2; DELETE FROM lines WHERE order_id % 2 = 0",
        {"row counts", "row content"},
    ),
    "no rows in a table": ("TRUNCATE lines", {"row counts", "row content"}),
    "no rows in any table": (
        "TRUNCATE users, orders, lines, events, alembic_version",
        {"alembic revision", "row counts", "newest row", "row content"},
    ),
    "a partition is empty": ("TRUNCATE events_2024", {"row counts", "row content"}),
    "more rows than production": (
        "INSERT INTO events (day) SELECT '2024-05-05' FROM generate_series(1, 60) n",
        {"row counts", "row content"},
    ),
    "an old revision": ("UPDATE alembic_version SET version_num = '3b1e77aa0c52'", {"alembic revision"}),
    "no revision": ("DELETE FROM alembic_version", {"alembic revision", "row counts"}),
    "no alembic_version": ("DROP TABLE alembic_version", {"alembic revision", "tables", "indexes", "constraints"}),
    "a column is missing": ("ALTER TABLE orders DROP COLUMN note", {"columns"}),
    "a column has another type": ("ALTER TABLE orders ALTER total TYPE numeric(12, 2)", {"columns"}),
    "a column may be null": ("ALTER TABLE users ALTER state DROP NOT NULL", {"columns"}),
    "a default is gone": ("ALTER TABLE users ALTER state DROP DEFAULT", {"columns"}),
    "an index is missing": ("DROP INDEX orders_user", {"indexes"}),
    "an index is another": ("DROP INDEX orders_user; CREATE INDEX orders_user ON orders (user_id, id)", {"indexes"}),
    "a check is missing": ("ALTER TABLE orders DROP CONSTRAINT orders_total_check", {"constraints"}),
    "a check is another": (
        (
            "ALTER TABLE orders DROP CONSTRAINT orders_total_check;"
            " ALTER TABLE orders ADD CONSTRAINT orders_total_check CHECK (total >= -1)"
        ),
        {"constraints"},
    ),
    "a foreign key is missing": (
        "ALTER TABLE orders DROP CONSTRAINT orders_user_id_fkey",
        {"constraints", "foreign keys"},
    ),
    "a foreign key is not valid": (
        (
            "ALTER TABLE orders DROP CONSTRAINT orders_user_id_fkey;"
            " ALTER TABLE orders ADD CONSTRAINT orders_user_id_fkey FOREIGN KEY (user_id) REFERENCES users NOT VALID"
        ),
        {"constraints", "foreign keys"},
    ),
    "a sequence is behind": ("SELECT setval('users_id_seq', 5)", {"sequences"}),
    "a sequence was never set": ("ALTER SEQUENCE orders_id_seq RESTART WITH 1", {"sequences"}),
    "a sequence over partitions is behind": ("SELECT setval('events_id_seq', 599)", {"sequences"}),
    "a sequence is missing": (
        "ALTER TABLE events ALTER id DROP DEFAULT; DROP SEQUENCE events_id_seq",
        {"columns", "sequences"},
    ),
    "a view is missing": ("DROP VIEW glad_users", {"views"}),
    "a trigger is missing": ("DROP TRIGGER touched ON users", {"functions, triggers and types"}),
    "a function is another": (
        "CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        {"functions, triggers and types"},
    ),
    "a function runs as its caller": (
        "ALTER FUNCTION add_up(int) SECURITY INVOKER",
        {"functions, triggers and types"},
    ),
    "a function's settings are gone": ("ALTER FUNCTION add_up(int) RESET ALL", {"functions, triggers and types"}),
    "a function of SQL's own kind is another": (
        "CREATE OR REPLACE FUNCTION doubled(int) RETURNS int RETURN $1 * 3",
        {"functions, triggers and types"},
    ),
    "an aggregate begins elsewhere": (
        "DROP AGGREGATE total(int); CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '1')",
        {"functions, triggers and types"},
    ),
    "a domain lets everything in": (
        "ALTER DOMAIN percent DROP CONSTRAINT percent_check",
        {"functions, triggers and types"},
    ),
    "a composite type has another column": (
        "ALTER TYPE place ALTER ATTRIBUTE x TYPE bigint",
        {"functions, triggers and types"},
    ),
    "a range is of another type": (
        "DROP TYPE span; CREATE TYPE span AS RANGE (SUBTYPE = bigint)",
        {"functions, triggers and types"},
    ),
    "an enum has one label more": ("ALTER TYPE mood ADD VALUE 'new'", {"functions, triggers and types"}),
    "an operator is missing": ("DROP OPERATOR ~~~ (place, place)", {OPERATORS}),
    "an operator has no commutator": (
        "DROP OPERATOR ~~~ (place, place); CREATE OPERATOR ~~~ (LEFTARG = place, RIGHTARG = place, FUNCTION = near)",
        {OPERATORS},
    ),
    "a cast is missing": ("DROP CAST (place AS text)", {OPERATORS}),
    "a cast of an extension's type is missing": ("DROP CAST (citext AS mood)", {OPERATORS}),
    "a cast is made unasked": (
        "DROP CAST (place AS text); CREATE CAST (place AS text) WITH FUNCTION told(place) AS IMPLICIT",
        {OPERATORS},
    ),
    "a collation is missing": ("DROP COLLATION bytewise", {OPERATORS}),
    "a collation sorts otherwise": (
        "DROP COLLATION bytewise; CREATE COLLATION bytewise (PROVIDER = libc, LOCALE = 'POSIX')",
        {OPERATORS},
    ),
    "a configuration of text search is missing": ("DROP TEXT SEARCH CONFIGURATION notes", {OPERATORS}),
    "a configuration of text search asks one dictionary less": (
        "ALTER TEXT SEARCH CONFIGURATION notes ALTER MAPPING FOR word WITH simple",
        {OPERATORS},
    ),
    "a dictionary of text search takes every word": (
        "ALTER TEXT SEARCH DICTIONARY plain (ACCEPT = true)",
        {OPERATORS},
    ),
    "a dictionary of text search is missing": ("DROP TEXT SEARCH DICTIONARY plain CASCADE", {OPERATORS}),
    "rows of the last day are missing": (
        (
            "DELETE FROM orders o USING users u WHERE u.id = o.user_id AND u.created_at > '2024-05-31 06:00Z'"
            " AND o.id > 900; UPDATE users SET created_at = created_at - interval '1 day';"
            " UPDATE orders SET created_at = created_at - interval '1 day'"
        ),
        {"newest row", "row content"},
    ),
    "rows are younger than the backup": (
        "INSERT INTO users (email, created_at) VALUES ('late@example.com', '2024-06-01 07:00Z')",
        {"newest row"},
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_restore_fails_the_right_check(world: Databases, name: str) -> None:
    statements, wrong = BROKEN[name]
    with world.copy(statements) as database:
        broken = world.actual(database)
    assert failed(world, broken) == wrong
    assert all(checked(world, broken)[one].reason for one in wrong)
    assert failed(world, world.healthy) == set()


AS_SUPERUSER: dict[str, tuple[str, set[str], str]] = {
    "rows point nowhere, and the key says that it is valid": (
        "SET session_replication_role = replica; DELETE FROM users WHERE id = 7",
        {"foreign keys"},
        "rows point nowhere: orders.orders_email_fkey has 3, orders.orders_user_id_fkey has 3",
    ),
    "a row of a composite key points nowhere": (
        "SET session_replication_role = replica; DELETE FROM lines WHERE (order_id, number) = (3, 1)",
        {"foreign keys"},
        "rows point nowhere: lines.lines_parent_order_parent_number_fkey has 1",
    ),
    "an extension is missing": (
        "DROP EXTENSION hstore CASCADE",
        {"extensions", "columns"},
        "missing: hstore",
    ),
    "an index is not usable": (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'orders_user'::regclass",
        {"indexes"},
        "different: orders_user",
    ),
}


@pytest.mark.parametrize("name", AS_SUPERUSER)
def test_what_only_a_superuser_can_break(world: Databases, name: str) -> None:
    statements, wrong, reason = AS_SUPERUSER[name]
    with world.copy(statements, superuser=True) as database:
        broken = world.actual(database)
    assert failed(world, broken) == wrong
    assert reason in {one.reason for one in checked(world, broken).values()}
    assert failed(world, world.healthy) == set()


def test_a_valid_key_of_a_large_table_is_proved_by_a_sample_and_says_so(world: Databases) -> None:
    url = world.server.url(RESTORED)
    sampled = actual_from(url, backup_finished=BACKUP_FINISHED, whole_keys_bytes=65_536)
    assert {name for name, one in sampled.foreign_keys.items() if one.sampled} == {
        "orders.orders_email_fkey",
        "orders.orders_user_id_fkey",
    }
    found = checked(world, sampled)["foreign keys"]
    assert (found.status, found.actual) == (
        CheckStatus.PASS,
        "4 valid, 2 of them proved again by a sample of their rows",
    )
    every_row = "SET session_replication_role = replica; DELETE FROM users"
    with world.copy(every_row, superuser=True) as database:
        url = world.server.url(database)
        broken = actual_from(url, backup_finished=BACKUP_FINISHED, whole_keys_bytes=65_536)
    assert "rows point nowhere: orders.orders_email_fkey has" in checked(world, broken)["foreign keys"].reason


def test_a_key_that_is_not_validated_is_never_sampled(world: Databases) -> None:
    loose = (
        "ALTER TABLE orders DROP CONSTRAINT orders_user_id_fkey",
        "ALTER TABLE orders ADD CONSTRAINT orders_user_id_fkey FOREIGN KEY (user_id) REFERENCES users NOT VALID",
    )
    with world.copy(*loose) as database:
        found = actual_from(world.server.url(database), backup_finished=BACKUP_FINISHED, whole_keys_bytes=0)
    assert not found.foreign_keys["orders.orders_user_id_fkey"].sampled
    assert found.foreign_keys["orders.orders_email_fkey"].sampled


def test_the_wrong_database_fails(world: Databases) -> None:
    world.server.create("elsewhere")
    world.server.run("elsewhere", "CREATE TABLE posts (id serial PRIMARY KEY, title text)")
    try:
        results = checked(world, world.actual("elsewhere"))
    finally:
        world.server.drop("elsewhere")
    assert results["tables"].reason == (
        "missing: alembic_version, audit.Odd %s 'name', events, lines, orders and 2 more; not in production: posts"
    )
    assert results["alembic revision"].status is CheckStatus.FAIL
    assert results["extensions"].reason == "missing: citext, hstore, pg_trgm"
    assert (results["row counts"].status, results["columns"].status) == (CheckStatus.NOT_RUN, CheckStatus.NOT_RUN)


def test_an_empty_database_fails(world: Databases) -> None:
    world.server.create("nothing")
    try:
        results = checked(world, world.actual("nothing"))
    finally:
        world.server.drop("nothing")
    passed = {name for name, one in results.items() if one.status is CheckStatus.PASS}
    nothing_there_either = {"large objects", "row security", "comments and column privileges"}
    assert passed == {"server version"} | nothing_there_either
    assert results["partitions"].status is CheckStatus.NOT_RUN


def test_damaged_pages_fail_the_tables_that_they_are_in(world: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_scan, "CONNECTION_STATEMENTS", 1)
    with world.copy() as database:
        damage(world, database, "orders")
        broken = world.actual(database)
        alone = world.actual(database, connections=1)
    results = checked(world, broken)
    assert "sample readable" in failed(world, broken)
    assert "orders: PostgreSQL cannot read what it has stored" in results["sample readable"].reason
    assert "XX001" in results["sample readable"].reason
    assert "orders could not be counted" in results["row counts"].reason
    assert results["foreign keys"].reason.startswith("could not be read: lines.lines_order_id_fkey, orders.orders_")
    assert alone.tables == broken.tables
    assert failed(world, world.healthy) == set()


def damage(world: Databases, database: str, table: str) -> None:
    """Overwrite a page of the table on disk, and make the server forget what it has of it in memory."""
    with world.server.connect(database, superuser=True) as connection:
        connection.execute("CHECKPOINT")
        found = connection.execute("SELECT pg_relation_filepath(%s::regclass)", [table]).fetchone()
        assert found is not None
        with (world.server.data / found[0]).open("r+b") as stored:
            stored.seek(8192 + 500)
            stored.write(os.urandom(1000))
        connection.execute("CREATE EXTENSION pg_buffercache")
        connection.execute("SELECT pg_buffercache_evict_relation(%s::regclass)", [table])
        connection.execute("DROP EXTENSION pg_buffercache")


def test_production_that_is_damaged_is_no_measure(world: Databases) -> None:
    with world.copy(of=PRODUCTION) as database:
        damage(world, database, "orders")
        with pytest.raises(CouldNotVerifyError, match="in production, PostgreSQL cannot read"):
            expected_from(world.server.url(database), backup_created=BACKUP_CREATED)


def test_production_has_moved_on_since_the_backup(world: Databases) -> None:
    grown = (
        "INSERT INTO users (email, created_at) SELECT 'new' || n, '2024-06-02' FROM generate_series(1, 3000) n",
        "DELETE FROM users WHERE id BETWEEN 1 AND 10 AND NOT EXISTS (SELECT FROM orders WHERE user_id = users.id)",
        "CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
    )
    with world.copy(*grown, of=PRODUCTION) as database:
        moved = expected_from(world.server.url(database), backup_created=BACKUP_CREATED)
    assert moved.tables["users"] == Table(rows=5000, rows_then=2000)
    results = compare(moved, world.healthy, tolerance_ratio=TOLERANCE)
    assert {one.name for one in results if one.status is not CheckStatus.PASS} == set()


def test_a_table_that_was_filled_after_the_backup_is_rightly_empty(world: Databases) -> None:
    late = (
        "CREATE TABLE visits (id serial, created_at timestamptz)",
        "INSERT INTO visits (created_at) SELECT '2024-06-02' FROM generate_series(1, 5)",
    )
    with world.copy(*late, of=PRODUCTION) as database:
        moved = expected_from(world.server.url(database), backup_created=BACKUP_CREATED)
    with world.copy(late[0]) as database:
        restored = world.actual(database)
    assert {one.name for one in compare(moved, restored, tolerance_ratio=0.0) if one.reason} == set()


def test_extensions_in_herokus_own_schema_count_as_in_public(world: Databases) -> None:
    names = ("old_production", "new_restore")
    for database, schema in zip(names, ("heroku_ext", "public"), strict=True):
        create_with_extensions(world.server, database, schema)
        role = f"ALTER ROLE {world.server.owner} IN DATABASE {database} SET search_path = public, heroku_ext"
        world.server.run(database, role, superuser=True)
        world.server.run(database, SCHEMA)
    old = expected_from(world.server.url(names[0]), backup_created=BACKUP_CREATED)
    new = actual_from(world.server.url(names[1]), backup_finished=BACKUP_FINISHED)
    results = compare(old, new, tolerance_ratio=0.0)
    assert {one.name: one.reason for one in results if one.reason} == {}
    for database in names:
        world.server.drop(database)


def test_alembic_says_which_is_ahead(world: Databases) -> None:
    history = RevisionHistory.of_list(["1a", "3b1e77aa0c52", "77", "9f2c41d07a3e"])
    behind = replace(world.healthy, revisions=("3b1e77aa0c52",))
    results = compare(world.expected, behind, tolerance_ratio=0.0, history=history)
    assert results[1].reason == "the restore is 2 revisions behind: the backup is older than those migrations"
    asked_for = compare(world.expected, behind, tolerance_ratio=0.0, revisions=("3b1e77aa0c52",))
    assert asked_for[1].status is CheckStatus.PASS


def test_every_table_is_read_once_and_of_a_large_one_a_few_rows_at_its_ends(world: Databases) -> None:
    with world.copy(of=PRODUCTION) as database:
        before = rows_read(world, database)
        expected_from(world.server.url(database), backup_created=BACKUP_CREATED)
        after = rows_read(world, database)
    counted = {"users": 2000, "orders": 5000, "lines": 1000, "events_2023": 310, "events_2024": 290, "settings": 0}
    scanned = {table: after[table][0] - before[table][0] for table in counted}
    assert scanned == counted
    by_index = {table: after[table][1] - before[table][1] for table in counted}
    assert max(by_index.values()) <= 4 * END_ROWS, "both ends of its key, and of its time"


def rows_read(world: Databases, database: str) -> dict[str, tuple[int, int]]:
    """Live rows that scans of each table have fetched so far, and those by an index, as PostgreSQL counts them."""
    query = "SELECT relname, coalesce(seq_tup_read, 0), coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables"
    with world.server.connect(database, superuser=True) as connection:
        wait_until_nobody_looks(connection)
        return {table: (scanned, fetched) for table, scanned, fetched in connection.execute(query).fetchall()}


def test_the_look_at_production_writes_nothing(world: Databases) -> None:
    with world.server.connect(PRODUCTION, superuser=True) as connection:
        query = "SELECT pg_current_xact_id_if_assigned(), txid_snapshot_xmax(txid_current_snapshot())"
        before = connection.execute(query).fetchone()
        world.production()
        assert connection.execute(query).fetchone() == before


def test_the_policy_may_name_the_columns_that_tell_the_newest_row(world: Databases) -> None:
    named = world.production(moment_columns=("public.orders.created_at",))
    assert (named.newest_in, named.newest_utc) == ("orders.created_at", datetime(2024, 6, 1, 5, 58, tzinfo=UTC))
    for wrong in ("orders.placed_at", "orders.note", "created_at"):
        with pytest.raises(UsageError, match="no column of a time"):
            world.production(moment_columns=(wrong,))


def test_times_that_python_does_not_know_are_passed_over(world: Databases) -> None:
    odd = "INSERT INTO users (email, created_at) VALUES ('a', 'infinity'), ('b', '-infinity'), ('c', '4713-01-01 BC')"
    with world.copy(odd) as database:
        assert world.actual(database).newest_utc == world.healthy.newest_utc


def test_nothing_of_a_row_and_no_address_is_ever_told(world: Databases) -> None:
    told = [repr(world.expected), repr(world.healthy)]
    with world.copy("DELETE FROM orders WHERE id % 2 = 0 AND id > 900") as database:
        broken = world.actual(database)
        told += [repr(broken), repr(compare(world.expected, broken, tolerance_ratio=0.0))]
        damage(world, database, "users")
        told.append(repr(compare(world.expected, world.actual(database), tolerance_ratio=0.0)))
    shown = "".join(told)
    assert "orders has 2,950 rows instead of 5,000" in shown
    for secret in (MARK, world.server.password, "127.0.0.1", world.server.owner):
        assert secret.lower() not in shown.lower()
