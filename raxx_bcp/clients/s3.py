"""The client for one S3 bucket: conditional, checksummed writes and honest reads.

It has no delete on purpose: what stores the backups cannot remove them. "Denied" and "not
implemented" are ``CouldNotVerifyError``, never "off" or "absent".
"""

from __future__ import annotations

import base64
import contextlib
import enum
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from raxx_bcp.clients.aws_responses import look_at_answers
from raxx_bcp.clients.s3_errors import ConflictError, ObjectAbsentError, s3_errors
from raxx_bcp.errors import PermanentError, UsageError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

__all__ = [
    "Bucket",
    "ConflictError",
    "ObjectAbsentError",
    "ObjectVersion",
    "Receipt",
    "StoredObject",
    "Versioning",
    "make_client",
]


class Versioning(enum.StrEnum):
    """What the bucket says of its own versioning (GetBucketVersioning)."""

    ENABLED = "Enabled"
    SUSPENDED = "Suspended"
    NEVER_ENABLED = "never enabled"


@dataclass(frozen=True)
class Receipt:
    """The server's answer to a PUT. ``version_id`` is None where the bucket keeps no versions."""

    bucket: str
    key: str
    version_id: str | None
    etag: str
    sha256: str
    """Hex digest that the server itself verified."""


@dataclass(frozen=True)
class StoredObject:
    """One object as stored now. ``metadata`` is the user metadata; sizes in bytes."""

    key: str
    size_bytes: int
    etag: str
    version_id: str | None
    modified_utc: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ObjectVersion:
    """One version of an object, or a delete marker."""

    key: str
    version_id: str
    size_bytes: int
    modified_utc: datetime
    is_latest: bool
    is_delete_marker: bool


