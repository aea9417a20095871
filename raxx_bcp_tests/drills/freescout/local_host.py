"""This machine as the host that a FreeScout is restored to: a real MariaDB, a real site, real programs, no SSH."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import requests

from raxx_bcp.drills.hosts.shell import SQL_CLIENT, DatabaseError
from raxx_bcp.errors import PermanentError
from raxx_bcp_sandbox import freescout
from raxx_bcp_sandbox.dagster_dev import free_port
from raxx_bcp_sandbox.mariadb import MariadbServer

BOOTSTRAP = "import sys; f = sys.stdin.buffer; n = int(f.readline()); exec(compile(f.read(n), 'sent', 'exec'))"


@dataclass
class LocalHost:
    """Acts like ``drills.host.Host`` with its home in ``home``. What its programs printed is in ``printed``."""

    home: Path
    server: MariadbServer
    port: int
    printed: list[bytes] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    client: Sequence[str] = SQL_CLIENT

    @property
    def site(self) -> Path:
        return self.home / freescout.SITE

    def reset(self, version: str = freescout.VERSION) -> None:
        """As it is after the launch script of an empty instance: the code, and a MariaDB without databases."""
        self.server.sql(f"DROP DATABASE IF EXISTS {freescout.DATABASE}")
        shutil.rmtree(self.site, ignore_errors=True)
        with tarfile.open(fileobj=io.BytesIO(freescout.code_archive(version))) as archive:
            archive.extractall(self.home, filter="data")
        (self.home / f"freescout-{version}").rename(self.site)

    def sql(self, script: str, *, database: str = "", timeout_seconds: float | None = None) -> list[list[str]]:
        try:
            done = self._run([*self.client, database], script.encode(), timeout_seconds=timeout_seconds)
        except PermanentError as error:
            said = re.search(rb"^ERROR (\d+)", (self.home / "stderr").read_bytes(), re.MULTILINE)
            raise DatabaseError(error.what, error.remedy, code=int(said[1]) if said else 0, exit_code=1) from None
        return [line.split("\t") for line in done.decode().splitlines()]

    def python(
        self, source: str, *, stdin: bytes | Iterable[bytes] = b"", timeout_seconds: float | None = None
    ) -> bytes:
        program = source.encode()
        pieces = [stdin] if isinstance(stdin, bytes) else stdin
        python = str(Path(sys.executable).resolve())
        argv = [python, "-I", "-S", "-c", BOOTSTRAP]
        return self._run(argv, _ahead(program, pieces), timeout_seconds=timeout_seconds)

    def run(
        self,
        purpose: str,
        argv: Sequence[str],
        *,
        stdin: bytes | Iterable[bytes] = b"",
        timeout_seconds: float | None = None,
    ) -> bytes:
        if argv[0] == "chown":
            return b""  # whoever runs the tests may not
        return self._run(list(argv), stdin, purpose, timeout_seconds=timeout_seconds)

    def _run(
        self,
        argv: list[str],
        stdin: bytes | Iterable[bytes],
        purpose: str = "",
        *,
        timeout_seconds: float | None = None,
    ) -> bytes:
        self.ran.append(shlex.join(argv))
        environment = {"PATH": f"{self.home / 'bin'}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
        pieces = [stdin] if isinstance(stdin, bytes) else stdin
        with (
            (self.home / "stderr").open("wb") as stderr,
            (self.home / "stdout").open("w+b") as stdout,
            subprocess.Popen(
                argv, cwd=self.home, env=environment, stdin=subprocess.PIPE, stdout=stdout, stderr=stderr
            ) as process,
        ):
            assert process.stdin is not None
            try:
                with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
                    for piece in pieces:
                        pipe.write(piece)
            except BaseException:
                process.kill()
                raise
            code = process.wait(timeout_seconds)
            stdout.seek(0)
            printed = stdout.read()
        self.printed.append(printed)
        if code != 0:
            raise PermanentError(f"The host could not {purpose or argv[0]} (exit code {code}).", "Look at the host.")
        return printed


def _ahead(program: bytes, pieces: Iterable[bytes]) -> Iterator[bytes]:
    yield b"%d\n%b" % (len(program), program)
    yield from pieces


@contextlib.contextmanager
def local_host(home: Path) -> Iterator[LocalHost]:
    """A host whose MariaDB runs and whose site is served, before anything was restored to it."""
    (home / "bin").mkdir(parents=True)
    with MariadbServer(home / freescout.MARIADB) as server:
        wrapper = home / "bin" / "mariadb"
        settings = [f"{name}={value}" for name, value in server.binaries.environment().items() if name != "PATH"]
        command = shlex.join(["env", *settings, *server.client_argv("mariadb")])
        wrapper.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        wrapper.chmod(0o755)
        host = LocalHost(home, server, free_port())
        host.reset()
        with served(host):
            yield host


@contextlib.contextmanager
def served(host: LocalHost) -> Iterator[None]:
    """The host's site, by its own web server."""
    argv = freescout.site_argv("127.0.0.1", host.port, host.site, host.server.socket)
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _attempt in range(600):
            with contextlib.suppress(requests.RequestException):
                requests.get(f"http://127.0.0.1:{host.port}/", timeout=5)
                break
            time.sleep(0.05)  # a real process is being waited for
        yield
    finally:
        process.terminate()
        process.wait()
