"""The export from start to end: judge the key, read the vault, gate, encrypt, store, verify.

The order gives the safety: every refusal that is possible comes before the vault is read, nothing is
stored before the gate is passed, and success is claimed only for what was read back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from raxx_bcp.checks import Check, Status, worst
from raxx_bcp.clients.gpg import Ciphertext, Keyring, PublicKey, keyring
from raxx_bcp.clients.infisical import Infisical, OrgProject
from raxx_bcp.clients.infisical_errors import DeniedError
from raxx_bcp.clients.s3 import Bucket, Receipt
from raxx_bcp.clock import Clock, utc_now
from raxx_bcp.errors import CouldNotVerifyError, PermanentError
from raxx_bcp.policy import VaultExport
from raxx_bcp.vault import gate, store, walk
from raxx_bcp.vault import manifest as manifests
from raxx_bcp.vault.document import PieceReader, pieces
from raxx_bcp.vault.emptied_folders import EmptiedFolders, emptied_folders, places
from raxx_bcp.vault.keys import KEY_EXPIRY, OperatorKey, expiry_check
from raxx_bcp.vault.manifest import CheckRow, Manifest, tool_versions, utc_text
from raxx_bcp.vault.survey import EnvironmentCount, Survey

RECIPIENTS: Final = "recipients"
SECOND_COPY: Final = store.SECOND_COPY
CHECK_NAMES: Final = (
    gate.COMPLETENESS,
    gate.SHRINK,
    RECIPIENTS,
    KEY_EXPIRY,
    store.READ_BACK,
    store.SECOND_COPY,
)

Progress = Callable[[str], None]


@dataclass(frozen=True)
class ExportConnections:
    """The outside systems that an export uses. ``org_admin`` is the optional second identity."""

    vault: Infisical
    bucket: Bucket
    org_admin: Infisical | None = None
    second_bucket: Bucket | None = None


@dataclass(frozen=True)
class ExportReceipt:
    """What was stored (``manifest``, which holds no secret) and its checks."""

    manifest: Manifest
    checks: tuple[Check, ...]
    replaced: bool
    """Did it replace an earlier export of the same day (whose version is kept)?"""
    duration_seconds: float

    @property
    def status(self) -> Status:
        return worst(self.checks)

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``: the manifest's fields, every check, and one ``status``."""
        return {
            "ok": self.status in (Status.PASS, Status.WARN),
            "status": self.status.value,
            **msgspec.to_builtins(self.manifest),
            "checks": [check.as_dict() for check in self.checks],
            "replaced": self.replaced,
            "duration_seconds": round(self.duration_seconds, 3),
        }


@dataclass(frozen=True)
class _Made:
    """What is known of the export once it is encrypted; the plaintext is gone by then."""

    encrypted: Ciphertext
    document_size_bytes: int
    project_count: int
    counts: tuple[EnvironmentCount, ...]
    folder_secrets: dict[str, int]
    newest_change: str

    @property
    def secret_count(self) -> int:
        return sum(row.secrets for row in self.counts)


def export_vault(
    connections: ExportConnections,
    operator: OperatorKey,
    policy: VaultExport,
    day: str,
    *,
    accept_shrink: str = "",
    accept_emptied: Sequence[str] = (),
    clock: Clock = utc_now,
    progress: Progress = lambda _message: None,
) -> ExportReceipt:
    """Make and verify the export of ``day`` (``YYYY-MM-DD``, UTC).

    ``accept_shrink`` is why fewer secrets are right this time, ``accept_emptied`` names folders
    (``project/environment/path``) that were emptied on purpose; the manifest records both.

    Raises ``ExportRefusedError`` (the gate), ``KeyRefusedError``, ``EncryptionFailedError``, or whatever
    the clients raise. After any of them, nothing of this run counts as an export.
    """
    started, accepted = clock(), places(accept_emptied)
    with keyring(operator.armoured, operator.fingerprint, now=started) as ring:
        expiry = expiry_check(ring.key, policy.key_warning_days, started)
        progress(f"key {ring.key.fingerprint} can encrypt")
        target = store.choose_target(connections.bucket, store.keys_of(policy.prefix, day))
        baseline = _baseline(connections.bucket, policy, day)
        survey, proved = _read_vault(connections, policy, progress)
        known = None if isinstance(baseline, CouldNotVerifyError) else baseline
        emptied = emptied_folders(survey, known, proved, policy, accepted)
        shrunk = _shrunk(survey, baseline, policy, accept_shrink)
        gate.refuse_if([*emptied.findings(), shrunk])
        made = _encrypt(ring, survey, day, started, clock())
    progress(f"encrypted {made.document_size_bytes} bytes into {len(made.encrypted.data)}")
    receipt = store.store(connections.bucket, target, made.encrypted.data, _metadata(made, ring.key))
    progress(f"stored {receipt.key} as version {receipt.version_id or '(none kept)'}")
    readable = store.read_back(connections.bucket, receipt, made.encrypted.recipients)
    if readable.status is Status.FAIL:
        raise PermanentError(readable.detail, readable.remedy)
    checks = (_complete(made, emptied), shrunk, _only_reader(made, ring.key), expiry, readable)
    manifest = _manifest(receipt, day, made, ring, checks, (started, clock()), accept_shrink, emptied)
    store.store_manifest(connections.bucket, target.keys.manifest, manifest)
    copied = store.second_copy(
        policy.second_copy, connections.second_bucket, target.keys, made.encrypted.data, manifest, started
    )
    progress(f"second copy: {copied.detail}")
    duration = (clock() - started).total_seconds()
    return ExportReceipt(manifest, (*checks, copied), replaced=target.etag is not None, duration_seconds=duration)


