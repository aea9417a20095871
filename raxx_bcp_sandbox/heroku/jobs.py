"""Running backups and restores: real ``pg_dump`` and ``pg_restore``, each in a thread, monitored and cancellable."""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
from collections.abc import Iterator, Sequence
from typing import IO, Final

import psycopg
import requests

from raxx_bcp.errors import BcpError
from raxx_bcp_sandbox.heroku import faults as names
from raxx_bcp_sandbox.heroku.administrator import HEROKU_EXT
from raxx_bcp_sandbox.heroku.backups import BackupFiles, make_dump
from raxx_bcp_sandbox.heroku.databases import Databases
from raxx_bcp_sandbox.heroku.faults import HerokuFaults
from raxx_bcp_sandbox.heroku.production import LEAF, TYPE
from raxx_bcp_sandbox.heroku.records import Addon, Transfer
from raxx_bcp_sandbox.heroku.transfers import Transfers

_CHUNK: Final = 1 << 18
_FETCH_TIMEOUT: Final = (5.0, 60.0)
_JOIN_SECONDS: Final = 10.0
_OLD_VERSION: Final = "1.5"
_IGNORED: Final = re.compile(r"errors ignored on restore: (\d+)")


class Jobs:
    """The jobs that run now."""

    def __init__(self, transfers: Transfers, databases: Databases, files: BackupFiles, faults: HerokuFaults) -> None:
        self._transfers = transfers
        self._databases = databases
        self._files = files
        self._faults = faults
        self._running: dict[str, _Job] = {}
        self._lock = threading.Lock()
        self._session = requests.Session()
        self._session.trust_env = False

    def capture(self, addon: Addon, transfer: Transfer) -> None:
        """Start a backup."""
        self._start(_Capture(self._transfers, self._databases, self._files, addon, transfer.uuid))

    def restore(self, addon: Addon, transfer: Transfer, extensions: Sequence[str]) -> None:
        """Start a restore of what is at ``transfer.from_url``, which must be on loopback, over a database.

        The faults that are on now apply to it.
        """
        struck = next((each for each in names.RESTORES if self._faults.on(each)), None)
        job = _Restore(self._transfers, self._databases, self._session, addon, transfer, extensions, struck)
        self._start(job)

    def cancel(self, uuid: str) -> bool:
        """Record it as cancelled and kill its program; return False when it does not run."""
        cancelled = self._transfers.cancel(uuid)
        with self._lock:
            job = self._running.get(uuid)
        if job is not None:
            job.stop()
        return cancelled

    def wait(self, uuid: str, seconds: float = 600.0) -> None:
        """Wait until a job has ended."""
        with self._lock:
            job = self._running.get(uuid)
        if job is not None:
            job.thread.join(timeout=seconds)

    def close(self) -> None:
        """Kill everything that runs, and wait for its end. The transfers stay unfinished until the next start."""
        with self._lock:
            jobs = list(self._running.values())
        for job in jobs:
            job.stop()
        for job in jobs:
            job.thread.join(timeout=_JOIN_SECONDS)
        self._session.close()

    def _start(self, job: _Job) -> None:
        with self._lock:
            self._running = {uuid: each for uuid, each in self._running.items() if each.thread.is_alive()}
            self._running[job.uuid] = job
            job.thread.start()


class _Job:
    """One running transfer."""

    def __init__(self, transfers: Transfers, databases: Databases, addon: Addon, uuid: str) -> None:
        self.uuid = uuid
        self.thread = threading.Thread(target=self._run, name=f"transfer-{uuid}", daemon=True)
        self.stopped = threading.Event()
        self.transfers = transfers
        self.databases = databases
        self.addon = addon
        self._process: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        """Kill its program; the thread ends soon after."""
        self.stopped.set()
        process = self._process
        if process is not None:
            process.kill()

    def work(self) -> tuple[bool, int]:
        """Run it; return whether it succeeded, and how many errors were ignored."""
        raise NotImplementedError

    def _run(self) -> None:
        try:
            succeeded, warnings = self.work()
        except (OSError, psycopg.Error, requests.RequestException, subprocess.SubprocessError, BcpError) as error:
            if self.stopped.is_set():
                return
            # An exception's text may hold an address with its signature.
            self.transfers.say(self.uuid, f"transfer failed: {type(error).__name__}", "error")
            succeeded, warnings = False, 0
        if not self.stopped.is_set():
            self.transfers.finish(self.uuid, succeeded=succeeded, warnings=warnings)


