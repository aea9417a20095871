"""The source of an export: a day in the bucket, an object, or a file; sealed first, then opened.

A file needs nothing but gpg: no AWS, no policy. The manifest's values are checked where a manifest is available:
beside the object or beside the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from raxx_bcp.clients import openpgp
from raxx_bcp.clients.gpg import decrypt
from raxx_bcp.clients.s3 import Bucket, ObjectAbsentError
from raxx_bcp.errors import BcpError, PermanentError, UsageError
from raxx_bcp.vault import manifest as manifests
from raxx_bcp.vault import store
from raxx_bcp.vault.manifest import Manifest
from raxx_bcp.vault.opening import OpenedExport, open_document

MANIFEST_SUFFIX: Final = ".manifest.json"
EXPORT_SUFFIX: Final = ".json.gpg"
NEWEST: Final = "newest"
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_OBJECT: Final = re.compile(r"s3://(?P<bucket>[^/?]+)/(?P<key>[^?]+)(\?versionId=(?P<version>.+))?")


@dataclass(frozen=True)
class Key:
    """How to open it: the operator's own gpg, another GnuPG home, or an armoured private key."""

    armoured: bytes | None = field(default=None, repr=False)
    home: Path | None = None


@dataclass(frozen=True)
class Sealed:
    """An encrypted export. ``recipients`` are the ids of the keys that can open it."""

    name: str
    body: bytes = field(repr=False)
    manifest: Manifest | None
    recipients: tuple[str, ...]


@dataclass(frozen=True)
class Days:
    """Where the exports of days are: read only when a day is requested."""

    bucket: Bucket
    prefix: str


def fetch(source: str, days: Callable[[], Days]) -> Sealed:
    """The export that ``source`` names: ``YYYY-MM-DD``, ``newest``, ``s3://bucket/key[?versionId=…]``, or a file.

    Raises ``PermanentError`` where it is absent, damaged, or not what its manifest says; ``UsageError``
    for a name that is none of the three; whatever the S3 client raises.
    """
    if source == NEWEST or _DAY.fullmatch(source):
        at = days()
        keys = store.keys_of(at.prefix, _newest(at) if source == NEWEST else source)
        return _from_bucket(at.bucket, keys.export, keys.manifest, None)
    if source.startswith("s3://"):
        found = _OBJECT.fullmatch(source)
        if found is None:
            raise UsageError(f"{source} is not the address of an object.", "Write it as s3://BUCKET/KEY.")
        key = found["key"]
        manifest = key.removesuffix(EXPORT_SUFFIX) + MANIFEST_SUFFIX if key.endswith(EXPORT_SUFFIX) else None
        return _from_bucket(Bucket(found["bucket"]), key, manifest, found["version"])
    return _from_file(Path(source))


def open_export(sealed: Sealed, key: Key) -> OpenedExport:
    """Decrypt, check and compare with the manifest.

    Raises ``DecryptionFailedError`` or ``PermanentError``; nothing of a damaged export is returned.
    """
    document = open_document(decrypt(sealed.body, key.armoured, home=key.home))
    manifest = sealed.manifest
    if manifest and (document.secret_count, document.counts()) != (manifest.secret_count, manifest.environments):
        raise PermanentError(
            f"{sealed.name} holds {document.secret_count} secrets; its manifest says {manifest.secret_count}, or "
            "spreads them otherwise.",
            "The manifest and the export do not belong together: look at their versions, or use another day.",
        )
    return document


def _newest(at: Days) -> str:
    found = max((day for item in at.bucket.objects(at.prefix) if (day := store.day_of(item.key))), default=None)
    if found is None:
        raise PermanentError(
            f"There is no export under {at.prefix} in bucket {at.bucket.name}.",
            "Look in the second copy, or name a file that you have.",
        )
    return found


def _from_bucket(bucket: Bucket, key: str, manifest_key: str | None, version: str | None) -> Sealed:
    manifest = _manifest_in(bucket, manifest_key) if manifest_key else None
    wanted = version or (manifest.version_id if manifest else None)
    name = f"s3://{bucket.name}/{key}"
    try:
        body = bucket.get(key, version_id=wanted)
    except ObjectAbsentError:
        raise PermanentError(
            f"{name} is not there{f' in version {wanted}' if wanted else ''}.",
            "raxx-bcp vault list shows the days that have an export.",
        ) from None
    if manifest and version and version != manifest.version_id:
        manifest = None  # it describes another version of this object
    return _sealed(name, body, manifest)


def _manifest_in(bucket: Bucket, key: str) -> Manifest | None:
    """None where no manifest is available: an export without its manifest is restored all the same."""
    try:
        return manifests.decode(bucket.get(key))
    except BcpError:
        return None


def _from_file(path: Path) -> Sealed:
    try:
        body = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.",
            "Give a day (YYYY-MM-DD), an object (s3://BUCKET/KEY), or a file that is there.",
        ) from None
    beside = path.with_name(path.name.removesuffix(EXPORT_SUFFIX) + MANIFEST_SUFFIX)
    try:
        manifest = manifests.decode(beside.read_bytes()) if path.name.endswith(EXPORT_SUFFIX) else None
    except OSError:
        manifest = None
    return _sealed(str(path), body, manifest)


def _sealed(name: str, body: bytes, manifest: Manifest | None) -> Sealed:
    try:
        recipients = openpgp.inspect(body).recipients
    except openpgp.MalformedError as error:
        raise PermanentError(
            f"{name} is not one whole encrypted message: {error}.",
            "It is damaged, cut short, or another file: take another day, an earlier version, or the second copy.",
        ) from None
    if manifest and (problem := store.soundness(body, manifest.ciphertext_sha256, manifest.recipients)):
        raise PermanentError(
            f"{name}: {problem}.",
            "It is not what was stored: take another day, an earlier version, or the second copy.",
        )
    return Sealed(name, body, manifest, recipients)
