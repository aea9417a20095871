"""D3: the export of a day, decrypted where the key is, restored into a throwaway vault and compared item by item.

The worker that runs the daily export never has the private key, and no drill brings it there. Without a key, the drill
checks everything that it can and says COULD_NOT_VERIFY. It does not touch production's vault, and it only reads the
state bucket. The plaintext is in memory only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from raxx_bcp.clients import gpg, openpgp
from raxx_bcp.clients.infisical import Identity
from raxx_bcp.clients.s3 import Bucket
from raxx_bcp.drills.engine.drill import RESTORE_TIME, Drill, Source
from raxx_bcp.drills.engine.record import RESOURCE
from raxx_bcp.drills.vault.export_compare import APPROVALS, EQUAL, judge
from raxx_bcp.drills.vault.stored_exports import StoredExport, body_of, checksum, choose, moment
from raxx_bcp.drills.vault.throwaway_projects import OpenVault, project_lease, project_slug
from raxx_bcp.drills.vault.wanted import NEWEST, ExportWanted
from raxx_bcp.errors import CouldNotVerifyError, PermanentError
from raxx_bcp.policy import Policy
from raxx_bcp.vault.opening import OpenedExport, open_document
from raxx_bcp.vault.restore import Restored, restore
from raxx_bcp.vault.same_vault import VaultMatch, match_vault
from raxx_bcp.vault.survey import EnvironmentCount

__all__ = [
    "APPROVALS",
    "EQUAL",
    "Connections",
    "DecryptionKey",
    "vault_export",
]

EXPORT_AGE: Final = "export age"
MANIFEST: Final = "manifest"
CHECKSUM: Final = "checksum"
PACKETS: Final = "whole message"
RECIPIENTS: Final = "recipients"
PINNED_KEY: Final = "pinned key"
DECRYPTS: Final = "decrypts"
DOCUMENT: Final = "document"
COUNTS: Final = "counts of the manifest"
_ANOTHER_VAULT: Final = (
    "Set INFISICAL_DRILL_URL to another Infisical with an organisation of its own, which holds nothing; an export that "
    "does not name its organisation can only be restored by raxx-bcp vault restore."
)
_WITH_KEY: Final = (DECRYPTS, DOCUMENT, COUNTS)
_RESTORED: Final = (APPROVALS, *EQUAL.values())


@dataclass(frozen=True)
class DecryptionKey:
    """Where the private key is: armoured in memory, in a GnuPG home, or (neither) the caller's own keyring."""

    armoured: bytes | None = field(default=None, repr=False)
    home: Path | None = None


@dataclass(frozen=True)
class Connections:
    """The drill's clients. ``fingerprint`` is the pinned one.

    ``open_vault`` makes a session with the throwaway vault; None: no such vault is configured. ``key`` is None where no
    private key is available.
    """

    bucket: Bucket
    fingerprint: str
    open_vault: OpenVault | None
    key: DecryptionKey | None


def vault_export(drill: Drill, connections: Connections, policy: Policy, wanted: ExportWanted) -> None:
    """Open one export, restore it and compare. Raises what the clients raise; the drill records it."""
    with drill.phase("select"):
        export = _select(drill, connections.bucket, policy, wanted)
        body = _stored(drill, connections, export)
    if body is None:
        return
    if connections.key is None:
        why = "no private key is at hand: run it where the key is (docs/runbooks/vault-drills.md)"
        _not_run(drill, (*_WITH_KEY, *_RESTORED, RESTORE_TIME), why)
        return
    with drill.phase("decrypt"):
        document = _open(drill, body, export, connections.key)
    if document is None:
        return
    if connections.open_vault is None:
        _not_run(drill, (*_RESTORED, RESTORE_TIME), "no throwaway vault is configured (INFISICAL_DRILL_URL)")
        return
    restored = _restore(drill, connections.open_vault, policy, document)
    with drill.phase("verify"):
        judge(drill, document, restored)
    drill.newest_record_utc = moment(export.manifest.newest_change_utc)
    drill.check_restore_time("selecting, decrypting, restoring and comparing")


def _not_run(drill: Drill, names: tuple[str, ...], why: str) -> None:
    for name in names:
        drill.not_run(name, why)


# -- select ----------------------------------------------------------------------------------------------


def _select(drill: Drill, bucket: Bucket, policy: Policy, wanted: ExportWanted) -> StoredExport:
    """Choose one, and judge the age of the newest export, whichever is restored: that is what the policy promises."""
    prefix, promised = policy.vault_export.prefix, policy.vault_drill
    newest = choose(bucket, prefix, NEWEST)
    age = drill.started_utc - newest.read_utc
    drill.check(
        EXPORT_AGE,
        expected=f"at most {promised.rpo_hours} hours",
        actual=f"{age.total_seconds() / 3600:.1f} hours",
        ok=age <= timedelta(hours=promised.rpo_hours),
        reason=f"the newest export with a manifest, {newest.day}, is too old: look at raxx-bcp vault list",
    )
    export = newest if wanted.date == NEWEST else choose(bucket, prefix, wanted.date)
    manifest = export.manifest
    at = f"?versionId={manifest.version_id}" if manifest.version_id else ""
    drill.source(
        Source(
            backup_id=f"s3://{bucket.name}/{export.keys.export}{at}",
            created_utc=export.read_utc,
            selected_because=export.because,
            size_bytes=manifest.size_bytes,
            sha256=manifest.ciphertext_sha256,
            key_fingerprint=manifest.key_fingerprint,
        )
    )
    return export


