"""The export in S3: which object a day has, how it may be replaced, and proof that it is there.

One PUT, checked by the server; ``If-None-Match`` or ``If-Match`` so that of two runs at once one wins
and nothing is lost. Facts that the next run needs are also in the object's own metadata, so that an
export whose manifest was never written (a killed run) is still complete in itself.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from raxx_bcp.checks import Check, Status
from raxx_bcp.clients import openpgp
from raxx_bcp.clients.s3 import Bucket, ObjectAbsentError, Receipt, StoredObject, Versioning
from raxx_bcp.errors import BcpError, CouldNotVerifyError, PermanentError
from raxx_bcp.policy import SecondCopy
from raxx_bcp.vault import manifest as manifests
from raxx_bcp.vault.gate import Baseline
from raxx_bcp.vault.manifest import Manifest

READ_BACK: Final = "read_back"
SECOND_COPY: Final = "second_copy"
CONTENT_TYPE: Final = "application/pgp-encrypted"

_LOOKED_AT: Final = 14  # how many exports are searched for one to compare with
_EXPORT_NAME: Final = re.compile(r"(\d{4}-\d\d-\d\d)\.json\.gpg$")


@dataclass(frozen=True)
class ExportKeys:
    """The two objects of a day."""

    export: str
    manifest: str


@dataclass(frozen=True)
class Target:
    """What is at today's key now. ``etag`` is None where there is nothing or the role may not look."""

    keys: ExportKeys
    etag: str | None


def keys_of(prefix: str, day: str) -> ExportKeys:
    """``vault-exports/2026-11-24.json.gpg`` and its manifest (ADR-0103 D3)."""
    return ExportKeys(f"{prefix}{day}.json.gpg", f"{prefix}{day}.manifest.json")


def day_of(key: str) -> str | None:
    """The day in an export's key, or None for any other object (a manifest, a foreign object)."""
    found = _EXPORT_NAME.search(key)
    return found.group(1) if found else None


def choose_target(bucket: Bucket, keys: ExportKeys) -> Target:
    """Look at today's key before the vault is read.

    Raises ``PermanentError`` where today's export exists and the bucket keeps no versions: replacing it
    would destroy the only copy. ``CouldNotVerifyError`` where that cannot be known.
    """
    try:
        stored = bucket.head(keys.export)
    except CouldNotVerifyError:
        return Target(keys, None)  # a write-only role: the conditional PUT decides
    if stored is None:
        return Target(keys, None)
    if bucket.versioning() is not Versioning.ENABLED:
        raise PermanentError(
            f"{keys.export} exists already and bucket {bucket.name} keeps no versions: replacing it would destroy it.",
            "Switch versioning on (ADR-0103 D2); today's export is there and untouched.",
        )
    return Target(keys, stored.etag)


def last_good(bucket: Bucket, prefix: str, up_to_day: str) -> Baseline | None:
    """The newest export up to ``up_to_day`` whose secret count is known, or None for the very first run.

    Only manifests say how many secrets each folder had. The newest manifest that says so counts, also where
    the newest run was killed before its own. Raises ``CouldNotVerifyError`` where the role may not list or look.
    """
    days = [(item.key, day) for item in bucket.objects(prefix) if (day := day_of(item.key)) and day <= up_to_day]
    newest = [(key, keys_of(prefix, day).manifest) for key, day in sorted(days, reverse=True)[:_LOOKED_AT]]
    for number, (key, manifest) in enumerate(newest):
        stored = bucket.head(key)
        count = _secret_count(bucket, stored, manifest) if stored else None
        if count:
            return Baseline(key, count, *_folders(bucket, newest[number:]))
    return None


def _folders(bucket: Bucket, exports: Sequence[tuple[str, str]]) -> tuple[dict[str, int] | None, str]:
    """The folder counts of the newest of ``exports`` (key and manifest's key) that has them, and its key."""
    for key, manifest in exports:
        try:
            found = manifests.decode(bucket.get(manifest))
        except ObjectAbsentError:
            continue
        except CouldNotVerifyError:
            return None, ""  # a role that may look but not read: unknown
        if found and found.folder_secrets is not None:
            return found.folder_secrets, key
    return None, ""


