"""The PostgreSQL of the sandbox: started, stopped, killed, found again, and closed to everybody else."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from raxx_bcp.errors import PermanentError, TransientError, UsageError
from raxx_bcp_sandbox import postgres, postgres_install
from raxx_bcp_sandbox.postgres import PostgresServer, stop_leftover
from raxx_bcp_sandbox.processes import PART_VARIABLE
from raxx_bcp_tests.sandbox.heroku.lab import free_port


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory below one that nobody else may enter, as a sandbox is."""
    closed = tmp_path_factory.mktemp("closed")
    closed.chmod(0o700)
    yield closed / "postgres"
    stop_leftover(closed / "postgres")


@pytest.fixture
def server(directory: Path) -> Iterator[PostgresServer]:
    """A server that runs, over the module's directory."""
    with PostgresServer(directory, free_port()) as running:
        yield running


def main_process(server: PostgresServer) -> psutil.Process:
    """The server's main process."""
    return psutil.Process(int((server.data / "postmaster.pid").read_text().split()[0]))


class TestTheServer:
    def test_what_is_committed_stays_also_after_a_kill(self, directory: Path) -> None:
        with PostgresServer(directory, free_port()) as first, first.connect() as connection:
            connection.execute("CREATE TABLE kept (number integer)")
            connection.execute("INSERT INTO kept VALUES (1)")
        second = PostgresServer(directory, free_port())
        second.start()
        with second.connect() as connection:
            connection.execute("INSERT INTO kept VALUES (2)")
        process = main_process(second)
        process.kill()
        process.wait(timeout=10)
        with PostgresServer(directory, second.port) as third, third.connect() as connection:
            assert connection.execute("SELECT number FROM kept ORDER BY 1").fetchall() == [(1,), (2,)]
            connection.execute("DROP TABLE kept")

    def test_it_listens_on_loopback_and_on_no_socket(self, server: PostgresServer) -> None:
        listening = [each for each in main_process(server).net_connections("all") if each.status == "LISTEN"]
        assert [(each.laddr.ip, each.laddr.port) for each in listening] == [("127.0.0.1", server.port)]
        assert main_process(server).net_connections("unix") == []

    def test_it_takes_no_wrong_password_and_tells_nobody_the_right_one(self, server: PostgresServer) -> None:
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            server.connect(password="wrong")
        secret = (server.directory / "superuser.secret").read_text()
        for process in [main_process(server), *main_process(server).children()]:
            assert secret not in " ".join(process.cmdline())
        assert secret not in repr(server)
        assert secret not in (server.directory / "server.log").read_text()

    def test_only_its_owner_may_read_what_it_keeps(self, server: PostgresServer) -> None:
        assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
        assert stat.S_IMODE((server.directory / "superuser.secret").stat().st_mode) == 0o600
        assert stat.S_IMODE(server.directory.stat().st_mode) == 0o700

    def test_it_is_not_taken_for_a_part_of_the_sandbox(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(PART_VARIABLE, "heroku@/somewhere")
        with PostgresServer(directory, free_port()) as running:
            assert PART_VARIABLE not in main_process(running).environ()

    def test_its_log_holds_no_statement_that_failed(self, server: PostgresServer) -> None:
        with server.connect() as connection, pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT 'a customer''s secret' FROM nowhere")
        assert "secret" not in (server.directory / "server.log").read_text()

    def test_tools_run_against_it_without_a_password_on_their_command_line(self, server: PostgresServer) -> None:
        with server.connect() as superuser:
            superuser.execute("CREATE ROLE reader LOGIN PASSWORD 'of-the-reader'")
        arguments = ("--tuples-only", "--no-align", "--command=SELECT current_user", "postgres")
        assert "of-the-reader" not in " ".join(server.tool("psql", "reader", *arguments))
        done = server.run("psql", "reader", "of-the-reader", *arguments)
        assert (done.returncode, done.stdout.strip()) == (0, "reader")
        assert server.run("psql", "reader", "wrong", *arguments).returncode != 0
        with server.connect() as superuser:
            superuser.execute("DROP ROLE reader")

    def test_stopping_twice_is_fine(self, directory: Path) -> None:
        running = PostgresServer(directory, free_port())
        running.start()
        running.stop()
        running.stop()
        assert not (running.data / "postmaster.pid").exists()


class TestLeftovers:
    def test_a_server_whose_parent_is_gone_is_stopped(self, directory: Path) -> None:
        orphan = PostgresServer(directory, free_port())
        orphan.start()
        process = main_process(orphan)
        assert stop_leftover(directory) is True
        assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
        assert stop_leftover(directory) is False

    def test_a_start_takes_its_place(self, directory: Path) -> None:
        orphan = PostgresServer(directory, free_port())
        orphan.start()
        before = main_process(orphan).pid
        with PostgresServer(directory, orphan.port) as running:
            assert main_process(running).pid != before
            with running.connect() as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)

    @pytest.mark.parametrize(
        "content", ["", "nonsense\n", f"{os.getpid()}\n", "99999999\n"], ids=["empty", "text", "alive", "none"]
    )
    def test_a_pid_that_is_another_programs_is_left_alone(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "postmaster.pid").write_text(content)
        assert stop_leftover(tmp_path) is False

    def test_no_directory_is_fine(self, tmp_path: Path) -> None:
        assert stop_leftover(tmp_path / "none") is False


class TestRefusing:
    def test_databases_of_another_version(self, directory: Path) -> None:
        server = PostgresServer(directory, free_port())
        with server:
            pass
        mark = server.data / "PG_VERSION"
        real = mark.read_text()
        mark.write_text("9.6\n")
        try:
            with pytest.raises(PermanentError, match=r"made by PostgreSQL 9\.6, and this is .*down --purge"):
                server.start()
        finally:
            mark.write_text(real)

    def test_a_port_that_is_taken(self, server: PostgresServer, tmp_path: Path) -> None:
        other = PostgresServer(tmp_path / "other", server.port)
        with pytest.raises(
            TransientError, match=rf"port {server.port}\. Its last words: FATAL: could not .*server\.log"
        ):
            other.start()

    def test_no_installation(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PG_BIN", str(tmp_path))
        with pytest.raises(UsageError, match=rf"not found in {tmp_path}.*PG_BIN"):
            postgres.binaries()

    def test_an_installation_that_cannot_be_run(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "postgres").write_text("#!/bin/sh\necho nothing that is a version\n")
        monkeypatch.setenv("PG_BIN", str(tmp_path))
        with pytest.raises(UsageError, match=r"cannot be run.*Point PG_BIN"):
            PostgresServer(tmp_path / "d", 1)

    def test_one_that_does_not_tell_its_version(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(postgres_install, "_VERSION", re.compile("no such thing"))
        with pytest.raises(UsageError, match="does not tell its version"):
            PostgresServer(Path("/nowhere"), 1)

    def test_the_wheel_is_found_without_a_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PG_BIN", raising=False)
        assert (postgres.binaries() / "pg_restore").is_file()
