"""Is a stored export unchanged since it was made? With the private key: does it open to the vault?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from raxx_bcp.checks import Check, Status, worst
from raxx_bcp.clients.decoding import decoded, misfit
from raxx_bcp.clients.gpg import decrypt
from raxx_bcp.clients.s3 import Bucket, ObjectAbsentError
from raxx_bcp.errors import PermanentError, UsageError
from raxx_bcp.policy import VaultExport
from raxx_bcp.vault import manifest as manifests
from raxx_bcp.vault import store
from raxx_bcp.vault.document import ExportDocument
from raxx_bcp.vault.manifest import Manifest

STORED: Final = "stored_as_recorded"
PINNED_KEY: Final = "pinned_key"
CONTENT: Final = "content"


@dataclass(frozen=True)
class PrivateKey:
    """How to decrypt: an armoured private key, or the caller's own keyring when ``armoured`` is None."""

    armoured: bytes | None


@dataclass(frozen=True)
class Verified:
    """One stored export and its checks."""

    key: str
    version_id: str | None
    checks: tuple[Check, ...]

    @property
    def status(self) -> Status:
        return worst(self.checks)

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "ok": self.status in (Status.PASS, Status.WARN),
            "status": self.status.value,
            "key": self.key,
            "version_id": self.version_id,
            "checks": [check.as_dict() for check in self.checks],
        }


def verify_export(
    bucket: Bucket, policy: VaultExport, fingerprint: str, day: str | None, private_key: PrivateKey | None
) -> Verified:
    """Check the export of ``day`` (None: the newest) against its manifest, and open it where a key is given.

    Raises ``PermanentError`` where there is none, and ``CouldNotVerifyError`` where it may not be read.
    """
    chosen = _chosen_day(bucket, policy, day)
    keys = store.keys_of(policy.prefix, chosen)
    manifest = _manifest(bucket, keys)
    try:
        body = bucket.get(keys.export, version_id=manifest.version_id)
    except ObjectAbsentError:
        problem = "the version that the manifest names is gone"
        return Verified(keys.export, manifest.version_id, (_stored(keys, problem),))
    problem = store.soundness(body, manifest.ciphertext_sha256, manifest.recipients)
    checks = [_stored(keys, problem), _pinned(manifest, fingerprint)]
    if private_key is None:
        checks.append(
            Check(CONTENT, Status.WARN, "not opened: no private key was given.", "Add --decrypt where the key is.")
        )
    elif not problem:
        checks.append(_content(body, manifest, private_key))
    return Verified(keys.export, manifest.version_id, tuple(checks))


def _chosen_day(bucket: Bucket, policy: VaultExport, day: str | None) -> str:
    if day is not None:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", day):
            raise UsageError(f"{day!r} is not a day.", "Write it as YYYY-MM-DD (UTC).")
        return day
    newest = max((found for item in bucket.objects(policy.prefix) if (found := store.day_of(item.key))), default=None)
    if newest is None:
        raise PermanentError(
            f"There is no export under {policy.prefix} in bucket {bucket.name}.", "Make one: raxx-bcp vault export."
        )
    return newest


def _manifest(bucket: Bucket, keys: store.ExportKeys) -> Manifest:
    try:
        manifest = manifests.decode(bucket.get(keys.manifest))
    except ObjectAbsentError:
        raise PermanentError(
            f"{keys.export} has no manifest in bucket {bucket.name}.",
            "See raxx-bcp vault list for the days that are complete.",
        ) from None
    if manifest is None:
        raise PermanentError(
            f"{keys.manifest} in bucket {bucket.name} is not a manifest of this software.",
            "Somebody replaced it: look at its versions.",
        )
    return manifest


def _stored(keys: store.ExportKeys, problem: str) -> Check:
    if problem:
        return Check(STORED, Status.FAIL, f"{keys.export}: {problem}.", "Use another day or an earlier version.")
    return Check(STORED, Status.PASS, f"{keys.export}: checksum, packets and recipients as recorded.")


def _pinned(manifest: Manifest, fingerprint: str) -> Check:
    if manifest.key_fingerprint == fingerprint:
        return Check(PINNED_KEY, Status.PASS, f"made for the pinned key {fingerprint}.")
    return Check(
        PINNED_KEY,
        Status.FAIL,
        f"made for {manifest.key_fingerprint}, and the policy pins {fingerprint}.",
        "If the key was changed since, keep the old private key; else find out who made this export.",
    )


def _content(body: bytes, manifest: Manifest, private_key: PrivateKey) -> Check:
    plaintext = decrypt(body, private_key.armoured)
    document = decoded(plaintext, ExportDocument)
    if document is None:
        why = misfit(plaintext, ExportDocument)
        return Check(CONTENT, Status.FAIL, f"it opens, but is not an export document: {why}.", "Use another day.")
    secrets = sum(len(f.secrets) for p in document.projects for e in p.environments for f in e.folders)
    found = f"{secrets} secrets of {len(document.projects)} projects"
    if (secrets, len(document.projects)) != (manifest.secret_count, manifest.project_count):
        promised = f"{manifest.secret_count} of {manifest.project_count}"
        return Check(CONTENT, Status.FAIL, f"it holds {found}; the manifest says {promised}.", "Use another day.")
    return Check(CONTENT, Status.PASS, f"it opens to {found}, as the manifest says.")
