"""The one thing that may be changed in the state bucket from here: versioning on (ADR-0103 D2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from raxx_bcp.clients.s3 import Versioning
from raxx_bcp.clients.s3_settings import BucketSettings, MfaDelete
from raxx_bcp.errors import CouldNotVerifyError, PermanentError, UsageError
from raxx_bcp.state_bucket.lines import root_command
from raxx_bcp.waiting import Progress, silent


@dataclass(frozen=True)
class EnabledVersioning:
    """Versioning is on, as read back. ``before`` is the earlier setting; ``changed``: did this call switch it?"""

    bucket: str
    before: Versioning
    changed: bool

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "ok": True,
            "bucket": self.bucket,
            "versioning": Versioning.ENABLED.value,
            "before": self.before.value,
            "changed": self.changed,
        }

    def text(self) -> str:
        """For people. The quarter of an hour is S3's own advice (S3 User Guide, "How S3 Versioning works")."""
        if not self.changed:
            return f"Bucket {self.bucket} keeps versions already; nothing was changed."
        return (
            f"Bucket {self.bucket} keeps versions now (before: {self.before.value}), as S3 says itself. What was "
            "overwritten before stays lost. Let 15 minutes pass before anything is overwritten: S3 may need that long."
        )


def enable_versioning(settings: BucketSettings, confirmation: str, progress: Progress = silent) -> EnabledVersioning:
    """Switch versioning on and read it back; where it is already on, do nothing.

    Raises ``UsageError``, before any call, unless ``confirmation`` is the bucket's name; ``PermanentError`` where it
    is denied or needs the root user; ``CouldNotVerifyError`` where S3 does not confirm it afterwards.
    """
    bucket = settings.name
    if confirmation != bucket:
        raise UsageError(
            f"Nothing was changed: the confirmation is not the name of the bucket, {bucket}.",
            f"If versioning of this bucket is to be switched on, confirm with exactly {bucket}.",
        )
    before = settings.versioning()
    progress(
        f"Before: versioning of bucket {bucket} is {before.versioning.value}; MFA delete {before.mfa_delete.value}."
    )
    if before.versioning is Versioning.ENABLED:
        return EnabledVersioning(bucket, before.versioning, changed=False)
    if before.mfa_delete is MfaDelete.ENABLED:
        raise PermanentError(
            f"Versioning of bucket {bucket} is {before.versioning.value}, and MFA delete is on: only the root user can "
            "switch it.",
            f"As the root user: {root_command(bucket)}",
        )
    settings.enable_versioning()
    progress("S3 accepted the change; reading it back.")
    after = settings.versioning().versioning
    if after is not Versioning.ENABLED:
        raise CouldNotVerifyError(
            f"S3 accepted the change, and still says that versioning of bucket {bucket} is {after.value}.",
            "Look again in a minute: raxx-bcp state-bucket check.",
        )
    progress(f"After: versioning of bucket {bucket} is {after.value}.")
    return EnabledVersioning(bucket, before.versioning, changed=True)