class _Capture(_Job):
    """pg_dump, into a file."""

    def __init__(self, transfers: Transfers, databases: Databases, files: BackupFiles, addon: Addon, uuid: str) -> None:
        super().__init__(transfers, databases, addon, uuid)
        self._files = files

    def work(self) -> tuple[bool, int]:
        path = self._files.path(self.uuid)
        said = make_dump(self.databases, self.addon, path)
        if said:
            self.transfers.say(self.uuid, said, "error")
            return False, 0
        self.transfers.moved(self.uuid, path.stat().st_size)
        return True, 0


class _Restore(_Job):
    """``htcat`` into ``pg_restore``: fetched and restored in one stream, as Heroku does it."""

    def __init__(
        self,
        transfers: Transfers,
        databases: Databases,
        session: requests.Session,
        addon: Addon,
        transfer: Transfer,
        extensions: Sequence[str],
        struck: str | None,
    ) -> None:
        super().__init__(transfers, databases, addon, transfer.uuid)
        self._session = session
        self._url = transfer.from_url
        self._extensions = extensions
        self._struck = struck

    def work(self) -> tuple[bool, int]:
        if self._struck != names.RESTORE_LACKS_EXTENSIONS:
            self._make_extensions()
        fetched = self._session.get(self._url, stream=True, allow_redirects=False, timeout=_FETCH_TIMEOUT)
        with fetched, self._refusing():
            if fetched.status_code != requests.codes.ok:
                self.transfers.say(self.uuid, f"htcat: the backup was refused with {fetched.status_code}", "error")
                return False, 0
            return self._restored(fetched)

    def _make_extensions(self) -> None:
        """The requested extensions, ``name`` or ``schema.name``."""
        for wanted in self._extensions:
            schema, _dot, name = wanted.rpartition(".")
            old = name == names.OLD_EXTENSION and self._struck == names.RESTORE_OTHER_EXTENSION
            version = _OLD_VERSION if old else ""
            if not self.databases.add_extension(self.addon, name, schema=schema or HEROKU_EXT, version=version):
                self.transfers.say(self.uuid, f"extension {name} is not available", "warning")

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        if self._struck == names.RESTORE_WARNS:
            self.databases.refuse_rows(self.addon, LEAF)
        elif self._struck == names.RESTORE_LACKS_TYPE:
            self.databases.refuse_object(self.addon, "CREATE TYPE", f"public.{TYPE}")
        elif self._struck == names.RESTORE_SKIPS_TABLE:
            self.databases.refuse_object(self.addon, "CREATE TABLE", f"public.{LEAF}")
        else:
            yield
            return
        try:
            yield
        finally:
            with contextlib.suppress(psycopg.Error):  # the database may have gone away with its app
                self.databases.accept(self.addon)

    def _restored(self, fetched: requests.Response) -> tuple[bool, int]:
        server, addon = self.databases.server, self.addon
        options = ("--no-owner", "--no-acl", "--verbose", f"--dbname={addon.database}")
        with subprocess.Popen(
            server.tool("pg_restore", addon.user, *options),
            env=server.environment(addon.password),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as process:
            self._process = process
            if self.stopped.is_set():
                process.kill()
            assert process.stdin is not None  # noqa: S101 - for mypy: both are pipes
            assert process.stderr is not None  # noqa: S101
            said: list[str] = []
            reader = threading.Thread(target=self._listen, args=(process.stderr, said), daemon=True)
            reader.start()
            try:
                self._feed(fetched, process.stdin)
            except BrokenPipeError:
                pass  # pg_restore has stopped, and reports why
            except BaseException:
                process.kill()
                raise
            finally:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
                code = process.wait()
                reader.join()
        ignored = next((found for line in said if (found := _IGNORED.search(line))), None)
        if code != 0 and ignored is None:
            return False, 0
        return True, int(ignored.group(1)) if ignored else 0

    def _feed(self, fetched: requests.Response, program: IO[bytes]) -> None:
        """Pass the backup on; with a fault, only half of it or nothing."""
        half = int(fetched.headers.get("content-length", "0")) // 2
        limit = half if self._struck in (names.RESTORE_HANGS, names.RESTORE_FAILS) else None
        passed = 0
        for chunk in fetched.iter_content(_CHUNK):
            part = chunk if limit is None else chunk[: limit - passed]
            program.write(part)
            passed += len(part)
            self.transfers.moved(self.uuid, passed)
            if passed == limit:
                break
        if self._struck == names.RESTORE_HANGS:
            program.flush()
            self.stopped.wait()

    def _listen(self, pipe: IO[bytes], said: list[str]) -> None:
        for raw in pipe:
            line = raw.decode(errors="replace").rstrip()
            if not line:
                continue
            level = "error" if "error:" in line else "warning" if "warning:" in line else "info"
            self.transfers.say(self.uuid, line, level)
            if level == "warning":
                said.append(line)