def _baseline(bucket: Bucket, policy: VaultExport, day: str) -> gate.Baseline | CouldNotVerifyError | None:
    try:
        return store.last_good(bucket, policy.prefix, day)
    except CouldNotVerifyError as error:
        return error


def _read_vault(
    connections: ExportConnections, policy: VaultExport, progress: Progress
) -> tuple[Survey, frozenset[str]]:
    """What was read, and the projects in which role and privileges prove that this is all."""
    with connections.vault as vault:
        joined = walk.memberships(vault)
        gate.refuse_if(gate.membership_findings(joined, organisation_projects(connections.org_admin), policy))
        progress(f"reading {len(joined)} projects")
        survey = walk.survey(vault, joined, concurrency=policy.concurrency, progress=progress)
    gate.refuse_if(gate.content_findings(survey))
    return survey, gate.proved_projects(joined)


def organisation_projects(org_admin: Infisical | None) -> list[OrgProject] | None:
    """Every project by the organisation's own list, or None when no second identity is configured."""
    if org_admin is None:
        return None
    try:
        with org_admin as admin:
            return admin.organisation_projects()
    except DeniedError:
        raise PermanentError(
            "The identity in INFISICAL_ORG_ADMIN_CLIENT_ID may not list the organisation's projects.",
            "Give it the organisation role Admin, or unset its two variables to do without that check.",
        ) from None


def _shrunk(
    survey: Survey, baseline: gate.Baseline | CouldNotVerifyError | None, policy: VaultExport, accept_shrink: str
) -> Check:
    if isinstance(baseline, CouldNotVerifyError):
        return Check(gate.SHRINK, Status.COULD_NOT_VERIFY, f"no comparison: {baseline.what}", baseline.remedy)
    secret_count = sum(row.secrets for row in survey.counts())
    return gate.shrink_check(secret_count, baseline, policy.shrink_threshold_ratio, accept_shrink)


def _encrypt(ring: Keyring, survey: Survey, day: str, started: datetime, read_until: datetime) -> _Made:
    counts, folders = survey.counts(), survey.folders_with_secrets()
    newest, project_count = survey.newest_change, len(survey.projects)
    reader = PieceReader(pieces(survey, day, started, read_until))
    encrypted = ring.encrypt(reader)
    return _Made(encrypted, reader.size_bytes, project_count, counts, folders, newest)


def _metadata(made: _Made, key: PublicKey) -> dict[str, str]:
    return {
        "secret-count": str(made.secret_count),
        "project-count": str(made.project_count),
        "key-fingerprint": key.fingerprint,
    }


def _complete(made: _Made, emptied: EmptiedFolders) -> Check:
    return emptied.check(f"{made.secret_count} secrets of {made.project_count} projects")


def _only_reader(made: _Made, key: PublicKey) -> Check:
    readers = ", ".join(made.encrypted.recipients)
    return Check(RECIPIENTS, Status.PASS, f"only {readers}, the encryption key of {key.fingerprint}, can read it.")


def _manifest(
    receipt: Receipt,
    day: str,
    made: _Made,
    ring: Keyring,
    checks: tuple[Check, ...],
    span: tuple[datetime, datetime],
    accept_shrink: str,
    emptied: EmptiedFolders,
) -> Manifest:
    expires = ring.key.expires_utc
    return Manifest(
        kind=manifests.KIND,
        schema_version=1,
        export_date=day,
        bucket=receipt.bucket,
        key=receipt.key,
        version_id=receipt.version_id,
        ciphertext_sha256=receipt.sha256,
        size_bytes=len(made.encrypted.data),
        document_size_bytes=made.document_size_bytes,
        project_count=made.project_count,
        secret_count=made.secret_count,
        folder_count=sum(row.folders for row in made.counts),
        import_count=sum(row.imports for row in made.counts),
        newest_change_utc=made.newest_change,
        environments=made.counts,
        recipients=made.encrypted.recipients,
        key_fingerprint=ring.key.fingerprint,
        key_expires_utc=utc_text(expires) if expires else None,
        started_utc=utc_text(span[0]),
        ended_utc=utc_text(span[1]),
        atomic=False,
        accepted_shrink_reason=accept_shrink,
        checks=tuple(CheckRow(check.name, check.status.value, check.detail) for check in checks),
        tools=tool_versions(ring.gpg_version),
        folder_secrets=made.folder_secrets,
        emptied_folders=emptied.places,
        accepted_emptied_folders=tuple(sorted(emptied.accepted)),
    )
