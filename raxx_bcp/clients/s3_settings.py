"""The client for one S3 bucket's settings and the history of its objects: reads, and one switch.

The switch turns versioning on. Nothing here turns anything off, and nothing deletes. A setting that S3 reports as
absent is None; denied and "not implemented" are ``CouldNotVerifyError``, never "off".
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from raxx_bcp.clients.decoding import decoded
from raxx_bcp.clients.s3 import ObjectVersion, Versioning, make_client
from raxx_bcp.clients.s3_errors import s3_errors
from raxx_bcp.errors import CouldNotVerifyError, PermanentError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_ABSENT: Final = frozenset(
    {
        "NoSuchBucketPolicy",
        "NoSuchLifecycleConfiguration",
        "NoSuchPublicAccessBlockConfiguration",
        "ServerSideEncryptionConfigurationNotFoundError",
    }
)

T = TypeVar("T")
Named = TypeVar("Named", bound=enum.StrEnum)


class MfaDelete(enum.StrEnum):
    """Does deleting a version need the root user's device? (GetBucketVersioning)."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    NEVER_CONFIGURED = "never configured"


@dataclass(frozen=True)
class VersioningState:
    """The answer of GetBucketVersioning."""

    versioning: Versioning
    mfa_delete: MfaDelete


@dataclass(frozen=True)
class DefaultEncryption:
    """How S3 encrypts an object that asks for nothing. ``kms_key`` is empty for SSE-S3."""

    algorithm: str
    kms_key: str = ""


@dataclass(frozen=True)
class PublicAccessBlock:
    """The bucket's own four switches; one that S3 does not mention is off."""

    block_public_acls: bool
    ignore_public_acls: bool
    block_public_policy: bool
    restrict_public_buckets: bool


@dataclass(frozen=True)
class LifecycleRule:
    """What a rule removes. Days count from the day on which an object was stored, or became noncurrent."""

    rule_id: str
    enabled: bool
    prefix: str
    narrowed: bool
    """Does the rule also filter by tags or sizes? Then it does not apply to every object under ``prefix``."""
    expires_after_days: int | None = None
    """Current objects are expired so many days after they were stored."""
    expires_on: datetime | None = None
    """Current objects are expired at this time."""
    noncurrent_days: int | None = None
    """Prior versions are deleted for good so many days after they became noncurrent."""
    noncurrent_kept: int = 0
    """This many of the newest prior versions are kept all the same."""

    @property
    def expires_current(self) -> bool:
        """Does it remove current objects?"""
        return self.expires_after_days is not None or self.expires_on is not None


class BucketSettings:
    """One bucket's settings, through a boto3 client that is made on first use.

    Every method raises ``TransientError`` (unreachable, busy), ``CouldNotVerifyError`` (denied, not implemented),
    ``UsageError`` (no credentials) or ``PermanentError`` (no such bucket, bad credentials).
    """

    def __init__(self, name: str, client: S3Client | None = None) -> None:
        self.name = name
        self._made = client

    @property
    def _client(self) -> S3Client:
        if self._made is None:
            self._made = make_client("", "")
        return self._made

    def versioning(self) -> VersioningState:
        """Are versions kept, and who may delete them?"""
        with s3_errors("read the versioning of", self.name):
            answer: Mapping[str, Any] = self._client.get_bucket_versioning(Bucket=self.name)
        return VersioningState(
            self._one_of(Versioning, answer.get("Status"), Versioning.NEVER_ENABLED),
            self._one_of(MfaDelete, answer.get("MFADelete"), MfaDelete.NEVER_CONFIGURED),
        )

    def enable_versioning(self) -> None:
        """One PutBucketVersioning with Status=Enabled. Raises ``PermanentError`` where it is denied."""
        with s3_errors("switch versioning on in", self.name, denied=PermanentError):
            self._client.put_bucket_versioning(Bucket=self.name, VersioningConfiguration={"Status": "Enabled"})

    def default_encryption(self) -> DefaultEncryption | None:
        """How new objects are encrypted at rest, or None where the bucket says nothing."""
        action = "read the default encryption of"
        return self._read(action, lambda s3: s3.get_bucket_encryption(Bucket=self.name), _encryption)

    def public_access_block(self) -> PublicAccessBlock | None:
        """The bucket's own block of public access, or None where it has none."""
        action = "read the public access block of"
        return self._read(action, lambda s3: s3.get_public_access_block(Bucket=self.name), _block)

    def lifecycle_rules(self) -> tuple[LifecycleRule, ...] | None:
        """Every rule, also those that are switched off, or None where there is no lifecycle configuration."""
        action = "read the lifecycle rules of"
        return self._read(action, lambda s3: s3.get_bucket_lifecycle_configuration(Bucket=self.name), _rules)

    def policy(self) -> str | None:
        """The bucket policy as the JSON text that S3 keeps, or None where there is none."""
        return self._read("read the policy of", lambda s3: s3.get_bucket_policy(Bucket=self.name), _policy)

    def object_versions(self) -> Iterator[ObjectVersion]:
        """Every version and delete marker in the bucket. It holds one page at a time; a page has no order."""
        action = "list the versions in"
        with s3_errors(action, self.name):
            pages = iter(self._client.get_paginator("list_object_versions").paginate(Bucket=self.name))
        while True:
            with s3_errors(action, self.name):
                page = next(pages, None)
                found = [] if page is None else _versions(page)
            if page is None:
                return
            yield from found

    def _read(self, action: str, call: Callable[[S3Client], Any], shape: Callable[[Any], T]) -> T | None:
        """What ``shape`` makes of an answer; None where the bucket has no such setting."""
        from botocore.exceptions import ClientError

        with s3_errors(action, self.name):
            try:
                return shape(call(self._client))
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in _ABSENT:
                    return None
                raise

    def _one_of(self, names: type[Named], answered: str | None, absent: Named) -> Named:
        known = {name.value: name for name in names}
        if answered and answered not in known:
            raise CouldNotVerifyError(
                f"What S3 says of the versioning of bucket {self.name} is not a known answer.",
                "Look at the bucket in the S3 console; this server may not be S3.",
            )
        return known[answered] if answered else absent


