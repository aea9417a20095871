"""Secrets as the vault's batch calls take them, in batches that stay below its limit on a request's size.

They are encoded as raw UTF-8: only ``"``, ``\\`` and control characters are escaped, so that a single secret may be
as large as the vault accepts at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from raxx_bcp.clients.infisical import Secret
from raxx_bcp.clients.infisical_writer import (
    BODY_LIMIT_BYTES,
    SERVER_BODY_LIMIT_BYTES,
    NewReminder,
    NewSecret,
    batch_bytes,
)

ENVELOPE_BYTES: Final = 8_192
"""Room for the rest of a request: project, environment, a path 20 folders deep."""
SHARED_BYTES: Final = BODY_LIMIT_BYTES - ENVELOPE_BYTES
"""The limit for the secrets of one request together; a larger one goes alone."""
_ENCODER: Final = msgspec.json.Encoder()


@dataclass(frozen=True)
class Row:
    """One encoded secret."""

    key: str
    encoded: msgspec.Raw = field(repr=False)
    size_bytes: int


def has_reminder(secret: Secret) -> bool:
    """Does it have a reminder?"""
    return secret.secret_reminder_repeat_days is not None or bool(secret.secret_reminder_note)


def row_of(secret: Secret, tag_ids: Mapping[str, str], *, remind: bool = False) -> Row:
    """``secret`` as a batch takes it; ``tag_ids`` are the target's ids by slug.

    ``remind``: with its reminder, which a batch that creates does not take.
    """
    row = NewSecret(
        secret_key=secret.secret_key,
        secret_value=secret.secret_value,
        secret_comment=secret.secret_comment,
        skip_multiline_encoding=secret.skip_multiline_encoding,
        tag_ids=[tag_ids[tag.slug] for tag in secret.tags if tag.slug in tag_ids],
        secret_metadata=[
            {"key": one.key, "value": one.value, "isEncrypted": one.is_encrypted} for one in secret.secret_metadata
        ],
        secret_reminder_note=secret.secret_reminder_note if remind else None,
        secret_reminder_repeat_days=secret.secret_reminder_repeat_days if remind else None,
    )
    encoded = _ENCODER.encode(row)
    return Row(secret.secret_key, msgspec.Raw(encoded), len(encoded))


def reminder_of(secret: Secret) -> Row:
    """Only the reminder of ``secret``, for one that already exists."""
    row = NewReminder(secret.secret_key, secret.secret_reminder_note, secret.secret_reminder_repeat_days)
    encoded = _ENCODER.encode(row)
    return Row(secret.secret_key, msgspec.Raw(encoded), len(encoded))


def fits(row: Row, environment: str, path: str) -> bool:
    """Does the vault accept ``row`` when it is sent alone?"""
    return batch_bytes(environment, path) + row.size_bytes <= SERVER_BODY_LIMIT_BYTES


def fits_alone(secret: Secret, environment: str, path: str) -> bool:
    """Does the vault accept ``secret`` when it is sent alone? The ids of its tags are UUIDs."""
    return fits(row_of(secret, {tag.slug: "0" * 36 for tag in secret.tags}), environment, path)


def batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """``rows`` in order, each batch as large as one request may be; a larger row alone."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        length = row.size_bytes + 1  # and a comma
        if batch and size + length > SHARED_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += length
    if batch:
        yield batch
