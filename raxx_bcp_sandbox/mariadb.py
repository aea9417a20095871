"""A real MariaDB on a Unix socket, from ``$MARIADB_BIN``, from PATH, or unpacked without root.

The server is a child of the process that starts it and has no network. A user who may open its socket, in a directory
of mode 0700, is root of the database without a password, as with ``sudo mariadb`` on a real host. A killed process
loses nothing that was committed; a machine crash may lose a second.

MariaDB refuses to run as root without an option. Started by root it gets that option: its files then belong to the
sandbox's owner, and a copy of them, which is what a snapshot is here, boots again in any place.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import psutil

from raxx_bcp.errors import PermanentError, TransientError, UsageError
from raxx_bcp_sandbox.last_words import last_words, log_size, with_last_words
from raxx_bcp_sandbox.mariadb_install import BIN_VARIABLE, DATA, MariadbBinaries, binaries, default_cache, prepare
from raxx_bcp_sandbox.mariadb_install import binaries as find_binaries
from raxx_bcp_sandbox.waiting import Clock

__all__ = [
    "BIN_VARIABLE",
    "MariadbBinaries",
    "MariadbServer",
    "SqlFailedError",
    "binaries",
    "default_cache",
    "prepare",
    "socket_path",
    "stop_leftover",
]

MAX_PACKET: Final = "64M"
_SOCKETS: Final = Path("/tmp")  # noqa: S108 - a socket's path has 107 bytes at most; a sandbox's may be longer
_START_SECONDS, _STOP_SECONDS, _KILL_SECONDS = 30.0, 20.0, 5.0
_TOOL_SECONDS: Final = 600
_GREETING_SECONDS: Final = 0.2
_PROTOCOL: Final = 10
_SETTINGS: Final = (
    "--skip-networking",
    "--skip-name-resolve",
    f"--max-allowed-packet={MAX_PACKET}",
    "--character-set-server=utf8mb4",
    "--collation-server=utf8mb4_unicode_ci",
    "--default-time-zone=+00:00",
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=16M",
    "--innodb-autoextend-increment=8",  # the default is 64 MB, and each snapshot copies them
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-buffer-pool-dump-at-shutdown=0",
    "--innodb-buffer-pool-load-at-startup=0",
    # Nothing writes while the process is stopped: see `frozen`.
    "--innodb-use-native-aio=0",
    "--local-infile=0",
    "--max-connections=50",
    # No statement is in any log: a statement can hold a customer's mail.
    "--general-log=0",
    "--slow-query-log=0",
)
_ERROR: Final = re.compile(r"^ERROR (\d+) \((\w+)\)", re.MULTILINE)


class SqlFailedError(PermanentError):
    """MariaDB refused a statement. ``code`` is its number, 0 when the client could not send it."""

    def __init__(self, what: str, remedy: str, code: int = 0) -> None:
        super().__init__(what, remedy)
        self.code = code


def socket_path(directory: Path) -> Path:
    """The socket of the server of ``directory``: a short path, and the same every time."""
    name = hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:16]
    return _SOCKETS / f"raxx-my-{os.getuid()}-{name}" / "s"


def data_directory(directory: Path) -> Path:
    """The data directory of the server of ``directory``."""
    return directory.resolve() / DATA


class MariadbServer:
    """One server with its databases in ``directory``. Use as a context manager."""

    def __init__(
        self,
        directory: Path,
        *,
        binaries: MariadbBinaries | None = None,
        cache: Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.directory = directory.resolve()
        self.data = data_directory(directory)
        self.socket = socket_path(directory)
        self.binaries = binaries or find_binaries(cache)
        self._cache = cache
        self._clock = clock or Clock()
        self._process: subprocess.Popen[bytes] | None = None
        self._log = self.directory / "server.log"
        self._log_from = 0

    def __enter__(self) -> MariadbServer:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"MariadbServer({str(self.directory)!r})"

    @property
    def version(self) -> str:
        """Such as ``10.11.19``."""
        return self.binaries.version

    @property
    def pid(self) -> int | None:
        """Of the server that this object started; None before ``start`` and after ``stop``."""
        return None if self._process is None else self._process.pid

    def alive(self) -> bool:
        """Does the server that this object started still run?"""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server and return when it accepts queries; 0.3 to 1 s.

        The data directory is made when there is none. A server that an earlier process left behind on it is stopped
        first. Raises ``TransientError`` when it does not start, ``UsageError`` when there is no place for its socket.
        """
        stop_leftover(self.directory, self._clock)
        prepare(self.directory, binaries=self.binaries, cache=self._cache)
        _make_socket_directory(self.socket.parent)
        own = (
            f"--datadir={self.data}",
            f"--socket={self.socket}",
            f"--pid-file={_pid_file(self.directory)}",
            # A server that starts deletes every `#sql` file of its temporary folder. In a shared folder these are
            # another server's open tables: its queries then fail, or it crashes.
            f"--tmpdir={self.socket.parent}",
        )
        self._log_from = log_size(self._log)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self.binaries.server, "--no-defaults", *self.binaries.server_options(), *own, *_SETTINGS],
                cwd=self.data,
                env=self.binaries.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl+C in a terminal is for the server's owner, which then stops it
            )
        if not self._clock.until(self._answers, _START_SECONDS):
            self.stop()
            raise self._failed("did not start")

    def stop(self) -> None:
        """Stop the server cleanly, even with open connections, and wait until it is gone. Safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _remove_socket_directory(self.socket.parent)

    def kill(self) -> None:
        """Kill the server at once: what was committed is there at the next start."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def client_argv(self, name: str = "mariadb", *arguments: str) -> list[str]:
        """The command line of ``mariadb`` or ``mariadb-dump`` as root of this server; see ``binaries.environment``."""
        program = {"mariadb": self.binaries.client, "mariadb-dump": self.binaries.dump}[name]
        where = ("--no-defaults", f"--socket={self.socket}", "--user=root", "--default-character-set=utf8mb4")
        return [str(program), *where, *arguments]

    def sql(self, script: str | bytes, database: str = "") -> list[list[str]]:
        """Run statements and return all their rows, each value as text (SQL's NULL is ``NULL``).

        Not for values with a line break or a tab. Raises ``SqlFailedError``, which has no word of the statement.
        """
        done = subprocess.run(
            self._client_argv(database),
            env=self.binaries.environment(),
            input=script.encode() if isinstance(script, str) else script,
            capture_output=True,
            timeout=_TOOL_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise _sql_failed(done.stderr, database)
        return [line.split("\t") for line in done.stdout.decode(errors="replace").split("\n")[:-1]]

    def load(self, chunks: Iterable[bytes], database: str = "") -> None:
        """Run a script that comes in pieces, such as a dump, and returns no rows. Raises ``SqlFailedError``."""
        with subprocess.Popen(
            self._client_argv(database),
            env=self.binaries.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as client:
            if client.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    for chunk in chunks:
                        client.stdin.write(chunk)
            _out, error = client.communicate(timeout=_TOOL_SECONDS)
        if client.returncode != 0:
            raise _sql_failed(error, database)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze the server: a copy of ``directory`` made meanwhile has the content of a disk snapshot."""
        if self._process is None:
            yield
            return
        running = psutil.Process(self._process.pid)
        running.suspend()
        try:
            self._clock.until(lambda: running.status() == psutil.STATUS_STOPPED, _KILL_SECONDS, every=0.005)
            yield
        finally:
            running.resume()

    def _client_argv(self, database: str) -> list[str]:
        options = ("--batch", "--raw", "--skip-column-names", "--skip-print-query-on-error")
        return self.client_argv("mariadb", *options, f"--max-allowed-packet={MAX_PACKET}", *filter(None, [database]))

    def _answers(self) -> bool:
        if not self.alive():
            raise self._failed("stopped right after its start")
        return greets(self.socket)

    def _failed(self, how: str) -> TransientError:
        return TransientError(
            with_last_words(f"MariaDB {how} on {self.directory}.", last_words(self._log, self._log_from)),
            f"Run raxx-bcp sandbox up, which tries again; all that it said is in {self._log}.",
        )


def greets(path: Path) -> bool:
    """Does a MariaDB that accepts queries listen on the socket ``path``? Its first packet has its protocol."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(_GREETING_SECONDS)
            probe.connect(str(path))
            first = probe.recv(5)
    except OSError:
        return False
    return len(first) == 5 and first[4] == _PROTOCOL


def stop_leftover(directory: Path, clock: Clock | None = None) -> bool:
    """Stop a server that runs on ``directory`` although its starter is gone; return whether there was one.

    A pid proves nothing, since the system reuses pids: it must be a process that works in that directory.
    """
    process = _leftover(directory.resolve())
    clock = clock or Clock()
    if process is not None:
        for number, seconds in ((signal.SIGTERM, _STOP_SECONDS), (signal.SIGKILL, _KILL_SECONDS)):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)
                process.send_signal(number)
            if clock.until(lambda: not _runs(process), seconds):
                break
    _remove_socket_directory(socket_path(directory).parent)
    return process is not None


def _leftover(directory: Path) -> psutil.Process | None:
    try:
        process = psutil.Process(int(_pid_file(directory).read_text()))
        return process if Path(process.cwd()) == data_directory(directory) else None
    except (OSError, ValueError, psutil.Error):
        return None


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _pid_file(directory: Path) -> Path:
    return directory.resolve() / "server.pid"


def _make_socket_directory(path: Path) -> None:
    """It must be ours: in a directory that everybody may write to, another user could have created it first."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o170777 != 0o040700:
        raise UsageError(f"{path} is not a private directory of this user.", f"Remove {path}, then try again.")


def _remove_socket_directory(path: Path) -> None:
    with contextlib.suppress(OSError):
        for left in path.iterdir():
            left.unlink()
        path.rmdir()


def _sql_failed(error: bytes, database: str) -> SqlFailedError:
    """Only the number of MariaDB's error: its text can quote the row."""
    found = _ERROR.search(error.decode(errors="replace"))
    code, state = (int(found.group(1)), found.group(2)) if found else (0, "no answer")
    return SqlFailedError(
        f"MariaDB refused a statement on {database or 'the server'} with error {code} ({state}).",
        "Look the number up in MariaDB's error list; the statement itself is not shown on purpose.",
        code,
    )
