"""A walk over OpenPGP packets without any key: who can read a message, and is it whole?

It finds truncation and trailing garbage; only a checksum finds a flipped bit inside a packet
(measured with GnuPG 2.2.40). ``gpg --list-packets`` shows the same but fails with rc 2 without the
secret key, and exports are always made without it. Source: RFC 4880 section 4.2 and 5.1.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

PUBLIC_KEY_SESSION_KEY: Final = 1
SYMMETRIC_KEY_SESSION_KEY: Final = 3
_ENCRYPTED_DATA: Final = frozenset({18, 20})  # with integrity protection; tag 9 has none and is not accepted


class MalformedError(ValueError):
    """The bytes are not one whole encrypted OpenPGP message."""


@dataclass(frozen=True)
class Message:
    """A whole encrypted message: ``recipients`` are the 16-digit ids of the keys that can read it."""

    recipients: tuple[str, ...]


def inspect(data: bytes | bytearray | memoryview) -> Message:
    """Walk ``data`` (binary, not armoured) to its last byte. Raises ``MalformedError`` with what is wrong."""
    view = memoryview(data)
    recipients: list[str] = []
    encrypted = 0
    for tag, body in _packets(view):
        if encrypted:
            raise MalformedError(f"a packet of tag {tag} follows the encrypted data")
        if tag == PUBLIC_KEY_SESSION_KEY:
            recipients.append(_recipient(body))
        elif tag == SYMMETRIC_KEY_SESSION_KEY:
            raise MalformedError("it can also be opened with a passphrase")
        elif tag in _ENCRYPTED_DATA:
            encrypted += 1
        else:
            raise MalformedError(f"a packet of tag {tag} has no place in an encrypted message")
    if not encrypted:
        raise MalformedError("it holds no encrypted data")
    if not recipients:
        raise MalformedError("it names no recipient")
    return Message(tuple(recipients))


def recipients(head: bytes) -> tuple[str, ...]:
    """Who can read the message that begins with ``head``, which may be cut anywhere after its recipients.

    16-digit key ids; empty where it does not begin as an encrypted message does.
    """
    found: list[str] = []
    with contextlib.suppress(MalformedError):
        for tag, body in _packets(memoryview(head)):
            if tag != PUBLIC_KEY_SESSION_KEY:
                break
            found.append(_recipient(body))
    return tuple(found)


def _recipient(body: memoryview) -> str:
    if len(body) < 10 or body[0] != 3:
        raise MalformedError("a recipient packet of an unknown version")
    return bytes(body[1:9]).hex().upper()


def _packets(view: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Each packet's tag and the first part of its body; lengths are followed to the end."""
    position = 0
    while position < len(view):
        header = view[position]
        if not header & 0x80:
            raise MalformedError(f"no packet starts at byte {position}")
        position += 1
        if header & 0x40:
            tag, (body, position) = header & 0x3F, _new_format(view, position)
        else:
            tag, (body, position) = (header >> 2) & 0x0F, _old_format(view, position, header & 0x03)
        yield tag, body


def _new_format(view: memoryview, position: int) -> tuple[memoryview, int]:
    first: memoryview | None = None
    while True:
        octet = _take(view, position, 1)[0]
        if octet < 192:
            size, position, partial = octet, position + 1, False
        elif octet < 224:
            size, position, partial = ((octet - 192) << 8) + _take(view, position + 1, 1)[0] + 192, position + 2, False
        elif octet == 255:
            size, position, partial = int.from_bytes(_take(view, position + 1, 4), "big"), position + 5, False
        else:
            size, position, partial = 1 << (octet & 0x1F), position + 1, True
        part = _take(view, position, size)
        first = part if first is None else first
        position += size
        if not partial:
            return first, position


def _old_format(view: memoryview, position: int, kind: int) -> tuple[memoryview, int]:
    if kind == 3:
        raise MalformedError("a packet of indeterminate length, whose end cannot be checked")
    width = 1 << kind
    size = int.from_bytes(_take(view, position, width), "big")
    return _take(view, position + width, size), position + width + size


def _take(view: memoryview, position: int, size: int) -> memoryview:
    part = view[position : position + size]
    if len(part) != size:
        raise MalformedError(f"it ends early: {position + size - len(view)} bytes are missing")
    return part
