"""Is a stored export still what it was when it was made? Tampered with in every way, and left alone."""

from __future__ import annotations

import pytest

from raxx_bcp.checks import Status
from raxx_bcp.clients.gpg import DecryptionFailedError
from raxx_bcp.errors import PermanentError, UsageError
from raxx_bcp.policy import Policy
from raxx_bcp.vault.keys import operator_key
from raxx_bcp.vault.verify import PrivateKey, Verified, verify_export
from raxx_bcp_sandbox.keys import make_key
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.conftest import DAY
from raxx_bcp_tests.vault.world import export, private_key, state_bucket

STRANGER = "Somebody Else <somebody.else@example.invalid>"


def verify(policy: Policy, day: str | None = DAY, key: PrivateKey | None = None, pin: str = "") -> Verified:
    fingerprint = pin or operator_key("").fingerprint
    return verify_export(state_bucket(policy), policy.vault_export, fingerprint, day, key)


def statuses(verified: Verified) -> dict[str, Status]:
    return {check.name: check.status for check in verified.checks}


def _replace(policy: Policy, name: str, body: bytes) -> None:
    state_bucket(policy).put(f"{policy.vault_export.prefix}{name}", body, content_type="x/y", metadata={})


def test_an_untouched_export_is_sound_and_opens_to_what_its_manifest_says(policy: Policy, sandbox: Sandbox) -> None:
    export(policy)
    verified = verify(policy, key=PrivateKey(private_key(sandbox)))
    assert verified.status is Status.PASS
    assert "335 secrets of 3 projects" in verified.checks[-1].detail


def test_without_the_private_key_it_says_that_it_was_not_opened(policy: Policy) -> None:
    export(policy)
    assert statuses(verify(policy))["content"] is Status.WARN


def test_the_newest_day_is_taken_when_none_is_named(policy: Policy) -> None:
    export(policy, day="2031-03-12")
    export(policy, day="2031-03-13")
    assert verify(policy, day=None).key.endswith("2031-03-13.json.gpg")


def test_a_later_object_in_its_place_does_not_hide_the_version_of_the_manifest(policy: Policy) -> None:
    export(policy)
    _replace(policy, f"{DAY}.json.gpg", b"overwritten by somebody")
    assert statuses(verify(policy))["stored_as_recorded"] is Status.PASS


def test_a_manifest_of_another_day_is_found_out(policy: Policy) -> None:
    export(policy, day="2031-03-13")
    export(policy)
    other = state_bucket(policy).get(f"{policy.vault_export.prefix}2031-03-13.manifest.json")
    _replace(policy, f"{DAY}.manifest.json", other)
    assert verify(policy).status is Status.FAIL


def test_a_manifest_that_is_none_is_refused(policy: Policy) -> None:
    export(policy)
    _replace(policy, f"{DAY}.manifest.json", b'{"kind": "something else"}')
    with pytest.raises(PermanentError, match="not a manifest"):
        verify(policy)


def test_an_export_for_another_key_than_the_pinned_is_a_failure(policy: Policy) -> None:
    export(policy)
    assert statuses(verify(policy, pin="F" * 40))["pinned_key"] is Status.FAIL


def test_somebody_elses_private_key_does_not_open_it(policy: Policy) -> None:
    export(policy)
    with pytest.raises(DecryptionFailedError):
        verify(policy, key=PrivateKey(make_key(STRANGER).secret.encode()))


def test_a_missing_day_and_an_empty_bucket_are_named(policy: Policy) -> None:
    with pytest.raises(PermanentError, match="There is no export"):
        verify(policy, day=None)
    with pytest.raises(PermanentError, match="2031-03-14"):
        verify(policy)


def test_a_day_that_is_none_is_wrong_use(policy: Policy) -> None:
    with pytest.raises(UsageError, match="YYYY-MM-DD"):
        verify(policy, day="yesterday")
