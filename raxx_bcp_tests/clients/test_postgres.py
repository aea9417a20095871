"""The client for PostgreSQL, against a real one: it only reads, waits for nothing for ever, and shows no secret."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from psycopg import conninfo
from pydantic import SecretStr

from raxx_bcp.clients.postgres import APPLICATION_NAME, DamagedError, Limits, NoConnectionLeftError, Reader, parameters
from raxx_bcp.errors import BcpError, CouldNotVerifyError, PermanentError
from raxx_bcp_tests.clients.leaks import everything_shown
from raxx_bcp_tests.clients.postgres_lab import PostgresLab, free_port, postgres_lab

MARK = "rxs_row_content"
SECRET = "rxs_password"
QUICK = Limits(connect_seconds=2, statement_seconds=0.2, lock_seconds=0.1, grace_seconds=0.2)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresLab]:
    with postgres_lab() as running:
        running.create("app")
        running.run(
            "app",
            "CREATE TABLE users (id int PRIMARY KEY, email text UNIQUE)",
            "INSERT INTO users VALUES (1, 'rxs_row_content')",
        )
        yield running


@pytest.fixture
def reader(server: PostgresLab) -> Iterator[Reader]:
    with Reader(server.url("app")) as open_reader:
        yield open_reader


def failure(reader: Reader, query: str) -> BcpError:
    with pytest.raises(BcpError) as caught:
        reader.rows(query.encode(), "do what the test asks")
    return caught.value


def test_it_reads(reader: Reader) -> None:
    assert reader.rows("SELECT id, email FROM public.users", "read") == [(1, MARK)]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO public.users VALUES (2, 'x')",
        "UPDATE public.users SET email = 'x'",
        "DELETE FROM public.users",
        "TRUNCATE public.users",
        "DROP TABLE public.users",
        "CREATE TABLE public.other ()",
    ],
)
def test_nothing_can_be_written(reader: Reader, statement: str) -> None:
    assert isinstance(failure(reader, statement), CouldNotVerifyError)
    reader.begin_again()
    assert reader.rows("SELECT email FROM public.users", "read") == [(MARK,)]


def test_a_look_announces_itself_and_has_limits(reader: Reader) -> None:
    names = ("application_name", "transaction_isolation", "transaction_read_only", "TimeZone", "row_security")
    shown = [reader.rows(f"SHOW {name}".encode(), "read")[0][0] for name in names]
    assert shown == [APPLICATION_NAME, "repeatable read", "on", "UTC", "off"]
    assert reader.rows("SHOW max_parallel_workers_per_gather", "read") == [("0",)]
    limits = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    assert [reader.rows(f"SHOW {name}".encode(), "read")[0][0] for name in limits] == ["5min", "10s", "2min"]


def test_readers_share_one_moment(server: PostgresLab) -> None:
    server.run("app", "CREATE TABLE growing (id int)")
    with Reader(server.url("app")) as leader:
        moment = leader.share()
        server.run("app", "INSERT INTO growing VALUES (1)")
        count = "SELECT count(*) FROM public.growing"
        with Reader(server.url("app"), snapshot=moment) as other, Reader(server.url("app")) as later:
            assert [one.rows(count, "count")[0][0] for one in (leader, other, later)] == [0, 0, 1]
            assert isinstance(failure(other, "SELECT 1/0"), DamagedError)
            other.begin_again()
            assert other.rows(count, "count") == [(0,)]


def test_a_moment_that_is_over_cannot_be_joined(server: PostgresLab) -> None:
    with Reader(server.url("app")) as leader:
        moment = leader.share()
    with pytest.raises(CouldNotVerifyError, match="join a snapshot"):
        Reader(server.url("app"), snapshot=moment)
    with server.connect("app", superuser=True) as watching:
        seen = watching.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [APPLICATION_NAME])
        assert seen.fetchone() == (0,)


def test_a_statement_that_takes_too_long_is_stopped(server: PostgresLab) -> None:
    with Reader(server.url("app"), QUICK) as reader:
        error = failure(reader, "SELECT pg_sleep(60)")
    assert type(error) is CouldNotVerifyError
    assert "took too long" in error.what


def test_a_server_that_froze_is_hung_up_on(server: PostgresLab) -> None:
    with Reader(server.url("app"), QUICK) as reader:
        backend = int(reader.rows("SELECT pg_backend_pid()", "read")[0][0])
        os.kill(backend, signal.SIGSTOP)
        try:
            error = failure(reader, "SELECT 1")
        finally:
            os.kill(backend, signal.SIGCONT)
    assert type(error) is CouldNotVerifyError
    assert "took too long" in error.what


def test_a_locked_table_is_not_waited_for(server: PostgresLab) -> None:
    with server.connect("app") as migration, migration.transaction():
        migration.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        with Reader(server.url("app"), QUICK) as reader:
            error = failure(reader, "SELECT count(*) FROM public.users")
    assert type(error) is CouldNotVerifyError
    assert "locked" in error.what


def test_hanging_up_from_outside_ends_the_wait(server: PostgresLab) -> None:
    with Reader(server.url("app")) as reader:
        threading.Timer(0.1, reader.hang_up).start()
        assert isinstance(failure(reader, "SELECT pg_sleep(60)"), CouldNotVerifyError)


@pytest.mark.parametrize(
    ("query", "kind", "state"),
    [
        ("SELECT * FROM public.nowhere", CouldNotVerifyError, "42P01"),
        ("SELECT rolpassword FROM pg_authid", CouldNotVerifyError, "42501"),
        ("SELECT pg_terminate_backend(pg_backend_pid())", CouldNotVerifyError, "57P01"),
        ("SELECT convert_from('\\xff', 'UTF8')", DamagedError, "22021"),
        (f"SELECT '{MARK}'::int", DamagedError, "22P02"),
    ],
)
def test_an_error_is_told_by_its_code(server: PostgresLab, query: str, kind: type[BcpError], state: str) -> None:
    with Reader(server.url("app")) as reader:
        error = failure(reader, query)
    assert type(error) is kind
    assert f"SQLSTATE {state}" in error.what
    assert MARK not in everything_shown(error).replace(query, "")


@pytest.mark.parametrize(
    ("user", "password", "database", "reason"),
    [
        ("u_app", SECRET, "app", "the password or the user is wrong"),
        ("nobody", SECRET, "app", "the password or the user is wrong"),
        ("", "", "nowhere", "does not exist"),
    ],
)
def test_a_refused_connection_says_why(
    server: PostgresLab, user: str, password: str, database: str, reason: str
) -> None:
    with pytest.raises(CouldNotVerifyError, match=reason) as caught:
        Reader(server.url(database, user=user, password=password))
    shown = everything_shown(caught.value)
    assert SECRET not in shown
    assert server.password not in shown
    assert str(server.server.port) not in caught.value.what


def test_a_server_that_is_away_could_not_be_verified() -> None:
    with pytest.raises(CouldNotVerifyError, match="nothing listens there"):
        Reader(SecretStr(f"postgresql://u:{SECRET}@127.0.0.1:{free_port()}/d"))


def test_a_server_that_says_nothing_could_not_be_verified() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = SecretStr(f"postgresql://u:{SECRET}@127.0.0.1:{silent.getsockname()[1]}/d")
        with pytest.raises(CouldNotVerifyError, match="did not answer in time"):
            Reader(url, QUICK)


def test_a_database_without_a_free_connection_says_so(server: PostgresLab) -> None:
    with server.connection_limit(1), Reader(server.url("app")), pytest.raises(NoConnectionLeftError):
        Reader(server.url("app"))


def test_a_server_without_tls_is_refused_where_tls_is_asked_for(server: PostgresLab) -> None:
    url = SecretStr(f"{server.url('app').get_secret_value()}?sslmode=require")
    with pytest.raises(CouldNotVerifyError, match="TLS"):
        Reader(url)


@pytest.mark.parametrize(
    ("host", "query", "mode"),
    [
        ("ec2-1-2-3-4.compute-1.amazonaws.com", "", "require"),
        ("ec2-1-2-3-4.compute-1.amazonaws.com", "?sslmode=disable", "require"),
        ("ec2-1-2-3-4.compute-1.amazonaws.com", "?sslmode=prefer", "require"),
        ("ec2-1-2-3-4.compute-1.amazonaws.com", "?sslmode=verify-full", "verify-full"),
        ("10.0.0.7", "", "require"),
        ("127.0.0.1,10.0.0.7", "", "require"),
        ("127.0.0.1", "?hostaddr=10.0.0.7", "require"),
        ("localhost.example.com", "", "require"),
        ("127.0.0.1", "", None),
        ("localhost", "", None),
        ("[::1]", "", None),
    ],
)
def test_only_this_machine_may_be_spoken_to_in_clear(host: str, query: str, mode: str | None) -> None:
    named = parameters(SecretStr(f"postgresql://u:{SECRET}@{host}/d{query}"), Limits())
    assert named.get("sslmode") == mode
    assert conninfo.make_conninfo("", **named)


@pytest.mark.parametrize(
    "url", ["", "postgresql://", "postgresql:///d", f"postgresql://u:{SECRET}@host", f"rxs {SECRET}=x y"]
)
def test_an_address_that_says_too_little_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(PermanentError, match="address") as caught:
        Reader(SecretStr(url))
    assert SECRET not in everything_shown(caught.value)


def test_a_reader_shows_nothing(reader: Reader, server: PostgresLab) -> None:
    shown: Any = repr(reader)
    assert server.password not in shown
    assert "127.0.0.1" not in shown
