"""The services behind an instance's units: real processes, a MariaDB, and cron's ticks."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from raxx_bcp.errors import PermanentError
from raxx_bcp_sandbox.mariadb import MariadbServer, SqlFailedError
from raxx_bcp_sandbox.waiting import Clock

_START_SECONDS: Final = 20.0
_TERM_SECONDS: Final = 3.0


class Service(Protocol):
    """The service behind a unit."""

    def start(self) -> None:
        """Start it. Raises ``BcpError`` when it does not start."""

    def stop(self) -> None:
        """Stop it; safe when it does not run."""

    def alive(self) -> bool:
        """Does it run?"""


class NoProcess:
    """A unit without a process in the sandbox: it is active after its start, and does nothing."""

    def __init__(self) -> None:
        self._on = False

    def start(self) -> None:
        """Mark it as active."""
        self._on = True

    def stop(self) -> None:
        """It is not."""
        self._on = False

    def alive(self) -> bool:
        """Was it started?"""
        return self._on


class ProcessService:
    """A program that listens at ``address``:``port`` and runs until it is stopped."""

    def __init__(
        self, argv: Sequence[str], environment: Mapping[str, str], log: Path, *, address: str, port: int
    ) -> None:
        self._argv = list(argv)
        self._environment = dict(environment)
        self._log = log
        self._where = (address, port)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens. Raises ``PermanentError`` when it does not."""
        self._process = spawn(self._argv, self._environment, self._log)
        if not Clock().until(self._over, _START_SECONDS) or not self.alive():
            self.stop()
            raise PermanentError(f"Nothing listens at {self._where[0]}:{self._where[1]}.", f"Read {self._log}.")

    def stop(self) -> None:
        """Stop it and all that it started."""
        process, self._process = self._process, None
        if process is not None:
            end(process)

    def alive(self) -> bool:
        """Does it run?"""
        return self._process is not None and self._process.poll() is None

    def _over(self) -> bool:
        return not self.alive() or listens(*self._where)


class MariadbService:
    """The instance's MariaDB; with ``broken`` it never starts, with ``locked`` its root has a password."""

    def __init__(self, server: Callable[[], MariadbServer], *, broken: bool, locked: bool = False) -> None:
        self._make = server
        self._broken = broken
        self._locked = locked
        self.server: MariadbServer | None = None

    def start(self) -> None:
        """Start it. Raises ``BcpError`` when it does not start."""
        if self._broken:
            raise PermanentError("MariaDB does not start.", "The sandbox was told so by a fault.")
        server = self._make()
        server.start()
        if self._locked:
            with contextlib.suppress(SqlFailedError):  # refused: an earlier boot has set one
                server.sql(f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{secrets.token_hex(16)}'")
        self.server = server

    def stop(self) -> None:
        """Stop it cleanly."""
        server, self.server = self.server, None
        if server is not None:
            server.stop()

    def alive(self) -> bool:
        """Does it run?"""
        return self.server is not None and self.server.alive()


class CronService:
    """Runs ``argv`` again and again: first after ``first_seconds``, then every ``every_seconds`` from tick to tick."""

    def __init__(
        self,
        argv: Sequence[str] | None,
        environment: Mapping[str, str],
        log: Path,
        *,
        first_seconds: float,
        every_seconds: float,
    ) -> None:
        self._argv = argv
        self._environment = environment
        self._log = log
        self._first, self._every = first_seconds, every_seconds
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start to tick."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._stopping,), name="cron", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop ticking. What a tick has started continues, as it does on a real host: see ``pkill``."""
        self._stopping.set()
        self._thread = None

    def alive(self) -> bool:
        """Does it tick?"""
        return self._thread is not None

    def _run(self, stopping: threading.Event) -> None:
        pause = self._first
        while not stopping.wait(pause):
            pause = self._every
            if self._argv is not None:
                with contextlib.suppress(OSError):
                    spawn(self._argv, self._environment, self._log).wait()


def spawn(
    argv: Sequence[str], environment: Mapping[str, str], log: Path, directory: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a program in its own session, output to ``log``."""
    with log.open("ab") as file:
        return subprocess.Popen(
            list(argv),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd=directory,
            start_new_session=True,
        )


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the process's session, and SIGKILL soon after."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_TERM_SECONDS)
            return


def listens(address: str, port: int) -> bool:
    """Does anything accept connections there?"""
    try:
        socket.create_connection((address, port), timeout=1.0).close()
    except OSError:
        return False
    return True
