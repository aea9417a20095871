"""A database that can be reached only in part, or not at all, is looked at with what there is, or not verified."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from raxx_bcp.clients.postgres import Limits, Reader
from raxx_bcp.drills.heroku_postgres import table_scan
from raxx_bcp.drills.heroku_postgres.database import actual_from, expected_from
from raxx_bcp.drills.heroku_postgres.table_scan import (
    CONNECTION_PAGES,
    CONNECTION_STATEMENTS,
    Job,
    Scanned,
    helpers_for,
)
from raxx_bcp.errors import CouldNotVerifyError
from raxx_bcp_tests.clients.leaks import everything_shown
from raxx_bcp_tests.clients.postgres_lab import free_port
from raxx_bcp_tests.drills.heroku_postgres.databases import (
    BACKUP_CREATED,
    BACKUP_FINISHED,
    RESTORED,
    Databases,
    databases,
    wait_until_nobody_looks,
)


@pytest.fixture(scope="module")
def world() -> Iterator[Databases]:
    with databases() as made:
        yield made


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every statement earns a connection of its own, as in a large database."""
    monkeypatch.setattr(table_scan, "CONNECTION_STATEMENTS", 1)


@contextlib.contextmanager
def opened() -> Iterator[list[Reader]]:
    """The connections that are opened meanwhile."""
    found: list[Reader] = []
    begin = Reader.__init__

    def noted(self: Reader, *given: Any, **named: Any) -> None:
        begin(self, *given, **named)
        found.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reader, "__init__", noted)
        yield found


@pytest.mark.usefixtures("many")
def test_as_many_connections_are_opened_as_are_allowed(world: Databases) -> None:
    for allowed, needed in ((1, 1), (2, 1), (3, 3), (6, 6)):  # a leader with a single helper has nothing to do itself
        with opened() as connections:
            assert world.actual(RESTORED, connections=allowed) == world.healthy
        assert len(connections) == needed


def test_a_small_database_is_looked_at_over_one_connection(world: Databases) -> None:
    with opened() as connections:
        assert world.actual(RESTORED, connections=6) == world.healthy
    assert len(connections) == 1


@pytest.mark.parametrize(
    ("pages", "statements", "connections", "helpers"),
    [
        (CONNECTION_PAGES, 1, 8, 0),
        (2 * CONNECTION_PAGES - 1, 1, 8, 0),
        (2 * CONNECTION_PAGES, 1, 8, 2),
        (5 * CONNECTION_PAGES, 1, 8, 5),
        (50 * CONNECTION_PAGES, 1, 8, 7),
        (50 * CONNECTION_PAGES, 1, 2, 0),
        (50 * CONNECTION_PAGES, 1, 1, 0),
        (0, 2 * CONNECTION_STATEMENTS - 1, 8, 0),
        (0, 2 * CONNECTION_STATEMENTS, 8, 2),
        (0, 0, 8, 0),
    ],
)
def test_connections_are_for_much_to_read_or_many_statements(
    pages: int, statements: int, connections: int, helpers: int
) -> None:
    def told(_row: object) -> Scanned:
        return Scanned()

    jobs = [Job(key, pages if key == 0 else 0, "", "", told, told) for key in range(statements)]
    assert helpers_for(jobs, connections) == helpers


@pytest.mark.usefixtures("many")
def test_any_number_of_connections_tells_the_same(world: Databases) -> None:
    for connections in (1, 2, 6):
        assert world.actual(RESTORED, connections=connections) == world.healthy
        assert world.production(connections=connections) == world.expected


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("limit", [1, 2])
def test_a_database_with_few_connections_left_is_looked_at_with_those(world: Databases, limit: int) -> None:
    with world.server.connect("postgres", superuser=True) as connection:
        wait_until_nobody_looks(connection)
    with world.server.connection_limit(limit):
        assert world.actual(RESTORED, connections=5) == world.healthy


def test_a_database_with_no_connection_left_could_not_be_verified(world: Databases) -> None:
    with world.server.connection_limit(0), pytest.raises(CouldNotVerifyError, match="no connection left"):
        world.actual(RESTORED)


def test_what_cannot_be_reached_or_seen_could_not_be_verified(world: Databases) -> None:
    server = world.server
    urls = [server.url(RESTORED, password="rxs_wrong"), server.url("nowhere"), server.url(RESTORED, port=free_port())]
    for url in urls:
        with pytest.raises(CouldNotVerifyError) as caught:
            actual_from(url, backup_finished=BACKUP_FINISHED)
        with pytest.raises(CouldNotVerifyError):
            expected_from(url, backup_created=BACKUP_CREATED)
        assert server.password not in everything_shown(caught.value)
        assert "rxs_" not in caught.value.what
    assert world.actual(RESTORED) == world.healthy


def test_a_count_that_takes_too_long_could_not_be_verified(world: Databases) -> None:
    with pytest.raises(CouldNotVerifyError, match="took too long"):
        world.actual(RESTORED, limits=Limits(statement_seconds=0.001))


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("connections", [1, 4])
def test_a_table_that_a_migration_holds_could_not_be_verified(world: Databases, connections: int) -> None:
    with world.server.connect(RESTORED) as migration, migration.transaction():
        migration.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(CouldNotVerifyError, match="something else has it locked"):
            world.actual(RESTORED, connections=connections, limits=Limits(lock_seconds=0.1))


def test_a_table_that_may_not_be_read_could_not_be_verified(world: Databases) -> None:
    taken = "ALTER TABLE orders OWNER TO sandbox"
    with world.copy(taken, superuser=True) as database, pytest.raises(CouldNotVerifyError, match="denies this user"):
        world.actual(database)


def test_rows_that_a_policy_hides_are_not_passed_over(world: Databases) -> None:
    hidden = "ALTER TABLE users ENABLE ROW LEVEL SECURITY; ALTER TABLE users FORCE ROW LEVEL SECURITY"
    with world.copy(hidden) as database, pytest.raises(CouldNotVerifyError, match="denies this user"):
        world.actual(database)
