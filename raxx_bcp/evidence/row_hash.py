"""From an entry to the stored bytes, and back: the only place where a row's hash is made or checked.

The stored body *is* the canonical form, so that every changed byte shows, even a space.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from raxx_bcp import __version__
from raxx_bcp.evidence.canonical import canonical, digest, ordered, parse, printed
from raxx_bcp.evidence.confidential import refuse_secrets
from raxx_bcp.evidence.row import KIND, SCHEMA_VERSION, Entry, EvidenceRow

SIZE_LIMIT_BYTES: Final = 1 << 20
"""No row is larger. A larger object is not a row, and is not read."""

_READERS: Final = {1: EvidenceRow}
"""The type of each schema version that was ever written. A version is never removed."""


class NotARowError(ValueError):
    """The bytes are not an evidence row."""


class AlteredError(ValueError):
    """It was a row, and its content no longer matches its hash."""


class NewerRowError(ValueError):
    """A whole row of a schema version that this program does not know."""


@dataclass(frozen=True)
class Link:
    """What the chain needs of a row, whatever its schema version. ``content`` is the parsed row."""

    sequence: int
    previous_sha256: str
    sha256: str
    content: dict[str, Any]


def seal(entry: Entry, *, sequence: int, previous_sha256: str, written: datetime) -> tuple[EvidenceRow, bytes]:
    """The row for ``entry`` at its place, and the bytes to store.

    Raises ``ValueError`` when the entry holds what looks like a secret, breaks the published schema, or is larger
    than ``SIZE_LIMIT_BYTES``.
    """
    content: dict[str, Any] = {
        "kind": KIND,
        "schema_version": SCHEMA_VERSION,
        "sequence": sequence,
        "written_utc": msgspec.to_builtins(written),
        "written_by": f"raxx-bcp {__version__}",
        "previous_sha256": previous_sha256,
        "entry": as_data(entry),
    }
    content["sha256"] = digest(content)
    body = canonical(content)
    if len(body) > SIZE_LIMIT_BYTES:
        raise ValueError(f"the row has {len(body)} bytes; at most {SIZE_LIMIT_BYTES} are allowed")
    return row_of(link_of(body)), body


def as_data(entry: Entry) -> dict[str, Any]:
    """``entry`` as JSON's types, checked for secrets. Raises ``ValueError``."""
    data: dict[str, Any] = msgspec.to_builtins(entry)
    refuse_secrets(data)
    return data


def sha256_of(body: bytes) -> str:
    """The hash of any bytes, in hexadecimal."""
    return hashlib.sha256(body).hexdigest()


def link_of(body: bytes) -> Link:
    """The chain's part of a stored row, with its hash checked.

    Raises ``NotARowError`` or ``AlteredError``; the text is a half-sentence that says what is wrong with "it".
    """
    content, text = _content(body)
    sequence, previous, own = content.get("sequence"), content.get("previous_sha256"), content.get("sha256")
    if content.get("kind") != KIND or not isinstance(sequence, int) or isinstance(sequence, bool):
        raise NotARowError("it is JSON and no evidence row")
    if not isinstance(previous, str) or not isinstance(own, str):
        raise NotARowError("it holds no hashes")
    if text != body:
        raise AlteredError("its bytes are not the canonical form in which rows are stored")
    if sha256_of(printed({name: value for name, value in content.items() if name != "sha256"})) != own:
        raise AlteredError("its content does not have the hash that it was stored with")
    return Link(sequence, previous, own, content)


def row_of(link: Link) -> EvidenceRow:
    """The row itself.

    Raises ``NewerRowError`` for a schema version of a later program, ``NotARowError`` for a row that breaks the rules.
    """
    version = link.content.get("schema_version")
    reader = _READERS.get(version) if isinstance(version, int) else None
    if reader is None and isinstance(version, int) and version > SCHEMA_VERSION:
        raise NewerRowError(f"its schema version {version} is newer than this program")
    if reader is None:
        raise NotARowError(f"its schema version {version!r} was never written")
    try:
        return msgspec.convert(link.content, reader)
    except msgspec.ValidationError as error:
        raise NotARowError(f"it breaks the rules of a row: {error}") from None


def _content(body: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        content = ordered(parse(body))
        text = printed(content)
    except ValueError:
        raise NotARowError("it is not the JSON of a row") from None
    if not isinstance(content, dict):
        raise NotARowError("it is JSON and no evidence row")
    return content, text
