"""The client for one drill's own scratch in a bucket, and a look around it. Besides, only old dump sets are deleted.

``Scratch`` writes, deletes and purges below ``<prefix><drill id>/`` and nowhere else: every method takes a bare name
and builds the key itself, and the boto3 client behind it refuses, before a byte is sent, every other operation,
bucket and key. ``Surroundings`` only lists.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from raxx_bcp.clients.s3 import make_client
from raxx_bcp.clients.s3_errors import ObjectAbsentError, s3_errors
from raxx_bcp.errors import PermanentError, UsageError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

ALLOWED: Final = frozenset({"CopyObject", "DeleteObject", "GetObject", "HeadObject", "ListObjectVersions", "PutObject"})
MARK: Final = "raxx-bcp-drill"
"""User metadata of everything that it writes: the drill's id."""
NO_VERSION: Final = "null"
"""The version id of an object from before the bucket kept versions (S3 User Guide, "How S3 Versioning works")."""

_PURGE_ROUNDS: Final = 5
_DRILL_ID: Final = re.compile(r"[a-z][a-z0-9_]*-\d{8}T\d{6}Z-[0-9a-f]{6}")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class ScratchVersion:
    """One version of a scratch object, or a delete marker. The size is in bytes."""

    name: str
    version_id: str
    size_bytes: int
    modified_utc: datetime
    is_latest: bool
    is_delete_marker: bool


@dataclass(frozen=True)
class CurrentObject:
    """What is on top of a key now: an object, or the delete marker that hides it. ``version_count`` has no markers."""

    version_id: str
    etag: str
    modified_utc: datetime
    is_delete_marker: bool
    version_count: int


class Scratch:
    """The scratch of the drill ``drill_id``, through a boto3 client that is made on first use.

    Every method raises ``UsageError`` (a name with a slash or dots), ``TransientError`` (unreachable, busy),
    ``CouldNotVerifyError`` (a look was denied) or ``PermanentError`` (a write was denied or refused).
    """

    def __init__(self, bucket: str, prefix: str, drill_id: str, *, client: S3Client | None = None) -> None:
        if not re.fullmatch(r"[\w-]+(/[\w-]+)*/", prefix):
            raise UsageError(
                f"{prefix!r} is no prefix for scratch objects.",
                "Set state_recovery.scratch_prefix, such as drill-scratch/.",
            )
        if not _DRILL_ID.fullmatch(drill_id):
            raise UsageError(f"{drill_id!r} is not the id of a drill.", "Start the drill in the ordinary way.")
        self.bucket = bucket
        self.drill_id = drill_id
        self.root = f"{prefix}{drill_id}/"
        self._given = client
        self._made: S3Client | None = None

    @property
    def _client(self) -> S3Client:
        if self._made is None:
            self._made = self._given or make_client("", "")
            self._made.meta.events.register("provide-client-params.s3", self._refuse_what_is_not_ours)
        return self._made

    def key(self, name: str) -> str:
        """The key of the scratch object ``name``. Raises ``UsageError`` for anything but a bare name."""
        if not _NAME.fullmatch(name) or ".." in name:
            raise UsageError(f"{name!r} is no name of a scratch object.", "Use letters, digits, dots and dashes only.")
        return self.root + name

    def put(self, name: str, body: bytes) -> str | None:
        """Store ``body``, checked by the server. Returns the version's id; None where the bucket keeps no versions."""
        key = self.key(name)
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        with s3_errors(f"store {key} in", self.bucket, denied=PermanentError):
            answer = self._client.put_object(
                Bucket=self.bucket,
                Key=key,
                Body=body,
                ContentType="application/json",
                Metadata={MARK: self.drill_id},
                ServerSideEncryption="AES256",
                ChecksumSHA256=digest,
            )
            return _version(answer.get("VersionId"))

    def head(self, name: str) -> str | None:
        """The id of the version that is current (``null``: it has none); None where the object is gone or deleted."""
        key = self.key(name)
        try:
            with s3_errors(f"look at {key} in", self.bucket):
                return self._client.head_object(Bucket=self.bucket, Key=key).get("VersionId", NO_VERSION)
        except ObjectAbsentError:
            return None

    def get(self, name: str, *, version_id: str = "") -> bytes:
        """The whole body, of the current version where ``version_id`` is empty. Raises ``ObjectAbsentError``."""
        key = self.key(name)
        at: Any = {"VersionId": version_id} if version_id else {}
        with s3_errors(f"read {key} from", self.bucket):
            return self._client.get_object(Bucket=self.bucket, Key=key, **at)["Body"].read()

    def delete(self, name: str) -> None:
        """An ordinary deletion: where versions are kept, it puts a delete marker on top."""
        key = self.key(name)
        with s3_errors(f"delete {key} from", self.bucket, denied=PermanentError):
            self._client.delete_object(Bucket=self.bucket, Key=key)

    def copy_back(self, name: str, version_id: str) -> str | None:
        """Make an earlier version current, by a copy of it on top. Returns the new version's id, like ``put``."""
        key = self.key(name)
        with s3_errors(f"copy an earlier version of {key} back in", self.bucket, denied=PermanentError):
            answer = self._client.copy_object(
                Bucket=self.bucket,
                Key=key,
                CopySource={"Bucket": self.bucket, "Key": key, "VersionId": version_id},
                ServerSideEncryption="AES256",
            )
        return _version(answer.get("VersionId"))

    def versions(self, name: str) -> list[ScratchVersion]:
        """Every version of ``name`` in S3's own order, the newest first, and its delete markers behind them."""
        self.key(name)
        return [version for version in self._all() if version.name == name]

    def purge(self) -> int:
        """Delete every version and every delete marker of the drill, permanently. Returns how many there were.

        Lists until nothing is left. Raises ``PermanentError`` where a deletion is denied.
        """
        purged = 0
        for _round in range(_PURGE_ROUNDS):
            found = list(self._all())
            if not found:
                break
            for version in found:
                key = self.key(version.name)
                with s3_errors(f"delete a version of {key} from", self.bucket, denied=PermanentError):
                    self._client.delete_object(Bucket=self.bucket, Key=key, VersionId=version.version_id)
            purged += len(found)
        return purged

    def hide(self) -> None:
        """Put a delete marker on top of everything: a role may do no more under MFA delete."""
        for version in list(self._all()):
            if version.is_latest and not version.is_delete_marker:
                self.delete(version.name)

    def is_hidden(self) -> bool:
        """Is there a delete marker on top of every object?"""
        return not any(version.is_latest and not version.is_delete_marker for version in self._all())

    def is_empty(self) -> bool:
        """Is no version and no delete marker listed?"""
        return next(self._all(), None) is None

    def _all(self) -> Iterator[ScratchVersion]:
        for listed in _listed(self._client, self.bucket, self.root):
            yield ScratchVersion(
                listed["Key"].removeprefix(self.root),
                listed["VersionId"],
                listed.get("Size", 0),
                listed["LastModified"],
                listed["IsLatest"],
                "Size" not in listed,
            )

    def _refuse_what_is_not_ours(self, params: dict[str, Any], event_name: str, **_named: Any) -> None:
        """The last check before anything is sent: it also catches a mistake in this module."""
        operation = event_name.rpartition(".")[2]
        places = [(params.get("Bucket"), params.get("Prefix" if operation == "ListObjectVersions" else "Key"))]
        source = params.get("CopySource")
        if operation == "CopyObject":
            places.append((source.get("Bucket"), source.get("Key")) if isinstance(source, dict) else (None, None))
        ours = all(bucket == self.bucket and self._is_ours(key, operation) for bucket, key in places)
        if operation not in ALLOWED or not ours or "BypassGovernanceRetention" in params:
            raise PermanentError(
                f"{operation} was refused before it was sent: this client reaches nothing but {self.root}.",
                "Nothing was changed. The request is a bug in the program: report it.",
            )

    def _is_ours(self, key: object, operation: str) -> bool:
        if not isinstance(key, str) or not key.startswith(self.root):
            return False
        name = key.removeprefix(self.root)
        return (operation == "ListObjectVersions" and not name) or bool(_NAME.fullmatch(name) and ".." not in name)


