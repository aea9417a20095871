"""The loopback addresses and ports of one sandbox's instances.

Every instance has its own address, ``127.a.b.N``; ``a`` and ``b`` derive from the sandbox's directory, so that parallel
sandboxes do not collide. All instances use the same ports. Only Linux answers on all of 127.0.0.0/8: macOS has only
127.0.0.1.
"""

from __future__ import annotations

import hashlib
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from raxx_bcp.errors import TransientError, UsageError
from raxx_bcp_sandbox.state import write_private

SSH, SITE, API, SMTP = 2222, 8088, 8089, 2525
LAST_INSTANCE: Final = 253
_FILE: Final = "network.json"
_ATTEMPTS: Final = 200
_FIRST, _LAST = 10240, 19999


class Network(msgspec.Struct, frozen=True):
    """The first three octets of the instances' addresses, and the ports that they listen on."""

    prefix: str
    ssh: int = SSH
    site: int = SITE
    api: int = API
    smtp: int = SMTP

    @property
    def sink(self) -> str:
        """The address of the mail sink, which stands for the outside world."""
        return f"{self.prefix}.{LAST_INSTANCE + 1}"

    @property
    def first(self) -> str:
        """The address that the first instance gets."""
        return f"{self.prefix}.1"


def choose(directory: Path) -> Network:
    """The network of the sandbox part in ``directory``: read from there, else chosen where nothing listens.

    Raises ``UsageError`` on a machine with no loopback address but 127.0.0.1.
    """
    file = directory / _FILE
    remembered = load(directory)
    if remembered is not None:
        return remembered
    require_loopback()
    chosen = _choose(directory)
    write_private(file, msgspec.json.encode(chosen))
    return chosen


def load(directory: Path) -> Network | None:
    """What ``choose`` has stored in ``directory``; None before, or when it cannot be read."""
    try:
        return msgspec.json.decode((directory / _FILE).read_bytes(), type=Network)
    except (OSError, msgspec.DecodeError):
        return None


def require_loopback(address: str = "127.0.5.1") -> None:
    """Raises ``UsageError`` where only 127.0.0.1 is this machine's own."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError as error:
        raise UsageError(
            f"The sandbox's instances have no addresses: this machine does not answer on {address} ({error.strerror}).",
            "Use Linux, where all of 127.0.0.0/8 is loopback; macOS has 127.0.0.1 alone.",
        ) from error


def is_free(address: str, port: int) -> bool:
    """Can ``port`` be listened on at ``address``?"""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def _choose(directory: Path) -> Network:
    for prefix in _prefixes(directory):
        network = Network(prefix)
        if is_free(network.first, network.ssh) and is_free(network.sink, network.smtp):
            break  # no other sandbox uses it, unless something listens on every address of this machine
    else:
        network = Network(next(_prefixes(directory)))
    taken: list[int] = []
    for wanted in (SSH, SITE, API, SMTP):
        taken.append(_port(network, wanted, taken))
    ssh, site, api, smtp = taken
    return Network(network.prefix, ssh, site, api, smtp)


def _prefixes(directory: Path) -> Iterator[str]:
    """Prefixes to try; the same ones for the same directory."""
    for attempt in range(_ATTEMPTS):
        digest = hashlib.sha256(f"{directory.resolve()} {attempt}".encode()).digest()
        yield f"127.{1 + digest[0] % 254}.{digest[1]}"


def _port(network: Network, wanted: int, taken: list[int]) -> int:
    numbers = [wanted, *random.sample(range(_FIRST, _LAST), _ATTEMPTS)]
    for number in numbers:
        if number not in taken and is_free(network.first, number) and is_free(network.sink, number):
            return number
    raise TransientError(
        f"No free TCP port was found on {network.first} between {_FIRST} and {_LAST}.",
        "Stop programs that hold many ports there (ss -ltnp shows them), then try again.",
    )
