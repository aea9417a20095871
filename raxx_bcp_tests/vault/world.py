"""Connections to the sandbox for the vault's tests, and buckets that misbehave."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from raxx_bcp import environment
from raxx_bcp.clients.gpg import decrypt
from raxx_bcp.clients.infisical import Infisical
from raxx_bcp.clients.s3 import Bucket, Receipt, StoredObject, Versioning
from raxx_bcp.errors import CouldNotVerifyError
from raxx_bcp.policy import Policy
from raxx_bcp.vault.connections import export_connections
from raxx_bcp.vault.export import ExportConnections, ExportReceipt, export_vault
from raxx_bcp.vault.keys import operator_key
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.conftest import DAY, NOW


def connections(policy: Policy, bucket: Bucket | None = None) -> ExportConnections:
    """Connections to the sandbox, with another bucket where a test wants one."""
    made = export_connections(policy)
    login = environment.vault_login()
    vault = Infisical(login.url, login.client_id, login.client_secret, sleep=lambda _seconds: None)
    return ExportConnections(vault, bucket or made.bucket, made.org_admin, made.second_bucket)


def export(
    policy: Policy,
    *,
    day: str = DAY,
    bucket: Bucket | None = None,
    accept_shrink: str = "",
    accept_emptied: Sequence[str] = (),
    now: datetime = NOW,
) -> ExportReceipt:
    """One export into the sandbox's bucket, at a time that never changes."""
    return export_vault(
        connections(policy, bucket),
        operator_key(""),
        policy.vault_export,
        day,
        accept_shrink=accept_shrink,
        accept_emptied=accept_emptied,
        clock=lambda: now,
    )


def state_bucket(policy: Policy) -> Bucket:
    """The sandbox's real bucket."""
    return Bucket(policy.state_bucket.name)


def stored(policy: Policy) -> dict[str, tuple[str, ...]]:
    """Every key under the test's prefix with the ids of its versions, to see that nothing has changed."""
    found: dict[str, tuple[str, ...]] = {}
    for version in state_bucket(policy).versions(policy.vault_export.prefix):
        found[version.key] = (*found.get(version.key, ()), version.version_id)
    return found


def opened(policy: Policy, sandbox: Sandbox, day: str = DAY) -> dict[str, Any]:
    """The document of ``day``, decrypted with the sandbox operator's private key."""
    body = state_bucket(policy).get(f"{policy.vault_export.prefix}{day}.json.gpg")
    document = json.loads(decrypt(body, private_key(sandbox)))
    assert isinstance(document, dict)
    return document


def private_key(sandbox: Sandbox) -> bytes:
    """The sandbox operator's private key; a worker never has it."""
    return (Path(sandbox.directory) / "keys" / "operator.key.asc").read_bytes()


class WriteOnlyBucket(Bucket):
    """What a role with nothing but ``s3:PutObject`` sees."""

    def head(self, key: str, *, version_id: str | None = None) -> StoredObject | None:
        raise CouldNotVerifyError(f"S3 could not look at {key} {version_id} (403).", "Grant it.")

    def get(self, key: str, *, version_id: str | None = None) -> bytes:
        raise CouldNotVerifyError(f"S3 could not read {key} {version_id} (403).", "Grant it.")

    def objects(self, prefix: str) -> list[StoredObject]:
        raise CouldNotVerifyError(f"S3 could not list {prefix} (403).", "Grant it.")

    def versioning(self) -> Versioning:
        raise CouldNotVerifyError("S3 could not read the versioning (403).", "Grant it.")


class RacedBucket(Bucket):
    """Another run stores today's export between our look and our write."""

    def put(self, key: str, body: bytes | bytearray, **named: Any) -> Receipt:
        if key.endswith(".json.gpg"):
            super().put(key, b"the other run's export", content_type="x/y", metadata={})
        return super().put(key, body, **named)


class DamagingBucket(Bucket):
    """Gives back something else than what was stored."""

    def __init__(self, name: str, damage: Mapping[str, Any]) -> None:
        super().__init__(name)
        self._damage = damage

    def get(self, key: str, *, version_id: str | None = None) -> bytes:
        body = super().get(key, version_id=version_id)
        return bytes(self._damage["how"](body)) if key.endswith(".json.gpg") else body