class Surroundings:
    """The bucket around the scratch, by its list of versions. This client can do nothing else.

    Every method raises ``TransientError``, ``CouldNotVerifyError`` (denied) or ``PermanentError``.
    """

    def __init__(self, bucket: str, *, scratch_prefix: str, client: S3Client | None = None) -> None:
        self.bucket = bucket
        self._scratch_prefix = scratch_prefix
        self._given = client
        self._made: S3Client | None = None

    @property
    def _client(self) -> S3Client:
        if self._made is None:
            self._made = self._given or make_client("", "")
            self._made.meta.events.register("provide-client-params.s3", _refuse_all_but_lists)
        return self._made

    def current(self) -> dict[str, CurrentObject]:
        """What is on top of every key outside the scratch prefix. One entry a key, however long its history is."""
        tops: dict[str, Any] = {}
        counts: dict[str, int] = {}
        for listed in _listed(self._client, self.bucket, ""):
            key = listed["Key"]
            if key.startswith(self._scratch_prefix):
                continue
            counts[key] = counts.get(key, 0) + ("Size" in listed)
            if listed["IsLatest"]:
                tops[key] = listed
        return {
            key: CurrentObject(
                top["VersionId"], top.get("ETag", ""), top["LastModified"], "Size" not in top, counts[key]
            )
            for key, top in tops.items()
        }

    def version_ids(self, key: str) -> set[str]:
        """The ids of every version of ``key`` that is kept, without delete markers."""
        listed = _listed(self._client, self.bucket, key)
        return {one["VersionId"] for one in listed if one["Key"] == key and "Size" in one}

    def scratch_drill_ids(self, *, current_only: bool = False) -> list[str]:
        """The drills that have something below the scratch prefix; entries without a drill's name are left out.

        ``current_only``: what is below a delete marker does not count.
        """
        first = {
            listed["Key"].removeprefix(self._scratch_prefix).partition("/")[0]
            for listed in _listed(self._client, self.bucket, self._scratch_prefix)
            if not current_only or (listed["IsLatest"] and "Size" in listed)
        }
        return sorted(name for name in first if _DRILL_ID.fullmatch(name))


def _refuse_all_but_lists(event_name: str, **_named: Any) -> None:
    operation = event_name.rpartition(".")[2]
    if operation != "ListObjectVersions":
        raise PermanentError(
            f"{operation} was refused before it was sent: this client only lists.",
            "Nothing was changed. The request is a bug in the program: report it.",
        )


def _listed(client: S3Client, bucket: str, prefix: str) -> Iterator[Any]:
    """S3's own entries below ``prefix``, a page in memory at a time. A delete marker is the one without ``Size``."""
    action = f"list the versions of {prefix} in" if prefix else "list the versions in"
    pages: Any = client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    pages = iter(pages)
    while True:
        with s3_errors(action, bucket):
            page = next(pages, None)
            listed = [] if page is None else [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            for one in listed:
                _require(one, "Key", "VersionId", "LastModified", "IsLatest")
        if page is None:
            return
        yield from listed


def _require(entry: dict[str, Any], *names: str) -> None:
    """Raise ``KeyError`` unless all of it is there, for ``s3_errors`` to translate."""
    for name in names:
        entry[name]


def _version(answered: str | None) -> str | None:
    return answered if answered and answered != NO_VERSION else None
