"""A local port that leads through the login to a port of the remote host's own loopback."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    import paramiko

_LOCAL: Final = "127.0.0.1"
_CHUNK_BYTES: Final = 64 * 1024
_OPEN_SECONDS: Final = 10.0


class Tunnel:
    """Listens while it is open. A connection that the host refuses is closed at once, as a refused one would be."""

    def __init__(self, transport: paramiko.Transport, remote_port: int) -> None:
        self._transport = transport
        self._remote_port = remote_port
        self._listener = socket.create_server((_LOCAL, 0))
        self._ends: list[paramiko.Channel | socket.socket] = [self._listener]
        self._lock = threading.Lock()
        self._open = True
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="ssh-tunnel", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._open = False
            ends, self._ends = self._ends, []
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept
        for end in ends:
            end.close()

    def _accept(self) -> None:
        while self._open:
            try:
                near, peer = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(near, peer), name="ssh-tunnel", daemon=True).start()

    def _carry(self, near: socket.socket, peer: tuple[str, int]) -> None:
        import paramiko

        try:
            far = self._transport.open_channel("direct-tcpip", (_LOCAL, self._remote_port), peer, timeout=_OPEN_SECONDS)
        except (paramiko.SSHException, EOFError, OSError):
            near.close()
            return
        with self._lock:
            if not self._open:
                near.close()
                far.close()
                return
            self._ends += [near, far]
        back = threading.Thread(target=_copy, args=(far, near), name="ssh-tunnel", daemon=True)
        back.start()
        _copy(near, far)
        back.join()
        near.close()
        far.close()
        with self._lock:
            self._ends = [end for end in self._ends if end not in (near, far)]


def _copy(source: socket.socket | paramiko.Channel, sink: socket.socket | paramiko.Channel) -> None:
    """Copy until ``source`` ends; then signal the end to ``sink``."""
    with contextlib.suppress(OSError, EOFError):
        while chunk := source.recv(_CHUNK_BYTES):
            sink.sendall(chunk)
    with contextlib.suppress(OSError, EOFError):
        sink.shutdown(socket.SHUT_WR)
