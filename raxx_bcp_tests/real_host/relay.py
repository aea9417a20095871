"""A way from the test host's network to a server of this machine, which can be shut, and which sees what passes."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable
from typing import Final

from raxx_bcp_tests.real_host.outside import GATEWAY, Outside

_CHUNK: Final = 1 << 16
_REQUEST: Final = re.compile(rb"^([A-Z]+) (\S+) HTTP/1\.1\r\n")


class Relay:
    """Listens at the gateway's ``port`` and passes each connection on to 127.0.0.1:``to``.

    ``before`` is called with the method and path of a connection's first request before a byte of it is passed on:
    where it is True, the connection is closed instead. ``after`` is called before a byte of the answer is.
    """

    def __init__(self, outside: Outside, port: int, to: int) -> None:
        self.before: Callable[[str, str], bool] = lambda _method, _path: False
        self.after: Callable[[str, str], bool] = lambda _method, _path: False
        self.shut = False
        self._to = to
        self._line = outside.inside(lambda: socket.create_server((GATEWAY, port), backlog=64))
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self._line.close()

    def _listen(self) -> None:
        while True:
            try:
                line, _peer = self._line.accept()
            except OSError:
                return
            threading.Thread(target=self._pass, args=(line,), daemon=True).start()

    def _pass(self, line: socket.socket) -> None:
        with contextlib.suppress(OSError), line:
            if self.shut:
                return
            head = line.recv(_CHUNK)
            found = _REQUEST.match(head)
            method, path = (found[1].decode(), found[2].decode()) if found else ("", "")
            if self.before(method, path):
                return
            with socket.create_connection(("127.0.0.1", self._to)) as server:
                server.sendall(head)
                threading.Thread(target=_copy, args=(line, server), daemon=True).start()
                answer = server.recv(_CHUNK)
                if self.after(method, path):
                    return
                while answer:
                    line.sendall(answer)
                    answer = server.recv(_CHUNK)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(_CHUNK):
            target.sendall(piece)
