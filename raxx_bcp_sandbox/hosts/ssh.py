"""The SSH server of one instance: certificate logins, commands, and tunnels to the instance itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncssh

from raxx_bcp_sandbox.hosts.user_data import led

_CHUNK: Final = 256 * 1024
_WINDOW: Final = 4 * 1024 * 1024
_LOGIN_SECONDS: Final = 30
_LOOPBACK: Final = ("127.0.0.1", "localhost")
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
asyncssh.set_log_level(logging.CRITICAL)  # refused logins and lost connections are normal in a drill


@dataclass(frozen=True)
class Inside:
    """Where commands run."""

    directory: Path
    environment: Mapping[str, str]


class SshServer:
    """Listens at ``address``:``port`` for ``user`` with a certificate of ``authority`` (a public key's line).

    ``lets_in`` decides on the peer of every connection: a refused one is closed before a byte is sent.
    """

    def __init__(
        self,
        address: str,
        port: int,
        *,
        user: str,
        authority: str,
        keys: Sequence[asyncssh.SSHKey],
        inside: Inside,
        lets_in: Callable[[str], bool],
    ) -> None:
        self._where = (address, port)
        self._user = user
        self._authority = asyncssh.import_authorized_keys(f'cert-authority,principals="{user}" {authority}')
        self._keys = list(keys)
        self._inside = inside
        self._lets_in = lets_in
        self._socket: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[asyncssh.SSHServerConnection] = set()

    async def open(self) -> None:
        """Listen. Raises ``OSError`` when another program has the port."""
        self._socket = socket.create_server(self._where, backlog=64)
        self._socket.setblocking(False)
        self._keep(self._accept(self._socket))

    async def close(self) -> None:
        """Stop listening, and cut every connection."""
        listening, self._socket = self._socket, None
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if listening is not None:
            listening.close()
        for connection in list(self._connections):
            connection.abort()

    def _keep(self, coroutine: Any) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(listening)
            except OSError:
                await asyncio.sleep(0.05)  # out of file descriptors, or the peer is already gone
                continue
            if peer[0] != self._where[0] and not self._lets_in(peer[0]):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                connection.close()
            else:
                self._keep(self._serve(connection))

    async def _serve(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        with contextlib.suppress(asyncssh.Error, OSError, asyncio.TimeoutError):
            served = await asyncssh.run_server(
                connection,
                server_factory=lambda: _Door(self._where[0], self._user, self._authority),
                server_host_keys=self._keys,
                process_factory=self._run,
                encoding=None,
                window=_WINDOW,
                login_timeout=_LOGIN_SECONDS,
                allow_scp=False,
                server_version="OpenSSH_8.9p1",
                keepalive_interval=0,
            )
            self._connections.add(served)
            try:
                await served.wait_closed()
            finally:
                self._connections.discard(served)
                served.abort()

    async def _run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """One command, or a login shell."""
        command = process.command
        argv = ["/bin/sh"] if command is None else ["/bin/sh", "-c", led(command, self._inside.directory)]
        try:
            local = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=self._inside.directory,
                env=dict(self._inside.environment),
                start_new_session=True,
                limit=_CHUNK,
            )
        except OSError:
            process.exit(126)
            return
        feeding = asyncio.ensure_future(_feed(process, local))
        outputs = [_drain(local.stdout, process.stdout), _drain(local.stderr, process.stderr)]
        await asyncio.gather(*outputs)
        status = await local.wait()
        feeding.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await feeding
        if status < 0:
            process.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))
        else:
            process.exit(status)


class _Door(asyncssh.SSHServer):
    """Who may log in, and where tunnels may lead: to the instance itself."""

    def __init__(self, address: str, user: str, authority: asyncssh.SSHAuthorizedKeys) -> None:
        self._address = address
        self._user = user
        self._authority = authority
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    def begin_auth(self, username: str) -> bool:
        if self._connection is not None and username == self._user:
            self._connection.set_authorized_keys(self._authority)
        return True

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> Any:  # noqa: ARG002
        if self._connection is None or dest_host not in (*_LOOPBACK, self._address):
            return False
        return self._connection.forward_connection(self._address, dest_port)


async def _feed(process: asyncssh.SSHServerProcess[bytes], local: asyncio.subprocess.Process) -> None:
    """The client's input, no faster than the command reads it; and the signals that the client sends."""
    inlet = local.stdin
    if inlet is None:
        return
    with contextlib.suppress(ConnectionError, asyncssh.Error):
        while True:
            try:
                data = await process.stdin.read(_CHUNK)
            except asyncssh.SignalReceived as sent:
                _signal(local, sent.signal)
                continue
            except (asyncssh.BreakReceived, asyncssh.TerminalSizeChanged):
                continue
            if not data:
                break
            inlet.write(data)
            await inlet.drain()
    with contextlib.suppress(ConnectionError):
        inlet.close()


async def _drain(outlet: asyncio.StreamReader | None, writer: asyncssh.SSHWriter[bytes]) -> None:
    """The command's output, no faster than the client reads it.

    When the client disconnects, the command's pipe closes.
    """
    if outlet is None:
        return
    while data := await outlet.read(_CHUNK):
        try:
            writer.write(data)
            await writer.drain()
        except (ConnectionError, asyncssh.Error, BrokenPipeError):
            break
    transport = getattr(outlet, "_transport", None)
    if transport is not None:
        transport.close()


def _signal(local: asyncio.subprocess.Process, name: str) -> None:
    number = getattr(signal, f"SIG{name}", None)
    if number is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(local.pid, number)
