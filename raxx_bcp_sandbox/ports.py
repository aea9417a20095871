"""Choosing TCP ports on loopback: the preferred or stored one when it is free, else another."""

from __future__ import annotations

import random
import socket
from collections.abc import Collection

from raxx_bcp.errors import TransientError
from raxx_bcp_sandbox.part import Port
from raxx_bcp_sandbox.stand_in import LOOPBACK

# Below the range that Linux (32768-60999) and macOS (49152-65535) hand out to outgoing connections, also after
# a twin's distance of 10000 has been added: a port that is free now is not lost to a passing connection later.
_FIRST, _LAST = 10240, 19999
_ATTEMPTS = 500


def is_free(port: int) -> bool:
    """Can a server listen on ``port``? A port in TIME_WAIT counts as free, as it does for the parts."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def usable(port: Port, number: int, taken: Collection[int] = ()) -> bool:
    """Is ``number``, and its twin when it has one, free and not in ``taken``?"""
    numbers = [number, number + port.twin] if port.twin else [number]
    return all(each not in taken and is_free(each) and not port.blocked(each) for each in numbers)


def choose(port: Port, wanted: int | None, taken: Collection[int]) -> int:
    """``wanted`` when it is usable, else a random free one that no other part has in ``taken``."""
    if wanted is not None and usable(port, wanted, taken):
        return wanted
    for _ in range(_ATTEMPTS):
        number = random.randint(_FIRST, _LAST)  # noqa: S311 - a port number is no secret
        if usable(port, number, taken):
            return number
    raise TransientError(
        f"No free TCP port was found on {LOOPBACK} between {_FIRST} and {_LAST}.",
        "Stop programs that hold many ports there (ss -ltnp shows them), then try again.",
    )
