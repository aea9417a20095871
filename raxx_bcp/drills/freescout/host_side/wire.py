"""A connection to the MariaDB server of this machine by its Unix socket: statements out, "done" or an error in.

The client program would cost a fifth of a restore, since it reads every statement letter by letter, and it would run
commands inside a dump. Source: MariaDB's client/server protocol, "Connection" and "COM_QUERY". The text of a server's
error can hold a customer's text: only its code and the names of objects are kept.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Sequence

PACKET_BYTES = 1 << 30
"""The longest statement: MariaDB's own limit."""
_WHOLE_PACKET = 0xFFFFFF
_UTF8MB4 = 45
_CAPABILITIES = 0x1 | 0x8 | 0x200 | 0x2000 | 0x8000 | 0x80000
"""LONG_PASSWORD, CONNECT_WITH_DB, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION, PLUGIN_AUTH. One statement at a time,
and no file of this machine for LOAD DATA LOCAL."""
_OBJECTS = {
    1049: rb"database '([\w$-]{1,64})'",
    1050: rb"able '([\w.$`-]{1,130})'",
    1051: rb"able '([\w.$`-]{1,130})'",
    1062: rb".*for key '([\w.$]{1,130})'",
    1115: rb"set: '(\w{1,64})'",
    1146: rb"able '([\w.$-]{1,130})'",
    1193: rb"variable '(\w{1,64})'",
    1273: rb"collation: '(\w{1,64})'",
}
"""Where an error's text names an object. No other text is read."""


class SqlError(Exception):
    """The server refused a statement: the error's code and the objects that it is about, and no text."""

    def __init__(self, code: int, objects: Sequence[str] = ()) -> None:
        super().__init__(code, *objects)
        self.code = code
        self.objects = [one for one in objects if one]


def _lost() -> SqlError:
    """The server ended the connection; the number is the one that its own clients use."""
    return SqlError(2013)


class Connection:
    """One connection to ``database``. Raises ``SqlError`` where the server is away or refuses."""

    def __init__(self, path: str, user: str, database: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._number = 0
        try:
            self._socket.connect(path)
            self._input = self._socket.makefile("rb")
            greeting = self._receive()
            if greeting[:1] == b"\xff":
                raise _error(greeting)
            names = b"\0".join((user.encode(), b"", database.encode(), b"mysql_native_password", b""))
            # The empty answer to the challenge is a length of 0: the second of the zero bytes after the user's name.
            self._send(struct.pack("<IIB23x", _CAPABILITIES, PACKET_BYTES, _UTF8MB4) + names)
            while (answer := self._receive())[:1] == b"\xfe":
                self._send(b"")  # another method: a Unix socket shows who is asking, and no password is known here
            if answer[:1] == b"\xff":
                raise _error(answer)
        except OSError:
            raise _lost() from None

    def query(self, statement: bytes, table: str = "") -> None:
        """Send it and wait until it is done. Raises ``SqlError``, which names ``table`` too."""
        self._number = 0
        try:
            self._send(b"\x03", statement)
            answer = self._receive()
            if answer[:1] not in (b"\0", b"\xff"):
                self._pass_over()
        except OSError:
            raise _lost() from None
        if answer[:1] == b"\xff":
            raise _error(answer, table)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _pass_over(self) -> None:
        """The answer of a query: columns, an end, rows, an end."""
        ends = 0
        while ends < 2:
            packet = self._receive()
            if packet[:1] == b"\xff":
                raise _error(packet)
            ends += packet[:1] == b"\xfe" and len(packet) < 9

    def _send(self, *parts: bytes) -> None:
        """One message: packets of at most 16 MB, the last of them shorter."""
        whole = memoryview(parts[0]) if len(parts) == 1 else memoryview(b"".join(parts))
        while True:
            packet, whole = whole[:_WHOLE_PACKET], whole[_WHOLE_PACKET:]
            self._socket.sendall(len(packet).to_bytes(3, "little") + bytes([self._number & 255]))
            self._socket.sendall(packet)
            self._number += 1
            if len(packet) < _WHOLE_PACKET:
                return

    def _receive(self) -> bytes:
        head = self._input.read(4)
        body = self._input.read(int.from_bytes(head[:3], "little")) if len(head) == 4 else b""
        if not body:
            raise _lost()
        self._number = head[3] + 1
        return body


def _error(packet: bytes, table: str = "") -> SqlError:
    code, text = int.from_bytes(packet[1:3], "little"), packet[9:]
    named = re.match(rb".*?" + _OBJECTS[code], text, re.DOTALL) if code in _OBJECTS else None
    return SqlError(code, (table, named[1].decode() if named else ""))