def _stored(drill: Drill, connections: Connections, export: StoredExport) -> bytes | None:
    """Everything that is known without the private key. None: it differs from its manifest, so it is not opened."""
    manifest = export.manifest
    drill.check(
        MANIFEST,
        expected=f"that of {export.keys.export}",
        actual=f"that of {manifest.key}, {manifest.export_date}",
        ok=not export.manifest_problem,
        reason=export.manifest_problem,
    )
    drill.check(
        PINNED_KEY,
        expected=connections.fingerprint,
        actual=manifest.key_fingerprint,
        reason="it was made for another key than the pinned one: if the key was changed since, the old one is needed",
    )
    body = body_of(connections.bucket, export)
    if body is None:
        gone = "the version that the manifest names is no longer there"
        drill.check(CHECKSUM, expected=manifest.ciphertext_sha256, actual="no object", reason=gone)
        return None
    same = drill.check(
        CHECKSUM,
        expected=manifest.ciphertext_sha256,
        actual=checksum(body),
        reason="what is stored is not what was stored: altered, or cut short",
    )
    whole = _packets(drill, body, manifest.recipients)
    return body if same and whole else None


def _packets(drill: Drill, body: bytes, recipients: tuple[str, ...]) -> bool:
    expected = "one encrypted message, to its last byte"
    try:
        found = openpgp.inspect(body).recipients
    except openpgp.MalformedError as error:
        drill.check(PACKETS, expected=expected, actual="not whole", reason=str(error))
        return False
    drill.check(PACKETS, expected=expected, actual=expected)
    return drill.check(
        RECIPIENTS,
        expected=", ".join(recipients),
        actual=", ".join(found),
        reason=f"it can be read by {', '.join(found)}",
    )


# -- decrypt ---------------------------------------------------------------------------------------------


def _open(drill: Drill, body: bytes, export: StoredExport, key: DecryptionKey) -> OpenedExport | None:
    """Decrypt in memory and read. None: that failed, and the drill has recorded why."""
    try:
        plaintext = gpg.decrypt(body, key.armoured, home=key.home)
    except gpg.MessageDamagedError as error:
        drill.check(DECRYPTS, expected="yes", actual="no", reason=error.what)
        return None
    except gpg.DecryptionFailedError as error:  # no key, or one that could not be unlocked: nothing was read
        _not_run(drill, (*_WITH_KEY, *_RESTORED, RESTORE_TIME), error.what)
        return None
    drill.check(DECRYPTS, expected="yes", actual="yes")
    expected = f"an export of {export.day}"
    try:
        document = open_document(plaintext)
    except PermanentError as error:
        drill.check(DOCUMENT, expected=expected, actual="none that can be read", reason=error.what)
        return None
    drill.check(
        DOCUMENT,
        expected=expected,
        actual=f"an export of {document.export_date}",
        reason="an export of another day was stored under this one's name",
    )
    _counts(drill, document, export)
    return document


def _counts(drill: Drill, document: OpenedExport, export: StoredExport) -> None:
    promised, held = _by_place(export.manifest.environments), _by_place(document.counts())
    differing = sorted(place for place in promised.keys() | held.keys() if promised.get(place) != held.get(place))
    drill.check(
        COUNTS,
        expected=_said(export.manifest.project_count, tuple(promised.values())),
        actual=_said(len(document.projects), tuple(held.values())),
        ok=not differing and export.manifest.project_count == len(document.projects),
        reason=f"not as the manifest says: {', '.join(differing[:3]) or 'the projects'}",
    )


def _by_place(counts: tuple[EnvironmentCount, ...]) -> dict[str, EnvironmentCount]:
    return {f"{one.project}/{one.environment}": one for one in counts}


def _said(projects: int, counts: tuple[EnvironmentCount, ...]) -> str:
    secrets, folders = sum(one.secrets for one in counts), sum(one.folders for one in counts)
    imports = sum(one.imports for one in counts)
    return f"{projects} projects, {len(counts)} environments, {folders} folders, {secrets} secrets, {imports} imports"


# -- restore ---------------------------------------------------------------------------------------------


def _restore(drill: Drill, open_vault: OpenVault, policy: Policy, document: OpenedExport) -> Restored:
    prefix = policy.vault_drill.throwaway_prefix
    slugs = {
        project.project.slug: project_slug(prefix, drill.expires_utc, number, drill.token)
        for number, project in enumerate(document.projects, start=1)
    }
    with open_vault() as vault:
        with drill.phase("provision"):
            _refuse_the_vault_itself(drill, vault.url, vault.identity, document)
            drill.target = {RESOURCE: vault.url, "projects": ", ".join(slugs.values())}
            for slug in slugs.values():
                drill.leases.take(project_lease(open_vault, slug))
        with drill.phase("restore"):
            return restore(document, vault, slug_of=slugs.__getitem__, progress=drill.progress)


def _refuse_the_vault_itself(drill: Drill, url: str, identity: Identity, document: OpenedExport) -> None:
    """Never write production's secrets into production's vault a second time.

    Refuses production's own server, whatever organisation the login belongs to, and any vault that is not known to be
    another one.
    """
    found = match_vault(document.source, url, identity)
    if found.kin is VaultMatch.OTHER and not found.same_server:
        drill.isolation.append(f"not the vault that the export was read from: {found.told}")
        return
    same_server = f"{url} is the server that the export was read from, though of another organisation"
    told = same_server if found.kin is VaultMatch.OTHER else found.told
    raise CouldNotVerifyError(
        f"The throwaway vault must be another one than the export's: {told}. Nothing was written.", _ANOTHER_VAULT
    )


# -- judge -----------------------------------------------------------------------------------------------
