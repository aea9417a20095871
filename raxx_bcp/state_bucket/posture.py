"""Is the state bucket as D2 promises? Seven lines, each judged on its own, and the history of the state.

A line that S3 does not let us read is COULD_NOT_VERIFY, and the others still answer. When S3 itself is away there is
no posture: that is an error, so that a retry follows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, TypeVar

from raxx_bcp.checks import Check, Status, worst
from raxx_bcp.clients.s3_settings import BucketSettings, MfaDelete, VersioningState
from raxx_bcp.errors import CouldNotVerifyError
from raxx_bcp.policy import Policy
from raxx_bcp.state_bucket import access, lines
from raxx_bcp.state_bucket.bucket_policy import Denial, denials
from raxx_bcp.state_bucket.lifecycle import NONCURRENT, Kept, noncurrent_lifecycle
from raxx_bcp.state_bucket.versions import StateFile, state_files

CHECK_NAMES: Final = (
    lines.VERSIONING,
    lines.MFA_DELETE,
    lines.DEFAULT_ENCRYPTION,
    lines.PUBLIC_ACCESS_BLOCK,
    NONCURRENT,
    access.TLS_ONLY,
    access.TERRAFORM,
)
BLOCKING: Final = frozenset({lines.VERSIONING})
"""Without versions nothing else in this bucket can be undone."""

T = TypeVar("T")


@dataclass(frozen=True)
class Posture:
    """The seven lines in the order of ``CHECK_NAMES``, and the state files with their histories."""

    bucket: str
    examined_utc: datetime
    checks: tuple[Check, ...]
    state_files: tuple[StateFile, ...]
    state_files_unknown: str = ""
    """Why the histories could not be read; empty when they were."""

    @property
    def status(self) -> Status:
        """The worst line. A line that could not be read counts as a warning, except a blocking one."""
        return worst(tuple(weighed(check) for check in self.checks))

    @property
    def open_findings(self) -> tuple[Check, ...]:
        """Every line that is not a pass."""
        return tuple(check for check in self.checks if check.status is not Status.PASS)

    @property
    def prior_version_count(self) -> int:
        """How many earlier states exist to return to, over all files."""
        return sum(one.prior_version_count for one in self.state_files)

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "ok": self.status in (Status.PASS, Status.WARN),
            "status": self.status.value,
            "bucket": self.bucket,
            "examined_utc": f"{self.examined_utc:%Y-%m-%dT%H:%M:%SZ}",
            "checks": [check.as_dict() for check in self.checks],
            "state_files": [one.as_dict() for one in self.state_files],
            "state_files_unknown": self.state_files_unknown,
            "prior_version_count": self.prior_version_count,
            "open_finding_count": len(self.open_findings),
        }


def examine(settings: BucketSettings, policy: Policy, now: datetime) -> Posture:
    """Look at the bucket of ``settings`` and change nothing.

    Raises ``TransientError`` where S3 is away or busy, ``UsageError`` or ``PermanentError`` where there are no valid
    credentials or no such bucket.
    """
    bucket, exports, month = settings.name, policy.vault_export.prefix, f"{now:%Y-%m}"
    versioning = _look(settings.versioning)
    rules = _look(settings.lifecycle_rules)
    denied = _look(lambda: _denials(settings.policy()))
    files = _look(lambda: state_files(settings.object_versions(), exports))
    mfa_on = isinstance(versioning, VersioningState) and versioning.mfa_delete is MfaDelete.ENABLED
    has_rules = isinstance(rules, tuple) and any(rule.enabled for rule in rules)
    unknown = files if isinstance(files, CouldNotVerifyError) else None
    known = () if isinstance(files, CouldNotVerifyError) else files
    kept = Kept(None if unknown else tuple(one.key for one in known), (exports, policy.evidence.prefix))
    checks = (
        _line(lines.VERSIONING, versioning, lambda state: lines.versioning(bucket, state)),
        _line(lines.MFA_DELETE, versioning, lambda state: lines.mfa_delete(bucket, state, has_rules=has_rules)),
        _line(lines.DEFAULT_ENCRYPTION, _look(settings.default_encryption), lines.default_encryption),
        _line(lines.PUBLIC_ACCESS_BLOCK, _look(settings.public_access_block), lines.public_access_block),
        _line(NONCURRENT, rules, lambda found: noncurrent_lifecycle(found, kept, mfa_delete=mfa_on, month=month)),
        _line(access.TLS_ONLY, denied, lambda found: access.tls_only(bucket, found)),
        _terraform(bucket, denied, policy, month),
    )
    return Posture(bucket, now, checks, known, f"{unknown.what} {unknown.remedy}" if unknown else "")


def _terraform(
    bucket: str, denied: tuple[Denial, ...] | CouldNotVerifyError | None, policy: Policy, month: str
) -> Check:
    exports, roles = policy.vault_export.prefix, policy.state_bucket.terraform_role_arns
    if not roles:
        return access.no_roles()
    return _line(
        access.TERRAFORM, denied, lambda found: access.terraform_cannot_read(bucket, found, exports, roles, month)
    )


def _look(read: Callable[[], T]) -> T | CouldNotVerifyError:
    """What was read, or why it could not be: one denied setting must not hide the others."""
    try:
        return read()
    except CouldNotVerifyError as error:
        return error


def _line(name: str, found: T | CouldNotVerifyError, judge: Callable[[T], Check]) -> Check:
    if isinstance(found, CouldNotVerifyError):
        return Check(name, Status.COULD_NOT_VERIFY, found.what, found.remedy)
    return judge(found)


def _denials(document: str | None) -> tuple[Denial, ...] | None:
    return None if document is None else denials(document)


def weighed(check: Check) -> Check:
    """For a verdict over all lines: one that could not be read counts as a warning, except a blocking one."""
    unread = check.status is Status.COULD_NOT_VERIFY and check.name not in BLOCKING
    return replace(check, status=Status.WARN) if unread else check
