"""What the FreeScout drills need of a host: statements, a program and commands. ``drills.host.Host`` is one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

from raxx_bcp.clients.decoding import decoded
from raxx_bcp.errors import UnreadableAnswerError

LOOK_AGAIN: Final = "Keep the instance (keep) and run it there: what it printed is not kept, it may be a customer's."


class Database(Protocol):
    """A host that can be asked in SQL."""

    def sql(self, script: str, *, database: str = "", timeout_seconds: float | None = None) -> list[list[str]]:
        """The rows of every SELECT in ``script``, one after the other; NULL is ``NULL``."""


class Host(Database, Protocol):
    """A throwaway host, or anything that acts like one."""

    def python(
        self, source: str, *, stdin: bytes | Iterable[bytes] = b"", timeout_seconds: float | None = None
    ) -> bytes:
        """What the program ``source`` prints on the host as root. Raises unchanged what iterating ``stdin`` raises."""

    def run(
        self,
        purpose: str,
        argv: Sequence[str],
        *,
        stdin: bytes | Iterable[bytes] = b"",
        timeout_seconds: float | None = None,
    ) -> object:
        """Run one command as root. Raises where it does not end with 0."""


def reported(printed: bytes, what: str) -> dict[str, Any]:
    """The output of one of our programs on a host: one object of JSON. ``what`` names the program in an error.

    Raises ``UnreadableAnswerError`` for anything else: cut off, or printed by another program in its place.
    """
    found = decoded(printed, dict[str, Any])
    if found is None:
        raise UnreadableAnswerError(f"What {what} printed on the host is no report ({len(printed)} bytes).", LOOK_AGAIN)
    return found
