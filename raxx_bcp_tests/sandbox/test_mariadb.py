"""The MariaDB of the sandbox: found or unpacked, started, stopped, killed, frozen, and closed to everybody else."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from raxx_bcp.errors import PermanentError, TransientError, UsageError
from raxx_bcp_sandbox import mariadb, mariadb_packages
from raxx_bcp_sandbox.mariadb import MariadbBinaries, MariadbServer, SqlFailedError, socket_path, stop_leftover
from raxx_bcp_sandbox.processes import PART_VARIABLE

DEEP = "a-directory-of-a-name-that-is-long-enough-for-no-socket-to-fit-into-it"


@pytest.fixture(scope="module")
def programs() -> MariadbBinaries:
    """The MariaDB of this machine."""
    return mariadb.binaries()


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A directory for a server, deeper than a socket's path may be long."""
    made = tmp_path / DEEP / DEEP / "mariadb"
    yield made
    stop_leftover(made)


@pytest.fixture
def server(directory: Path, programs: MariadbBinaries) -> Iterator[MariadbServer]:
    """A server that runs."""
    with MariadbServer(directory, binaries=programs) as running:
        yield running


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory on PATH, empty; no MariaDB is found anywhere else."""
    made = tmp_path / "tools"
    made.mkdir()
    monkeypatch.setenv("PATH", str(made))
    monkeypatch.delenv("MARIADB_BIN", raising=False)
    monkeypatch.setattr("raxx_bcp_sandbox.mariadb_install.SYSTEM", ())
    return made


def script(path: Path, text: str) -> None:
    """Write an executable script."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def running(directory: Path) -> bool:
    """Does a server work in ``directory``?"""
    data = mariadb.data_directory(directory)
    for process in psutil.process_iter():
        try:
            if process.name() == "mariadbd" and Path(process.cwd()) == data and process.status() != "zombie":
                return True
        except psutil.Error:
            continue
    return False