def store(
    bucket: Bucket, target: Target, ciphertext: bytearray, metadata: Mapping[str, str], *, until: datetime | None = None
) -> Receipt:
    """Put the export: new where there was nothing, in place of exactly what was seen where there was."""
    return bucket.put(
        target.keys.export,
        ciphertext,
        content_type=CONTENT_TYPE,
        metadata=metadata,
        only_if_absent=target.etag is None,
        only_if_etag=target.etag,
        compliance_until=until,
    )


def store_manifest(bucket: Bucket, key: str, manifest: Manifest) -> None:
    """Put the sidecar, replacing an earlier one of the same day."""
    bucket.put(key, manifests.encode(manifest), content_type="application/json", metadata={"kind": "manifest"})


def read_back(bucket: Bucket, receipt: Receipt, recipients: tuple[str, ...]) -> Check:
    """Does the stored object match what was sent: size, checksum, whole packets, exactly the expected readers?

    Where the role may not read, the PUT's own receipt counts: the server verified the checksum.
    """
    name = f"{receipt.key} version {receipt.version_id or '(none kept)'}"
    try:
        body = bucket.get(receipt.key, version_id=receipt.version_id)
    except CouldNotVerifyError:
        return Check(
            READ_BACK,
            Status.PASS,
            f"{name}: by the server's receipt (sha256 verified); this role may not read it back.",
        )
    except ObjectAbsentError:
        return _unsound(name, "it is not there")
    problem = soundness(body, receipt.sha256, recipients)
    return (
        _unsound(name, problem)
        if problem
        else Check(READ_BACK, Status.PASS, f"{name}: {len(body)} bytes, checksum, packets and recipients as sent.")
    )


def soundness(body: bytes, sha256: str, recipients: tuple[str, ...]) -> str:
    """What is wrong with a stored export, in a few words; empty when nothing is."""
    if hashlib.sha256(body).hexdigest() != sha256:
        return "its checksum differs from what was recorded"
    try:
        found = openpgp.inspect(body).recipients
    except openpgp.MalformedError as error:
        return f"it is not one whole encrypted message: {error}"
    if found != recipients:
        return f"it is encrypted to {', '.join(found)} instead of {', '.join(recipients)}"
    return ""


def second_copy(
    policy: SecondCopy,
    bucket: Bucket | None,
    keys: ExportKeys,
    ciphertext: bytearray,
    manifest: Manifest,
    now: datetime,
) -> Check:
    """Store the export once more, in the second bucket of the policy; say plainly when there is none.

    A failure here is a failed check, not an exception: the first copy is still good and is reported.
    """
    if bucket is None or not policy.configured:
        return Check(
            SECOND_COPY,
            Status.WARN,
            "not configured: the export would not survive the loss of this AWS account or region.",
            "Set vault_export.second_copy in bcp.toml to a bucket in another account and region "
            "(docs/decisions/0003-second-copy.md).",
        )
    until = now + timedelta(days=policy.retention_days) if policy.retention_days else None
    try:
        target = choose_target(bucket, keys)
        receipt = store(bucket, target, ciphertext, {"sha256": manifest.ciphertext_sha256}, until=until)
        store_manifest(bucket, keys.manifest, manifest)
        checked = read_back(bucket, receipt, manifest.recipients)
    except BcpError as error:
        return Check(SECOND_COPY, Status.FAIL, f"not stored: {error.what}", error.remedy)
    return Check(SECOND_COPY, checked.status, f"{bucket.name}: {checked.detail}", checked.remedy)


def _secret_count(bucket: Bucket, stored: StoredObject, manifest_key: str) -> int | None:
    written = stored.metadata.get("secret-count", "")
    if written.isdigit():
        return int(written)
    try:
        manifest = manifests.decode(bucket.get(manifest_key))
    except ObjectAbsentError:
        return None
    return manifest.secret_count if manifest else None


def _unsound(name: str, problem: str) -> Check:
    return Check(
        READ_BACK,
        Status.FAIL,
        f"{name}: {problem}.",
        "Do not rely on this object. Earlier versions and days are untouched; start the export again.",
    )
