"""The sidecar ``YYYY-MM-DD.manifest.json``: what an export holds, without a secret.

It lets the next run compare, a drill know what to expect, and a person see what a day held, without the
private key. ``sha256`` ties it to one stored object; a manifest that does not match counts as none.
"""

from __future__ import annotations

import platform
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from raxx_bcp import __version__
from raxx_bcp.clients.decoding import decoded
from raxx_bcp.vault.survey import EnvironmentCount

KIND: Final = "raxx-bcp/vault-export-manifest"
SCHEMA_ID: Final = "urn:raxx-bcp:vault-export-manifest:1"


class CheckRow(msgspec.Struct, frozen=True):
    """One check of the run that wrote this."""

    name: str
    status: str
    detail: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sizes in bytes, times in UTC (ISO 8601)."""

    kind: Literal["raxx-bcp/vault-export-manifest"]
    schema_version: Literal[1]
    export_date: str
    bucket: str
    key: str
    version_id: str | None
    ciphertext_sha256: str
    size_bytes: int
    document_size_bytes: int
    project_count: int
    secret_count: int
    folder_count: int
    import_count: int
    newest_change_utc: str
    environments: tuple[EnvironmentCount, ...]
    recipients: tuple[str, ...]
    key_fingerprint: str
    key_expires_utc: str | None
    started_utc: str
    ended_utc: str
    atomic: bool
    accepted_shrink_reason: str
    checks: tuple[CheckRow, ...]
    tools: dict[str, str]
    complements: str = (
        "A logical export. The vendor's own backup is pg_dump plus the ENCRYPTION_KEY; personal overrides, "
        "version history, rotations, users and memberships are not in here."
    )
    folder_secrets: dict[str, int] | None = None
    """Secrets of each folder that has any, by ``project/environment/path``; None: written before these counts."""
    emptied_folders: tuple[str, ...] = ()
    """Folders that had secrets at some time and showed none."""
    accepted_emptied_folders: tuple[str, ...] = ()
    """Those of them in which the export before this one had secrets: a person accepted each by name."""


def tool_versions(gpg_version: str) -> dict[str, str]:
    """What made the export."""
    return {"raxx_bcp": __version__, "gpg": gpg_version, "python": platform.python_version()}


def encode(manifest: Manifest) -> bytes:
    """Readable JSON, since people open it too."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def decode(body: bytes) -> Manifest | None:
    """The manifest, or None where ``body`` is not one."""
    return decoded(body, Manifest)


def json_schema() -> dict[str, Any]:
    """The published JSON Schema (2020-12)."""
    (schema,), definitions = msgspec.json.schema_components([Manifest], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "raxx-bcp vault export manifest",
        **schema,
        "$defs": definitions,
    }


def utc_text(moment: datetime) -> str:
    """``2026-11-24T07:00:03+00:00``: whole seconds, always UTC."""
    return moment.replace(microsecond=0).isoformat()