class Bucket:
    """One bucket, through a boto3 client that is made on first use.

    Raises ``TransientError`` (unreachable, busy), ``CouldNotVerifyError`` (denied, not implemented),
    ``ObjectAbsentError``, ``ConflictError`` or ``PermanentError`` from every method.
    """

    def __init__(self, name: str, *, region: str = "", profile: str = "", client: S3Client | None = None) -> None:
        self.name = name
        self._region = region
        self._profile = profile
        self._made = client

    @property
    def _client(self) -> S3Client:
        if self._made is None:
            self._made = make_client(self._region, self._profile)
        return self._made

    @property
    def region(self) -> str:
        """The region for signing: this machine's AWS settings. Raises ``UsageError`` for an unknown profile."""
        return self._client.meta.region_name or "us-east-1"

    def versioning(self) -> Versioning:
        """Does the bucket keep versions?"""
        with s3_errors("read the versioning of", self.name):
            answer: Mapping[str, Any] = self._client.get_bucket_versioning(Bucket=self.name)
            status = answer.get("Status")
            return Versioning(status) if status else Versioning.NEVER_ENABLED

    def object_lock(self) -> bool:
        """Can an object of the bucket be locked for a time (Object Lock)?"""
        try:
            with s3_errors("read the Object Lock configuration of", self.name):
                answer: Mapping[str, Any] = self._client.get_object_lock_configuration(Bucket=self.name)
                return "Enabled" in answer.get("ObjectLockConfiguration", {}).values()
        except ObjectAbsentError:
            return False

    def put(
        self,
        key: str,
        body: bytes | bytearray,
        *,
        content_type: str,
        metadata: Mapping[str, str],
        only_if_absent: bool = False,
        only_if_etag: str | None = None,
        compliance_until: datetime | None = None,
    ) -> Receipt:
        """Store ``body`` in one PUT that the server checks by SHA-256 and encrypts at rest (SSE-S3).

        Raises ``ConflictError`` when the condition does not hold: one of two writers wins.
        """
        digest = hashlib.sha256(body)
        request: dict[str, Any] = {
            "Bucket": self.name,
            "Key": key,
            "Body": body,
            "ContentType": content_type,
            "Metadata": dict(metadata),
            "ServerSideEncryption": "AES256",
            "ChecksumSHA256": base64.b64encode(digest.digest()).decode(),
        }
        if only_if_absent:
            request["IfNoneMatch"] = "*"
        if only_if_etag is not None:
            request["IfMatch"] = only_if_etag
        if compliance_until is not None:
            request |= {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": compliance_until}
        with s3_errors(f"store {key} in", self.name, denied=PermanentError):
            answer = self._client.put_object(**request)
            return Receipt(self.name, key, _version(answer.get("VersionId")), answer["ETag"], digest.hexdigest())

    def head(self, key: str, *, version_id: str | None = None) -> StoredObject | None:
        """The object as stored, or None where there is none."""
        try:
            with s3_errors(f"look at {key} in", self.name):
                answer = self._client.head_object(Bucket=self.name, Key=key, **_at(version_id))
                return StoredObject(
                    key=key,
                    size_bytes=answer["ContentLength"],
                    etag=answer["ETag"],
                    version_id=_version(answer.get("VersionId")),
                    modified_utc=answer["LastModified"],
                    metadata={name.lower(): value for name, value in answer.get("Metadata", {}).items()},
                )
        except ObjectAbsentError:
            return None

    def get(self, key: str, *, version_id: str | None = None) -> bytes:
        """The whole body of an object."""
        with s3_errors(f"read {key} from", self.name):
            answer = self._client.get_object(Bucket=self.name, Key=key, **_at(version_id))
            return answer["Body"].read()

    def stream(self, key: str, *, version_id: str | None = None, chunk_bytes: int = 1024 * 1024) -> Iterator[bytes]:
        """The body of an object in pieces of at most ``chunk_bytes``, so that it is never whole in memory.

        A body that ends early is a ``TransientError``, never a short body.
        """
        with s3_errors(f"read {key} from", self.name):
            answer = self._client.get_object(Bucket=self.name, Key=key, **_at(version_id))
            with contextlib.closing(answer["Body"]) as body:
                yield from body.iter_chunks(chunk_bytes)

    def keys(self, prefix: str, *, start_after: str = "") -> list[str]:
        """The key of every current object under ``prefix`` that sorts after ``start_after``, in key order."""
        listed = self._client.get_paginator("list_objects_v2")
        with s3_errors(f"list {prefix} in", self.name):
            pages = listed.paginate(Bucket=self.name, Prefix=prefix, StartAfter=start_after)
            return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def objects(self, prefix: str) -> list[StoredObject]:
        """Every current object under ``prefix`` in key order, without its metadata."""
        found: list[StoredObject] = []
        with s3_errors(f"list {prefix} in", self.name):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
                found += [
                    StoredObject(item["Key"], item["Size"], item["ETag"], None, item["LastModified"])
                    for item in page.get("Contents", [])
                ]
        return found

    def versions(self, prefix: str) -> list[ObjectVersion]:
        """Every version and delete marker under ``prefix``, newest first within a key."""
        found: list[ObjectVersion] = []
        with s3_errors(f"list the versions of {prefix} in", self.name):
            for page in self._client.get_paginator("list_object_versions").paginate(Bucket=self.name, Prefix=prefix):
                found += [
                    ObjectVersion(v["Key"], v["VersionId"], v["Size"], v["LastModified"], v["IsLatest"], False)
                    for v in page.get("Versions", [])
                ]
                found += [
                    ObjectVersion(m["Key"], m["VersionId"], 0, m["LastModified"], m["IsLatest"], True)
                    for m in page.get("DeleteMarkers", [])
                ]
        return sorted(found, key=lambda version: (version.key, -version.modified_utc.timestamp()))


def make_client(region: str, profile: str) -> S3Client:
    """A client with the machine's own AWS settings where ``region`` or ``profile`` is empty.

    Raises ``UsageError`` where the profile is not configured.
    """
    import boto3
    from botocore.config import Config
    from botocore.exceptions import ProfileNotFound

    config = Config(retries={"mode": "standard", "max_attempts": 4}, connect_timeout=10, read_timeout=120)
    try:
        session = boto3.Session(profile_name=profile or None, region_name=region or None)
        client = session.client("s3", config=config)
    except ProfileNotFound:
        raise UsageError(
            f"The AWS profile {profile} of vault_export.second_copy is not configured on this machine.",
            "Add it to ~/.aws/config, or correct the policy.",
        ) from None
    look_at_answers(client)
    return client


def _version(answered: str | None) -> str | None:
    return answered if answered and answered != "null" else None


def _at(version_id: str | None) -> dict[str, Any]:
    return {"VersionId": version_id} if version_id else {}
