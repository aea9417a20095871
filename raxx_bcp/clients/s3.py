"""The door to one S3 bucket: conditional, checksummed writes and honest reads.

There is no delete in here on purpose: what stores the backups cannot remove them. "Denied" and "not
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
from typing import TYPE_CHECKING, Any, Final

from raxx_bcp.errors import BcpError, CouldNotVerifyError, PermanentError, TransientError, UsageError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_ABSENT: Final = frozenset({"404", "NoSuchKey", "NoSuchVersion", "NotFound"})
_DENIED: Final = frozenset({"403", "AccessDenied", "Forbidden"})
_UNKNOWN: Final = frozenset({"501", "NotImplemented"})
_BUSY: Final = frozenset(
    {"500", "502", "503", "504", "InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout", "Throttling"}
)
_LOST_RACE: Final = frozenset({"412", "PreconditionFailed", "409", "ConditionalRequestConflict"})
_BAD_CREDENTIALS: Final = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"})


class Versioning(enum.StrEnum):
    """What the bucket says of its own versioning (GetBucketVersioning)."""

    ENABLED = "Enabled"
    SUSPENDED = "Suspended"
    NEVER_ENABLED = "never enabled"


class ConflictError(PermanentError):
    """Somebody else wrote the object first; nothing was overwritten."""


class ObjectAbsentError(PermanentError):
    """There is no such object, or no such version of it."""


@dataclass(frozen=True)
class Receipt:
    """What the server said of a PUT. ``version_id`` is None where the bucket keeps no versions."""

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
            self._made = _make_client(self._region, self._profile)
        return self._made

    def versioning(self) -> Versioning:
        """Does the bucket keep versions?"""
        with self._errors("read the versioning of"):
            answer: Mapping[str, Any] = self._client.get_bucket_versioning(Bucket=self.name)
        status = answer.get("Status")
        return Versioning(status) if status else Versioning.NEVER_ENABLED

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
        with self._errors(f"store {key} in", denied=PermanentError):
            answer = self._client.put_object(**request)
        return Receipt(self.name, key, _version(answer.get("VersionId")), answer["ETag"], digest.hexdigest())

    def head(self, key: str, *, version_id: str | None = None) -> StoredObject | None:
        """The object as stored, or None where there is none."""
        try:
            with self._errors(f"look at {key} in"):
                answer = self._client.head_object(Bucket=self.name, Key=key, **_at(version_id))
        except ObjectAbsentError:
            return None
        return StoredObject(
            key=key,
            size_bytes=answer["ContentLength"],
            etag=answer["ETag"],
            version_id=_version(answer.get("VersionId")),
            modified_utc=answer["LastModified"],
            metadata={name.lower(): value for name, value in answer.get("Metadata", {}).items()},
        )

    def get(self, key: str, *, version_id: str | None = None) -> bytes:
        """The whole body of an object."""
        with self._errors(f"read {key} from"):
            answer = self._client.get_object(Bucket=self.name, Key=key, **_at(version_id))
            return answer["Body"].read()

    def objects(self, prefix: str) -> list[StoredObject]:
        """Every current object under ``prefix`` in key order, without its metadata."""
        found: list[StoredObject] = []
        with self._errors(f"list {prefix} in"):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
                found += [
                    StoredObject(item["Key"], item["Size"], item["ETag"], None, item["LastModified"])
                    for item in page.get("Contents", [])
                ]
        return found

    def versions(self, prefix: str) -> list[ObjectVersion]:
        """Every version and delete marker under ``prefix``, newest first within a key."""
        found: list[ObjectVersion] = []
        with self._errors(f"list the versions of {prefix} in"):
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

    @contextlib.contextmanager
    def _errors(self, action: str, *, denied: type[BcpError] = CouldNotVerifyError) -> Iterator[None]:
        """``denied`` says what a refusal means: a denied look is unknown, a denied write has failed."""
        from botocore import exceptions

        try:
            yield
        except exceptions.ClientError as error:
            raise _translated(error, action, self.name, denied) from None
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError, exceptions.ProfileNotFound) as error:
            raise UsageError(
                f"There are no usable AWS credentials to {action} bucket {self.name} ({type(error).__name__}).",
                "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or an instance role.",
            ) from None
        except (exceptions.BotoCoreError, OSError) as error:
            raise TransientError(
                f"S3 could not be reached to {action} bucket {self.name} ({type(error).__name__}).",
                "Check the network and AWS_ENDPOINT_URL_S3, then try again.",
            ) from None


def _translated(error: Any, action: str, bucket: str, denied: type[BcpError]) -> BcpError:
    code = str(error.response.get("Error", {}).get("Code", "unknown"))
    status = str(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
    failed = f"S3 could not {action} bucket {bucket} ({code})."
    if code == "NoSuchBucket":
        return PermanentError(
            failed, "The bucket does not exist here: check state_bucket.name in bcp.toml and the region."
        )
    if code in _BAD_CREDENTIALS:
        return PermanentError(failed, "The AWS credentials are wrong or have expired: give valid ones.")
    if code in _ABSENT:
        return ObjectAbsentError(failed, "Look at raxx-bcp vault list for what is there.")
    if code in _LOST_RACE:
        return ConflictError(
            failed, "Another run stored it first and nothing was overwritten; look at raxx-bcp vault list."
        )
    if code in _DENIED or status == "403":
        return denied(failed, "The role may not do this: see deploy/iam/ for the rights it needs.")
    if code in _UNKNOWN or status == "501":
        return CouldNotVerifyError(failed, "This S3 server does not implement it, so its state is unknown.")
    if code in _BUSY:
        return TransientError(failed, "S3 is busy or failing: try again later.")
    return PermanentError(failed, "Look the code up in the S3 error reference; nothing was stored.")


def _make_client(region: str, profile: str) -> S3Client:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import ProfileNotFound

    config = Config(retries={"mode": "standard", "max_attempts": 4}, connect_timeout=10, read_timeout=120)
    try:
        session = boto3.Session(profile_name=profile or None, region_name=region or None)
        return session.client("s3", config=config)
    except ProfileNotFound:
        raise UsageError(
            f"The AWS profile {profile} of vault_export.second_copy is not configured on this machine.",
            "Add it to ~/.aws/config, or correct the policy.",
        ) from None


def _version(answered: str | None) -> str | None:
    return answered if answered and answered != "null" else None


def _at(version_id: str | None) -> dict[str, Any]:
    return {"VersionId": version_id} if version_id else {}
