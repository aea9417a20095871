"""The world around a test host: a network of its own without a way out, a mail server, and eyes on every packet."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

GATEWAY: Final = "10.77.0.1"
HOST: Final = "10.77.0.2"
MAIL_SERVER: Final = "192.0.2.25"
"""Of an address block for documentation: it leads nowhere but here (RFC 5737)."""
SMTP: Final = 25
_CLONE_NEWNET: Final = 0x40000000
_ETH_P_ALL: Final = 3
_OUTGOING: Final = 4
_IPV4, _IPV6 = 0x0800, 0x86DD
_TCP, _UDP, _ICMP = 6, 17, 1
_SYN, _ACK = 0x02, 0x10
_ECHO_REPLY: Final = 0
_numbers = itertools.count(1)


class Outside:
    """One network with one host in it. ``mails`` and ``left`` grow by themselves."""

    def __init__(self) -> None:
        self.name = f"raxxth-{os.getpid()}-{next(_numbers)}"
        self.mails: list[str] = []
        """Who was written to, by whoever connected to the mail server."""
        self.left: list[str] = []
        """Every packet of the host that is no answer."""
        self._closing = threading.Event()
        self._doors: list[socket.socket] = []
        _ip("netns", "add", self.name)
        for line in (
            "link set lo up",
            f"addr add {MAIL_SERVER}/32 dev lo",
            "link add br0 type bridge",
            "link set br0 addrgenmode none",
            f"addr add {GATEWAY}/24 dev br0",
            "link set br0 up",
        ):
            _ip("-n", self.name, *line.split())
        self._packets = self.inside(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL)))
        self._packets.bind(("br0", 0))
        self._packets.settimeout(0.2)
        self._smtp = self.inside(lambda: socket.create_server((MAIL_SERVER, SMTP)))
        threading.Thread(target=self._watch, daemon=True).start()
        threading.Thread(target=self._take_mail, daemon=True).start()

    @property
    def path(self) -> str:
        """Of the network namespace."""
        return f"/run/netns/{self.name}"

    def inside(self, function: Callable[[], T]) -> T:
        """What ``function`` returns, called where its sockets are in this network (setns(2), for one thread)."""
        results: list[T] = []
        errors: list[BaseException] = []

        def run() -> None:
            try:
                _enter(self.path)
                results.append(function())
            except BaseException as error:  # noqa: BLE001 - passed on
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    def let_in(self, port: int) -> None:
        """Programs of this network find at 127.0.0.1:``port`` what the machine around it has there."""
        door = self.inside(lambda: socket.create_server(("127.0.0.1", port)))
        self._doors.append(door)
        threading.Thread(target=_pass_on, args=(door, port), daemon=True).start()

    def close(self) -> None:
        """End it with all that it had."""
        self._closing.set()
        for line in (self._smtp, self._packets, *self._doors):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()
        _ip("netns", "del", self.name)

    # -- watching ----------------------------------------------------------------------------------------

    def _watch(self) -> None:
        while not self._closing.is_set():
            try:
                frame, (_device, _protocol, kind, *_rest) = self._packets.recvfrom(65535)
            except TimeoutError:
                continue
            except OSError:
                return
            if kind != _OUTGOING:
                said = unasked(frame)
                if said:
                    self.left.append(said)

    def _take_mail(self) -> None:
        while True:
            try:
                line, _peer = self._smtp.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(line,), daemon=True).start()

    def _converse(self, line: socket.socket) -> None:
        """As much SMTP as a client needs (RFC 5321)."""
        with contextlib.suppress(OSError), line, line.makefile("rwb") as stream:
            said = b"220 sink"
            while True:
                stream.write(said + b"\r\n")
                stream.flush()
                heard = stream.readline().strip()
                said = b"250 ok"
                if heard.upper().startswith(b"RCPT TO:"):
                    self.mails.append(heard[8:].decode("ascii", "replace").strip("<> "))
                elif heard.upper() == b"DATA":
                    stream.write(b"354 go on\r\n")
                    stream.flush()
                    while stream.readline() not in (b".\r\n", b""):
                        pass
                elif heard.upper() in (b"QUIT", b""):
                    stream.write(b"221 bye\r\n")
                    return


def _pass_on(door: socket.socket, port: int) -> None:
    while True:
        try:
            near, _peer = door.accept()
        except OSError:
            return
        far = socket.create_connection(("127.0.0.1", port))  # a socket is of the network of the thread that makes it
        for source, target in ((near, far), (far, near)):
            threading.Thread(target=_copy, args=(source, target), daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _enter(path: str) -> None:
    with Path(path).open("rb") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")


def unasked(frame: bytes) -> str:
    """What a frame is when it is no answer; empty for an answer, and for ARP, which no router passes on."""
    (kind,) = struct.unpack_from("!H", frame, 12)
    if kind == _IPV6:
        return f"IPv6, next header {frame[20]}"
    if kind != _IPV4:
        return ""
    header = 14 + 4 * (frame[14] & 15)
    protocol, target = frame[23], socket.inet_ntoa(frame[30:34])
    if protocol == _TCP:
        port, flags = struct.unpack_from("!H", frame, header + 2)[0], frame[header + 13]
        return f"TCP to {target}:{port}" if flags & (_SYN | _ACK) == _SYN else ""
    if protocol == _UDP:
        return f"UDP to {target}:{struct.unpack_from('!H', frame, header + 2)[0]}"
    if protocol == _ICMP and frame[header] == _ECHO_REPLY:
        return ""
    return f"protocol {protocol} to {target}"


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, stdin=subprocess.DEVNULL, capture_output=True)