def _versions(page: Mapping[str, Any]) -> list[ObjectVersion]:
    there = [
        ObjectVersion(v["Key"], v["VersionId"], v["Size"], v["LastModified"], v["IsLatest"], False)
        for v in page.get("Versions", [])
    ]
    return there + [
        ObjectVersion(m["Key"], m["VersionId"], 0, m["LastModified"], m["IsLatest"], True)
        for m in page.get("DeleteMarkers", [])
    ]


def _encryption(answer: Mapping[str, Any]) -> DefaultEncryption | None:
    rules = answer["ServerSideEncryptionConfiguration"]["Rules"]
    defaults = [rule["ApplyServerSideEncryptionByDefault"] for rule in rules if _has_default(rule)]
    return DefaultEncryption(defaults[0]["SSEAlgorithm"], defaults[0].get("KMSMasterKeyID", "")) if defaults else None


def _block(answer: Mapping[str, Any]) -> PublicAccessBlock:
    switches = answer["PublicAccessBlockConfiguration"]
    return PublicAccessBlock(
        block_public_acls=switches.get("BlockPublicAcls", False),
        ignore_public_acls=switches.get("IgnorePublicAcls", False),
        block_public_policy=switches.get("BlockPublicPolicy", False),
        restrict_public_buckets=switches.get("RestrictPublicBuckets", False),
    )


def _rules(answer: Mapping[str, Any]) -> tuple[LifecycleRule, ...]:
    return tuple(_rule(rule) for rule in answer.get("Rules", []))


def _policy(answer: Mapping[str, Any]) -> str:
    """S3's answer is the policy itself, so a proxy's page would be taken for one."""
    if decoded(answer["Policy"], dict[str, Any]) is None:
        raise ValueError
    return str(answer["Policy"])


def _has_default(rule: Mapping[str, Any]) -> bool:
    """A rule may also only say which encryption it refuses."""
    return bool(rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm"))


def _rule(rule: Mapping[str, Any]) -> LifecycleRule:
    """A filter is one condition, or several below ``And``; rules from before 2016 have the prefix beside it."""
    conditions: dict[str, Any] = dict(rule.get("Filter", {}))
    conditions |= conditions.pop("And", {})
    prefix = str(conditions.pop("Prefix", rule.get("Prefix", "")))
    expiration = rule.get("Expiration", {})
    noncurrent = rule.get("NoncurrentVersionExpiration")
    return LifecycleRule(
        rule_id=rule.get("ID", ""),
        enabled=rule.get("Status") == "Enabled",
        prefix=prefix,
        narrowed=bool(conditions),
        expires_after_days=expiration.get("Days"),
        expires_on=expiration.get("Date"),
        noncurrent_days=noncurrent.get("NoncurrentDays", 0) if noncurrent else None,
        noncurrent_kept=noncurrent.get("NewerNoncurrentVersions", 0) if noncurrent else 0,
    )
