"""The lines that depend on one setting: versions, MFA delete, encryption at rest, public access."""

from __future__ import annotations

from typing import Final

from raxx_bcp.checks import Check, Status
from raxx_bcp.clients.s3 import Versioning
from raxx_bcp.clients.s3_settings import DefaultEncryption, MfaDelete, PublicAccessBlock, VersioningState

VERSIONING: Final = "versioning"
MFA_DELETE: Final = "mfa_delete"
DEFAULT_ENCRYPTION: Final = "default_encryption"
PUBLIC_ACCESS_BLOCK: Final = "public_access_block"
_RUNBOOK: Final = "docs/runbooks/state-bucket-posture.md"


def versioning(bucket: str, state: VersioningState) -> Check:
    """Are versions kept? Without them an overwritten state file is lost."""
    if state.versioning is Versioning.ENABLED:
        return Check(VERSIONING, Status.PASS, f"bucket {bucket} keeps every version.")
    how = "versioning is suspended" if state.versioning is Versioning.SUSPENDED else "versioning was never switched on"
    detail = f"{how} in bucket {bucket}: an overwritten or deleted state file or export cannot be taken back."
    if state.mfa_delete is MfaDelete.ENABLED:
        return Check(
            VERSIONING, Status.FAIL, detail, f"MFA delete is on, so only the root user can: {root_command(bucket)}"
        )
    return Check(
        VERSIONING,
        Status.FAIL,
        detail,
        "raxx-bcp state-bucket enable-versioning, or the job enable_state_bucket_versioning in Dagster.",
    )


def mfa_delete(bucket: str, state: VersioningState, *, has_rules: bool) -> Check:
    """Does deleting a version need the root user's device? ``has_rules``: are there lifecycle rules?"""
    if state.mfa_delete is MfaDelete.ENABLED:
        return Check(MFA_DELETE, Status.PASS, "deleting a version takes the root user's MFA device.")
    conflict = " S3 does not allow it beside lifecycle rules, and this bucket has some." if has_rules else ""
    choice = (
        "Choose MFA delete and remove the lifecycle rules first: versions of state files are small, so keeping all of "
        "them costs little. "
        if has_rules
        else ""
    )
    return Check(
        MFA_DELETE,
        Status.WARN,
        f"MFA delete is {'off' if state.mfa_delete is MfaDelete.DISABLED else 'not configured'}: stolen administrator "
        f"credentials are enough to delete versions for good.{conflict}",
        f"{choice}Only the root user can switch it on, and only by CLI or API: {root_command(bucket)}",
    )


def root_command(bucket: str) -> str:
    """The command that only the account's root user can run, with its device's code. This software never runs it."""
    return (
        f"aws s3api put-bucket-versioning --bucket {bucket} "
        "--versioning-configuration Status=Enabled,MFADelete=Enabled "
        '--mfa "arn:aws:iam::ACCOUNT:mfa/DEVICE CODE"'
    )


def default_encryption(found: DefaultEncryption | None) -> Check:
    """Is an object encrypted at rest when its writer did not ask for it?"""
    if found is None:
        return Check(
            DEFAULT_ENCRYPTION,
            Status.WARN,
            "the bucket has no default encryption: an object whose writer asks for none may be stored unencrypted.",
            f"Set it to AES256 (SSE-S3) or to a KMS key: {_RUNBOOK}.",
        )
    key = f" with key {found.kms_key}" if found.kms_key else ""
    return Check(DEFAULT_ENCRYPTION, Status.PASS, f"new objects are encrypted at rest: {found.algorithm}{key}.")


def public_access_block(found: PublicAccessBlock | None) -> Check:
    """Are all four switches on that block public access?"""
    off = [switch for switch, on in vars(found).items() if not on] if found else []
    if found and not off:
        return Check(PUBLIC_ACCESS_BLOCK, Status.PASS, "all four switches that keep the public out are on.")
    lacks = f"{', '.join(off)} off" if off else "the bucket has none"
    return Check(
        PUBLIC_ACCESS_BLOCK,
        Status.WARN,
        f"public access block: {lacks}. One on the whole account may stand above it, and is not visible here.",
        f"Switch all four on: {_RUNBOOK}.",
    )
