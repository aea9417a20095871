"""``HEAD.json``: the last row, since a chain cannot show that its own end was cut off.

It is written after each row, moves forward only, and may be behind when a writer died in between. Anybody who can
delete rows can rewrite it too. Only Object Lock, kept versions, or a number and hash held elsewhere protect against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from raxx_bcp.clients.s3 import Bucket, ConflictError, ObjectAbsentError
from raxx_bcp.errors import BcpError
from raxx_bcp.evidence.canonical import canonical, parse
from raxx_bcp.evidence.names import HEAD
from raxx_bcp.evidence.row import Sha256

_KIND: Final = "raxx-bcp/evidence-head"
_TRIES: Final = 5


class LastRow(msgspec.Struct, frozen=True):
    """A row that existed: its number and its hash. Written as ``7:ab12…``."""

    sequence: int
    sha256: Sha256

    def __str__(self) -> str:
        return f"{self.sequence}:{self.sha256}"


@dataclass(frozen=True)
class Head:
    """``HEAD.json`` as stored now. ``etag`` is None when it does not exist, ``witness`` when it cannot be parsed."""

    witness: LastRow | None
    etag: str | None

    @property
    def unreadable(self) -> bool:
        return self.etag is not None and self.witness is None

    @property
    def sequence(self) -> int:
        """The number of the row that it names; 0 where it names none."""
        return self.witness.sequence if self.witness else 0


def read_head(bucket: Bucket, prefix: str) -> Head:
    """Raises ``TransientError`` or ``CouldNotVerifyError`` where it cannot be read."""
    stored = bucket.head(prefix + HEAD)
    if stored is None:
        return Head(None, None)
    try:
        return Head(_understood(bucket.get(prefix + HEAD, version_id=stored.version_id)), stored.etag)
    except ObjectAbsentError:
        return Head(None, None)


def move_head(bucket: Bucket, prefix: str, row: LastRow, now: datetime, seen: Head) -> bool:
    """Name ``row`` as the last one, unless it already names a later one. ``seen`` is what was read before.

    Returns False when it could not be written: the row is stored, and the next one moves it on. An unreadable
    ``HEAD.json`` is left alone, so that ``verify`` keeps reporting it.
    """
    body = canonical(
        {"kind": _KIND, "schema_version": 1, "witnessed_utc": msgspec.to_builtins(now)} | msgspec.to_builtins(row)
    )
    for _try in range(_TRIES):
        if seen.unreadable:
            return False
        if seen.sequence >= row.sequence:
            return True
        try:
            bucket.put(
                prefix + HEAD,
                body,
                content_type="application/json",
                metadata={"kind": "evidence-head"},
                only_if_absent=seen.etag is None,
                only_if_etag=seen.etag,
            )
        except ConflictError:
            pass
        except BcpError:
            return False
        else:
            return True
        try:
            seen = read_head(bucket, prefix)
        except BcpError:
            return False
    return False


def _understood(body: bytes) -> LastRow | None:
    try:
        content: Any = parse(body)
        witness = msgspec.convert(content, LastRow)
    except (ValueError, msgspec.ValidationError):
        return None
    return witness if content.get("kind") == _KIND and witness.sequence > 0 else None
