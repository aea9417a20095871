"""A small real SSH server for a test: certificate logins, real commands in a directory of its own, and tunnels.

    with ssh_lab(tmp_path) as lab:
        with connect(lab.access(), lab.port) as shell:
            shell.run("echo hello", timeout_seconds=5)

Commands find the programs of ``lab.program(name, text)`` first. What makes a host a bad one is an argument.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import asyncssh

from raxx_bcp.clients.instance_shapes import Access

USER: Final = "ubuntu"
_CHUNK: Final = 256 * 1024
_SUDO: Final = '#!/bin/sh\n[ "$1" = -n ] || exit 1\nshift\nexec "$@"\n'

HOST_KEYS: Final = [asyncssh.generate_private_key(kind) for kind in ("ssh-ed25519", "ecdsa-sha2-nistp256")]
RSA_HOST_KEY: Final = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
AUTHORITY: Final = asyncssh.generate_private_key("ssh-ed25519")
USER_KEY: Final = asyncssh.generate_private_key("ssh-rsa", key_size=2048)


@dataclass
class Lab:
    """A served host."""

    port: int
    home: Path
    host_keys: list[asyncssh.SSHKey]
    server: _Server
    loop: asyncio.AbstractEventLoop

    @property
    def commands(self) -> list[str]:
        """Every command that was asked for, as it was asked for."""
        return self.server.commands

    def access(self, *, user: str = USER, expired: bool = False, authority: asyncssh.SSHKey = AUTHORITY) -> Access:
        """What GetInstanceAccessDetails says of this host."""
        now = datetime.now(UTC)
        until = now - timedelta(hours=1) if expired else now + timedelta(minutes=5)
        certificate = authority.generate_user_certificate(
            USER_KEY,
            "lab",
            principals=[user],
            valid_after=int((now - timedelta(hours=2)).timestamp()),
            valid_before=int(until.timestamp()),
        )
        return Access(
            user=user,
            address="127.0.0.1",
            host_keys=pinned(self.host_keys),
            expires_utc=until,
            private_key=USER_KEY.export_private_key("pkcs1-pem").decode(),
            certificate=certificate.export_certificate().decode(),
        )

    def program(self, name: str, text: str) -> None:
        """A program that commands find before all others; ``text`` is a shell script without its first line."""
        file = self.home / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)

    def cut(self) -> None:
        """Break every connection, as a host does that is switched off."""
        asyncio.run_coroutine_threadsafe(self.server.cut(), self.loop).result(5)


def pinned(keys: list[asyncssh.SSHKey]) -> tuple[tuple[str, str], ...]:
    """Host keys as ``Access`` has them."""
    words = [key.export_public_key().decode().split()[:2] for key in keys]
    return tuple((algorithm, public) for algorithm, public in words)


def with_keys(access: Access, keys: list[asyncssh.SSHKey]) -> Access:
    """The same login, and other host keys."""
    return replace(access, host_keys=pinned(keys))


@contextmanager
def ssh_lab(home: Path, host_keys: list[asyncssh.SSHKey] | None = None, port: int = 0) -> Iterator[Lab]:
    """A host in this process. ``home`` is its login's home directory."""
    keys = host_keys or HOST_KEYS
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = _Server(home)
    bound = asyncio.run_coroutine_threadsafe(server.listen(keys, port), loop).result(10)
    lab = Lab(bound, home, keys, server, loop)
    lab.program("sudo", _SUDO)
    try:
        yield lab
    finally:
        asyncio.run_coroutine_threadsafe(server.close(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


class _Server:
    def __init__(self, home: Path) -> None:
        self.commands: list[str] = []
        self.logins: list[str] = []
        self.signals: list[str] = []
        self.connections: set[asyncssh.SSHServerConnection] = set()
        self.tasks: set[asyncio.Task[Any]] = set()
        self._home = home
        self._listener: asyncssh.SSHAcceptor | None = None

    async def listen(self, keys: list[asyncssh.SSHKey], port: int) -> int:
        asyncssh.set_log_level("CRITICAL")
        self._listener = await asyncssh.create_server(
            lambda: _Door(self),
            "127.0.0.1",
            port,
            server_host_keys=keys,
            process_factory=self.run,
            encoding=None,
        )
        return self._listener.get_port()

    async def cut(self) -> None:
        for connection in list(self.connections):
            connection.abort()

    async def close(self) -> None:
        await self.cut()
        if self._listener is not None:
            self._listener.close()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        command = process.command or ""
        self.commands.append(command)
        task = asyncio.current_task()
        if task is not None:
            self.tasks.add(task)
        early: list[str] = []
        # On a busy machine a signal comes before the process does.
        process.signal_received = lambda signal: early.append(signal)  # type: ignore[method-assign]
        local = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self._home,
            env={"HOME": str(self._home), "PATH": f"{self._home}/bin:{os.environ['PATH']}", "TZ": "UTC"},
            start_new_session=True,
            preexec_fn=_default_signals,
            limit=_CHUNK,
        )
        process.signal_received = lambda signal: self._signal(local, signal)  # type: ignore[method-assign]
        for name in early:
            self._signal(local, name)
        try:
            feeding = asyncio.ensure_future(_feed(process, local))
            await asyncio.gather(_drain(local.stdout, process.stdout), _drain(local.stderr, process.stderr))
            status = await local.wait()
            feeding.cancel()
            if status < 0:
                process.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))
            else:
                process.exit(status)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(local.pid, signal.SIGKILL)
            await local.wait()
            vars(local)["_transport"].close()

    def _signal(self, local: asyncio.subprocess.Process, name: str) -> None:
        """As OpenSSH does it, at any time; asyncssh itself forgets signals after the end of the input."""
        self.signals.append(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(local.pid, signal.Signals[f"SIG{name}"])


def _default_signals() -> None:
    """A command begins as under a real server, whatever this process ignores or holds back.

    Dagster gives SIGTERM what SIGINT has: in a process that was started with SIGINT ignored (``nohup … &``), every
    child of a test would ignore SIGTERM.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


class _Door(asyncssh.SSHServer):
    def __init__(self, server: _Server) -> None:
        self._server = server
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._server.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncssh's
        if self._connection is not None:
            self._server.connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        self._server.logins.append(username)
        line = f'cert-authority,principals="{USER}" {AUTHORITY.export_public_key().decode()}'
        if self._connection is not None and username == USER:
            self._connection.set_authorized_keys(asyncssh.import_authorized_keys(line))
        return True

    def connection_requested(self, dest_host: str, *_rest: object) -> bool:
        return dest_host == "127.0.0.1"


async def _feed(process: asyncssh.SSHServerProcess[bytes], local: asyncio.subprocess.Process) -> None:
    inlet = local.stdin
    assert inlet is not None
    with contextlib.suppress(ConnectionError, asyncssh.Error):
        while True:
            data = await process.stdin.read(_CHUNK)
            if not data:
                break
            inlet.write(data)
            await inlet.drain()
    inlet.close()


async def _drain(outlet: asyncio.StreamReader | None, writer: asyncssh.SSHWriter[bytes]) -> None:
    assert outlet is not None
    with contextlib.suppress(ConnectionError, asyncssh.Error):
        while data := await outlet.read(_CHUNK):
            writer.write(data)
            await writer.drain()
