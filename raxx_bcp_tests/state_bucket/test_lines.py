"""The four lines that one setting decides: each fires and each is silent."""

from __future__ import annotations

import pytest

from raxx_bcp.checks import Status
from raxx_bcp.clients.s3 import Versioning
from raxx_bcp.clients.s3_settings import DefaultEncryption, MfaDelete, PublicAccessBlock, VersioningState
from raxx_bcp.state_bucket import lines

BUCKET = "raxx-iac-state-prod"
ROOT_COMMAND = (
    "aws s3api put-bucket-versioning --bucket raxx-iac-state-prod "
    "--versioning-configuration Status=Enabled,MFADelete=Enabled "
    '--mfa "arn:aws:iam::ACCOUNT:mfa/DEVICE CODE"'
)


def state(versioning: Versioning, mfa_delete: MfaDelete = MfaDelete.NEVER_CONFIGURED) -> VersioningState:
    return VersioningState(versioning, mfa_delete)


def test_versioning_that_is_on_passes() -> None:
    assert lines.versioning(BUCKET, state(Versioning.ENABLED)).status is Status.PASS


@pytest.mark.parametrize(
    ("how", "words"), [(Versioning.SUSPENDED, "is suspended"), (Versioning.NEVER_ENABLED, "was never switched on")]
)
def test_versioning_that_is_off_fails_with_the_command_that_switches_it_on(how: Versioning, words: str) -> None:
    found = lines.versioning(BUCKET, state(how))
    assert found.status is Status.FAIL
    assert f"versioning {words} in bucket {BUCKET}" in found.detail
    assert "raxx-bcp state-bucket enable-versioning" in found.remedy
    assert "enable_state_bucket_versioning" in found.remedy


def test_with_mfa_delete_only_the_root_user_can_switch_it() -> None:
    found = lines.versioning(BUCKET, state(Versioning.SUSPENDED, MfaDelete.ENABLED))
    assert found.status is Status.FAIL
    assert "only the root user can" in found.remedy
    assert ROOT_COMMAND in found.remedy


def test_mfa_delete_that_is_on_passes() -> None:
    found = lines.mfa_delete(BUCKET, state(Versioning.ENABLED, MfaDelete.ENABLED), has_rules=False)
    assert found.status is Status.PASS


@pytest.mark.parametrize(
    ("how", "words"), [(MfaDelete.DISABLED, "is off"), (MfaDelete.NEVER_CONFIGURED, "is not configured")]
)
def test_mfa_delete_that_is_off_warns_with_the_root_users_command(how: MfaDelete, words: str) -> None:
    found = lines.mfa_delete(BUCKET, state(Versioning.ENABLED, how), has_rules=False)
    assert found.status is Status.WARN
    assert f"MFA delete {words}" in found.detail
    assert found.remedy.endswith(ROOT_COMMAND)
    assert "lifecycle" not in found.detail + found.remedy


def test_the_conflict_with_lifecycle_rules_is_said_and_what_to_choose() -> None:
    found = lines.mfa_delete(BUCKET, state(Versioning.ENABLED), has_rules=True)
    assert "S3 does not allow it beside lifecycle rules" in found.detail
    assert found.remedy.startswith("Choose MFA delete and remove the lifecycle rules first")
    assert found.remedy.endswith(ROOT_COMMAND)


@pytest.mark.parametrize(
    ("encryption", "words"),
    [(DefaultEncryption("AES256"), "AES256."), (DefaultEncryption("aws:kms", "k1"), "aws:kms with key k1.")],
)
def test_a_default_encryption_passes(encryption: DefaultEncryption, words: str) -> None:
    found = lines.default_encryption(encryption)
    assert found.status is Status.PASS
    assert found.detail.endswith(words)


def test_no_default_encryption_warns() -> None:
    assert lines.default_encryption(None).status is Status.WARN


def test_a_whole_public_access_block_passes() -> None:
    whole = PublicAccessBlock(
        block_public_acls=True, ignore_public_acls=True, block_public_policy=True, restrict_public_buckets=True
    )
    assert lines.public_access_block(whole).status is Status.PASS


def test_what_is_open_to_the_public_is_named() -> None:
    half = PublicAccessBlock(
        block_public_acls=True, ignore_public_acls=False, block_public_policy=True, restrict_public_buckets=False
    )
    found = lines.public_access_block(half)
    assert found.status is Status.WARN
    assert "ignore_public_acls, restrict_public_buckets off" in found.detail
    none = lines.public_access_block(None)
    assert none.status is Status.WARN
    assert "the bucket has none" in none.detail
    assert "not visible here" in none.detail