class TestTheServer:
    def test_what_is_committed_stays_also_after_a_kill(self, directory: Path, programs: MariadbBinaries) -> None:
        with MariadbServer(directory, binaries=programs) as first:
            first.sql("CREATE DATABASE kept; CREATE TABLE kept.rows (number int); INSERT INTO kept.rows VALUES (1)")
        second = MariadbServer(directory, binaries=programs)
        second.start()
        second.sql("INSERT INTO kept.rows VALUES (2)")
        second.kill()
        with MariadbServer(directory, binaries=programs) as third:
            assert third.sql("SELECT number FROM kept.rows ORDER BY 1") == [["1"], ["2"]]

    def test_it_has_a_private_socket_and_no_network(self, server: MariadbServer) -> None:
        assert stat.S_IMODE(server.socket.parent.stat().st_mode) == 0o700
        process = psutil.Process(server.pid)
        assert [each for each in process.net_connections("inet") if each.status == "LISTEN"] == []

    def test_the_socket_is_short_and_the_same_for_the_same_directory(self, directory: Path) -> None:
        assert len(str(socket_path(directory))) < 100
        assert socket_path(directory) == socket_path(directory.parent / "." / directory.name)
        assert socket_path(directory) != socket_path(directory.parent / "other")

    def test_nothing_is_left_in_tmp_after_a_stop(self, directory: Path, programs: MariadbBinaries) -> None:
        with MariadbServer(directory, binaries=programs) as running_server:
            socket = running_server.socket
            assert socket.parent.is_dir()
        assert not socket.parent.exists()
        assert not running(directory)

    def test_its_temporary_tables_are_in_a_folder_of_its_own(self, server: MariadbServer) -> None:
        ((folder,),) = server.sql("SELECT @@tmpdir")
        assert Path(folder) == server.socket.parent
        assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700

    def test_neither_a_start_nor_an_installation_deletes_another_servers_temporary_tables(
        self, directory: Path, programs: MariadbBinaries, tmp_path: Path
    ) -> None:
        """MariaDB removes every ``#sql`` file of its temporary folder when it starts, whose ever it is."""
        others = Path(f"/tmp/#sql-temptable-raxx-{os.getpid()}-0-0.MAI")
        others.write_bytes(b"another server's")
        try:
            with MariadbServer(directory, binaries=programs, cache=tmp_path / "cache") as started:
                assert started.sql("SELECT 1") == [["1"]]
                assert others.exists()
        finally:
            others.unlink(missing_ok=True)

    def test_it_speaks_utf8_and_utc(self, server: MariadbServer) -> None:
        assert server.sql("SELECT '🚣', @@time_zone, @@collation_server, @@version LIKE '%MariaDB%'") == [
            ["🚣", "+00:00", "utf8mb4_unicode_ci", "1"]
        ]

    def test_rows_of_sixty_megabytes_fit(self, server: MariadbServer) -> None:
        assert server.sql("SELECT LENGTH(REPEAT('x', 60 * 1024 * 1024))") == [[str(60 * 1024 * 1024)]]

    def test_a_script_comes_in_pieces(self, server: MariadbServer) -> None:
        server.sql("CREATE DATABASE pieces")
        server.load([b"CREATE TABLE t (a int); INSERT ", b"INTO t VALUES (1), ", b"(2);"], "pieces")
        assert server.sql("SELECT SUM(a) FROM t", "pieces") == [["3"]]

    def test_a_refused_statement_is_told_by_its_number_and_nothing_else(self, server: MariadbServer) -> None:
        server.sql("CREATE DATABASE refused; CREATE TABLE refused.t (a varchar(20) PRIMARY KEY)")
        statement = "INSERT INTO t VALUES ('a customers mail'), ('a customers mail')"
        with pytest.raises(SqlFailedError) as caught:
            server.sql(statement, "refused")
        assert caught.value.code == 1062
        assert "customer" not in str(caught.value)
        with pytest.raises(SqlFailedError) as caught:
            server.load([statement.encode()], "refused")
        assert caught.value.code == 1062
        assert "customer" not in str(caught.value)
        assert "customer" not in (server.directory / "server.log").read_text()

    def test_a_load_that_breaks_off_early_is_told_too(self, server: MariadbServer) -> None:
        endless = (b"this is no SQL;" + b" " * 100_000 for _ in range(1000))
        with pytest.raises(SqlFailedError) as caught:
            server.load(endless)
        assert caught.value.code == 1064

    def test_a_server_that_is_away_is_no_answer(self, directory: Path, programs: MariadbBinaries) -> None:
        with pytest.raises(SqlFailedError, match="error 2002"):
            MariadbServer(directory, binaries=programs).sql("SELECT 1")

    def test_its_environment_is_small_and_carries_the_mark(
        self, directory: Path, programs: MariadbBinaries, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(PART_VARIABLE, "part@/somewhere")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not for a child")
        with MariadbServer(directory, binaries=programs) as marked:
            environment = psutil.Process(marked.pid).environ()
        assert environment[PART_VARIABLE] == "part@/somewhere"
        assert "AWS_SECRET_ACCESS_KEY" not in environment

    def test_it_does_not_start_on_broken_data(self, directory: Path, programs: MariadbBinaries) -> None:
        mariadb.prepare(directory, binaries=programs)
        (directory / "data" / "ibdata1").write_bytes(b"broken")
        with pytest.raises(
            TransientError, match=r"MariaDB stopped right after its start.*last words: \[ERROR\] .*ibdata1"
        ):
            MariadbServer(directory, binaries=programs).start()
        assert not running(directory)

    def test_a_socket_directory_of_somebody_else_is_refused(self, directory: Path, programs: MariadbBinaries) -> None:
        path = socket_path(directory).parent
        path.mkdir(mode=0o700)
        (path / "theirs").mkdir()  # cannot be removed with the directory's leftovers
        path.chmod(0o777)
        try:
            with pytest.raises(UsageError, match="is not a private directory of this user"):
                MariadbServer(directory, binaries=programs).start()
        finally:
            shutil.rmtree(path)


class TestSnapshots:
    def test_a_copy_of_a_frozen_server_boots_with_what_was_committed(
        self, server: MariadbServer, tmp_path: Path
    ) -> None:
        server.sql("CREATE DATABASE desk; CREATE TABLE desk.t (id int AUTO_INCREMENT PRIMARY KEY, body text)")
        server.sql("INSERT INTO t (body) SELECT REPEAT('x', 500) FROM seq_1_to_20000", "desk")
        writer = subprocess.Popen(
            server.client_argv("mariadb", "desk"),
            env=server.binaries.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        assert writer.stdin is not None
        writer.stdin.write(b"INSERT INTO t (body) VALUES ('late');\n" * 20_000)
        writer.stdin.flush()
        with server.frozen():
            assert psutil.Process(server.pid).status() == psutil.STATUS_STOPPED
            shutil.copytree(server.directory, tmp_path / "copy")
        writer.kill()
        writer.wait()
        with MariadbServer(tmp_path / "copy", binaries=server.binaries) as copied:
            ((rows, newest),) = copied.sql("SELECT COUNT(*), MAX(id) FROM desk.t")
            assert int(rows) >= 20_000
            assert copied.sql("CHECK TABLE desk.t EXTENDED")[0][-1] == "OK"
        assert int(server.sql("SELECT MAX(id) FROM desk.t")[0][0]) >= int(newest)

    def test_a_server_that_does_not_run_can_be_copied_too(self, directory: Path, programs: MariadbBinaries) -> None:
        stopped = MariadbServer(directory, binaries=programs)
        with stopped.frozen():
            assert not stopped.alive()


class TestLeftovers:
    @pytest.fixture
    def orphan(self, directory: Path) -> psutil.Process:
        """A server whose starter was killed."""
        code = (
            "import os, signal, sys; from pathlib import Path; from raxx_bcp_sandbox.mariadb import MariadbServer; "
            "MariadbServer(Path(sys.argv[1])).start(); os.kill(os.getpid(), signal.SIGKILL)"
        )
        done = subprocess.run([sys.executable, "-c", code, str(directory)], check=False, timeout=60)
        assert done.returncode == -9
        return psutil.Process(int((directory / "server.pid").read_text()))

    def test_a_leftover_is_stopped_by_the_next_start(
        self, orphan: psutil.Process, directory: Path, programs: MariadbBinaries
    ) -> None:
        assert orphan.is_running()
        with MariadbServer(directory, binaries=programs) as second:
            assert second.sql("SELECT 1") == [["1"]]
            assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE

    def test_a_stopped_process_is_ended_as_well(self, orphan: psutil.Process, directory: Path) -> None:
        orphan.suspend()
        assert stop_leftover(directory) is True
        assert not running(directory)
        assert not socket_path(directory).parent.exists()

    def test_another_process_with_the_same_pid_is_left_alone(self, directory: Path, tmp_path: Path) -> None:
        directory.mkdir(parents=True)
        with subprocess.Popen(["sleep", "60"], cwd=tmp_path) as other:
            (directory / "server.pid").write_text(str(other.pid))
            assert stop_leftover(directory) is False
            assert other.poll() is None
            other.kill()

    def test_a_copy_of_a_running_servers_disk_does_not_stop_that_server(
        self, server: MariadbServer, tmp_path: Path
    ) -> None:
        shutil.copytree(server.directory, tmp_path / "copy")
        assert stop_leftover(tmp_path / "copy") is False
        assert server.alive()


class TestTheBinaries:
    def test_they_are_those_of_mariadb_bin(
        self, programs: MariadbBinaries, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        install = tmp_path / "opt"
        (install / "bin").mkdir(parents=True)
        for name, path in (("mariadb", programs.client), ("mariadb-dump", programs.dump)):
            (install / "bin" / name).symlink_to(path)
        (install / "sbin").mkdir()
        script(install / "sbin" / "mariadbd", 'echo "mariadbd  Ver 11.4.2-MariaDB for Linux on x86_64"')
        script(install / "bin" / "mariadb-install-db", "exit 0")
        monkeypatch.setenv("MARIADB_BIN", str(install / "sbin"))
        found = mariadb.binaries(tmp_path / "no-cache")
        assert found.server == install / "sbin" / "mariadbd"
        assert found.client == install / "bin" / "mariadb"
        assert found.version == "11.4.2"
        assert found.libraries == ()
        assert not (tmp_path / "no-cache").exists()

    def test_mariadb_bin_may_be_where_packages_were_unpacked(
        self, programs: MariadbBinaries, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("MARIADB_BIN", str(programs.server.parent))
        assert mariadb.binaries(tmp_path / "no-cache") == programs

    def test_a_wrapper_on_path_is_not_taken_for_the_client(self, tools: Path, tmp_path: Path) -> None:
        install = tmp_path / "opt" / "bin"
        install.mkdir(parents=True)
        script(install / "mariadbd", 'echo "mariadbd  Ver 11.4.2-MariaDB for Linux on x86_64"')
        for name in ("mariadb", "mariadb-dump", "mariadb-install-db"):
            script(install / name, "exit 0")
            script(tools / name, "exit 1")
        (tools / "mariadbd").symlink_to(install / "mariadbd")
        found = mariadb.binaries(tmp_path / "cache")
        assert (found.client, found.dump) == (install / "mariadb", install / "mariadb-dump")

    def test_a_wrong_mariadb_bin_is_refused(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("MARIADB_BIN", str(tmp_path))
        with pytest.raises(UsageError, match=r"MARIADB_BIN is .* is not there"):
            mariadb.binaries()

    def test_those_on_path_come_before_unpacking(self, tools: Path, tmp_path: Path) -> None:
        script(tools / "mariadbd", 'echo "mariadbd  Ver 10.6.18-MariaDB-0ubuntu0.22.04.1 for debian-linux-gnu"')
        for name in ("mariadb", "mariadb-dump", "mariadb-install-db"):
            script(tools / name, "exit 0")
        assert mariadb.binaries(tmp_path / "cache").version == "10.6.18"
        assert not (tmp_path / "cache").exists()

    def test_a_program_that_is_no_mariadb_is_refused(self, tools: Path) -> None:
        script(tools / "mariadbd", 'echo "mysqld  Ver 8.0.36 for Linux on x86_64 (MySQL Community Server)"')
        for name in ("mariadb", "mariadb-dump", "mariadb-install-db"):
            script(tools / name, "exit 0")
        with pytest.raises(UsageError, match="does not say that it is a MariaDB"):
            mariadb.binaries()

    def test_a_program_that_cannot_run_is_refused(self, tools: Path) -> None:
        for name in ("mariadbd", "mariadb", "mariadb-dump", "mariadb-install-db"):
            script(tools / name, "exit 127")
        with pytest.raises(UsageError, match="cannot be run"):
            mariadb.binaries()

    @pytest.mark.usefixtures("tools")
    def test_without_apt_one_sentence_says_what_to_install(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError) as caught:
            mariadb.binaries(tmp_path / "cache")
        assert "no apt-get" in caught.value.what
        assert "apt-get install mariadb-server" in caught.value.remedy
        assert "MARIADB_BIN" in caught.value.remedy

    def test_without_a_network_one_sentence_says_so(self, tools: Path, tmp_path: Path) -> None:
        script(tools / "apt-get", "exit 100")
        script(tools / "dpkg", "exit 0")
        with pytest.raises(UsageError, match="could not be downloaded with apt-get"):
            mariadb.binaries(tmp_path / "cache")
        assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["lock"]

    def test_the_cache_is_in_the_users_cache(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
        assert mariadb.default_cache() == Path("/somewhere/raxx-bcp/mariadb")
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setenv("HOME", "/home/somebody")
        assert mariadb.default_cache() == Path("/home/somebody/.cache/raxx-bcp/mariadb")

    @pytest.mark.usefixtures("tools")
    def test_a_cache_that_cannot_be_written_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(UsageError, match=r"cache .* cannot be written to"):
            mariadb.binaries(tmp_path / "file" / "cache")

    def test_a_failed_install_db_is_an_error_and_leaves_no_template(
        self, programs: MariadbBinaries, tmp_path: Path
    ) -> None:
        script(tmp_path / "mariadb-install-db", "exit 3")
        broken = MariadbBinaries(
            programs.server,
            programs.client,
            programs.dump,
            tmp_path / "mariadb-install-db",
            programs.basedir,
            "1.2",
            programs.libraries,
        )
        with pytest.raises(PermanentError, match=r"mariadb-install-db .* failed"):
            mariadb.prepare(tmp_path / "server", binaries=broken, cache=tmp_path / "cache")
        assert not (tmp_path / "server" / "data").exists()
        assert not list((tmp_path / "cache").glob("empty-*[0-9a-f]"))


class TestUnpacking:
    """With an apt-get and a dpkg that are scripts: the packages are empty, the steps are real."""

    @pytest.fixture
    def apt(self, tools: Path, tmp_path: Path) -> Path:
        """Downloads a package that unpacks to the three programs. Every call is a line in the file that is returned."""
        calls = tmp_path / "calls"
        script(tools / "apt-get", f'echo "apt-get $*" >> {calls}\n[ -e {tmp_path}/fails ] || : > package.deb')
        programs = "for p in sbin/mariadbd bin/mariadb bin/mariadb-dump; do : > usr/$p; done"
        unpack = f"mkdir -p usr/sbin usr/bin usr/lib/x; : > usr/lib/x/libx.so.1; {programs}"
        script(tools / "dpkg", f'echo "dpkg $*" >> {calls}\nmkdir -p "$3"; cd "$3"; {unpack}')
        script(tools / "ldd", f"cat {tmp_path}/ldd 2>/dev/null; exit 0")
        for name in ("mkdir", "cat"):
            (tools / name).symlink_to(shutil.which(name, path=os.defpath) or "")
        return calls

    def test_it_happens_once(self, apt: Path, tmp_path: Path) -> None:
        first = mariadb_packages.unpacked(tmp_path / "cache")
        calls = apt.read_text()
        assert "mariadb-server-core" in calls
        assert "mariadb-client " in calls
        assert mariadb_packages.unpacked(tmp_path / "cache") == first
        assert apt.read_text() == calls
        assert mariadb_packages.libraries(first) == (first / "usr/lib/x",)

    def test_libraries_that_the_machine_lacks_are_fetched_too(self, apt: Path, tools: Path, tmp_path: Path) -> None:
        (tmp_path / "ldd").write_text("\tliburing.so.2 => not found\n\tlibc.so.6 => /lib/libc.so.6 (0x1)\n")
        script(tools / "ldd", f"[ -e {tmp_path}/asked ] || cat {tmp_path}/ldd; exit 0")
        script(tools / "touch", ":")
        script(
            tools / "apt-get",
            f'echo "apt-get $*" >> {apt}\n: > package.deb; case "$*" in *liburing2*) : > {tmp_path}/asked;; esac',
        )
        assert mariadb_packages.unpacked(tmp_path / "cache").is_dir()
        assert apt.read_text().count("apt-get -q download liburing2\n") == 1

    @pytest.mark.usefixtures("apt")
    def test_a_library_that_no_package_is_known_for_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "ldd").write_text("\tlibstrange.so.9 => not found\n")
        with pytest.raises(UsageError, match=r"need libstrange\.so\.9"):
            mariadb_packages.unpacked(tmp_path / "cache")
        assert not (tmp_path / "cache" / "packages").exists()

    @pytest.mark.usefixtures("apt")
    def test_a_library_that_stays_away_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "ldd").write_text("\tlibaio.so.1 => not found\n")
        with pytest.raises(UsageError, match=r"libaio\.so\.1 .* cannot be had"):
            mariadb_packages.unpacked(tmp_path / "cache")

    @pytest.mark.usefixtures("apt")
    def test_programs_of_another_kind_of_machine_are_refused(self, tools: Path, tmp_path: Path) -> None:
        script(tools / "ldd", "exit 1")
        with pytest.raises(UsageError, match="this machine can run"):
            mariadb_packages.unpacked(tmp_path / "cache")

    def test_own_package_lists_are_fetched_where_the_machine_has_none(
        self, apt: Path, tools: Path, tmp_path: Path
    ) -> None:
        script(
            tools / "apt-get",
            f'echo "apt-get $*" >> {apt}\ncase "$*" in *Dir::State*) : > package.deb;; *) exit 100;; esac',
        )
        assert mariadb_packages.unpacked(tmp_path / "cache").is_dir()
        first, update, download = [line for line in apt.read_text().splitlines() if line.startswith("apt-get")]
        assert first.startswith("apt-get -q download ")
        assert "Dir::State::status=/var/lib/dpkg/status" in update
        assert update.endswith(" update")
        assert " download mariadb-server-core " in download

    @pytest.mark.usefixtures("apt")
    def test_a_package_that_cannot_be_unpacked_is_named(self, tools: Path, tmp_path: Path) -> None:
        script(tools / "dpkg", "exit 2")
        with pytest.raises(UsageError, match=r"package\.deb could not be unpacked"):
            mariadb_packages.unpacked(tmp_path / "cache")
        assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["lock"]

    def test_two_processes_unpack_once(self, apt: Path, tmp_path: Path) -> None:
        code = (
            "import sys; from pathlib import Path; from raxx_bcp_sandbox.mariadb_packages import unpacked; "
            "print(unpacked(Path(sys.argv[1])))"
        )
        argv = [sys.executable, "-c", code, str(tmp_path / "cache")]
        both = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        said = {each.communicate(timeout=60)[0].strip() for each in both}
        assert said == {str(tmp_path / "cache" / "packages")}
        assert apt.read_text().count("download mariadb-server-core") == 1


def test_a_sockets_place_is_not_the_sandboxs_own_tmp() -> None:
    with tempfile.TemporaryDirectory() as directory:
        assert socket_path(Path(directory)).parent.parent == Path("/tmp")
