"""The export from end to end, on a real S3 server, a real GnuPG and the vault stand-in over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest

from raxx_bcp.checks import Check, Status
from raxx_bcp.clients.gpg import KeyRefusedError
from raxx_bcp.clients.infisical_errors import LoginRefusedError, TokenUsedUpError
from raxx_bcp.clients.s3 import Bucket, ConflictError, Versioning
from raxx_bcp.errors import BcpError, PermanentError, TransientError, UnreadableAnswerError
from raxx_bcp.policy import Policy, SecondCopy
from raxx_bcp.vault import manifest as manifests
from raxx_bcp.vault.document import json_schema
from raxx_bcp.vault.export import CHECK_NAMES
from raxx_bcp.vault.gate import ExportRefusedError
from raxx_bcp_sandbox.infisical.identities import Credentials, Login
from raxx_bcp_sandbox.infisical.seed import expected_items, raxx_world
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.conftest import DAY
from raxx_bcp_tests.vault.world import (
    DamagingBucket,
    RacedBucket,
    WriteOnlyBucket,
    export,
    opened,
    state_bucket,
    stored,
)


def _seeded() -> list[dict[str, Any]]:
    nobody = Credentials(*(Login(f"id-{n}", f"secret-{n}") for n in range(3)))
    return expected_items(raxx_world(nobody, lambda: 1_800_000_000.0))


def _check(checks: tuple[Check, ...], name: str) -> Check:
    return next(check for check in checks if check.name == name)


def test_the_stored_object_opens_to_exactly_the_seeded_vault(policy: Policy, sandbox: Sandbox) -> None:
    receipt = export(policy)
    document = opened(policy, sandbox)
    jsonschema.validate(document, json_schema())
    by_slug = {project["project"]["slug"]: project for project in document["projects"]}
    for expected in _seeded():
        project = by_slug.pop(expected["slug"])
        assert project["project"]["name"] == expected["name"]
        assert project["project"]["description"] == expected["description"]
        assert [{"slug": t["slug"], "color": t["color"]} for t in project["tags"]] == expected["tags"]
        for found, wanted in zip(project["environments"], expected["environments"], strict=True):
            assert (found["environment"]["slug"], found["position"]) == (wanted["slug"], wanted["position"])
            paths = {folder["path"]: folder["folder"] for folder in found["folders"] if folder["path"] != "/"}
            assert {path: raw["description"] for path, raw in paths.items()} == {
                folder["path"]: folder["description"] for folder in wanted["folders"]
            }
            values = {
                (secret["secretPath"], secret["secretKey"]): secret["secretValue"]
                for folder in found["folders"]
                for secret in folder["secrets"]
            }
            assert values == {(one["path"], one["key"]): one["value"] for one in wanted["secrets"]}
            imports = [
                (folder["path"], one["position"], one["importEnv"]["slug"], one["importPath"])
                for folder in found["folders"]
                for one in folder["imports"]
            ]
            assert imports == [
                (one["path"], one["position"], one["source_environment"], one["source_path"])
                for one in wanted["imports"]
            ]
    assert not by_slug
    assert receipt.manifest.secret_count == sum(len(e["secrets"]) for p in _seeded() for e in p["environments"])


def test_a_healthy_export_passes_every_check_and_says_where_it_is(policy: Policy) -> None:
    receipt = export(policy)
    statuses = {check.name: check.status for check in receipt.checks}
    assert set(statuses) == set(CHECK_NAMES)
    assert {name for name, status in statuses.items() if status is not Status.PASS} == set()
    manifest = receipt.manifest
    assert manifest.key == f"{policy.vault_export.prefix}{DAY}.json.gpg"
    head = state_bucket(policy).head(manifest.key)
    assert head is not None
    assert (head.size_bytes, head.version_id) == (manifest.size_bytes, manifest.version_id)
    assert head.metadata["secret-count"] == str(manifest.secret_count)
    sidecar = state_bucket(policy).get(f"{policy.vault_export.prefix}{DAY}.manifest.json")
    assert manifests.decode(sidecar) == manifest
    assert set(receipt.as_dict()) >= {
        "key", "version_id", "secret_count", "project_count", "size_bytes", "ciphertext_sha256", "recipients"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("vault-down", TransientError, "503"),
        ("vault-login-refused", LoginRefusedError, "refused the machine identity"),
        ("vault-role-weakened", ExportRefusedError, "raxx-payments"),
        ("vault-project-left", ExportRefusedError, "raxx-payments is expected"),
        ("vault-partial-permission", ExportRefusedError, "left out silently"),
        ("vault-deny-privilege", ExportRefusedError, "no-production-secrets denies"),
        ("vault-hidden-values", ExportRefusedError, "hidden values"),
        ("vault-emptied", ExportRefusedError, "no secret in any project"),
        ("vault-no-projects", ExportRefusedError, "no project at all"),
        ("vault-folder-silent", ExportRefusedError, "raxx-ops/dev/backups"),
        ("vault-token-uses-limited", TokenUsedUpError, "accessTokenNumUsesLimit"),
        ("vault-error-body", UnreadableAnswerError, "not the API's"),
        ("key-missing", KeyRefusedError, "cannot be read"),
        ("key-expired", KeyRefusedError, "expired on"),
        ("key-revoked", KeyRefusedError, "revoked"),
        ("key-wrong", KeyRefusedError, "wrong public key"),
        ("key-cannot-encrypt", KeyRefusedError, "cannot encrypt"),
    ],
)
def test_a_broken_case_is_refused_by_name_and_changes_nothing(
    fault: str, error: type[BcpError], words: str, policy: Policy, breakable_sandbox: Sandbox
) -> None:
    export(policy)
    before = stored(policy)
    breakable_sandbox.break_(fault)
    with pytest.raises(error, match=words):
        export(policy)
    assert stored(policy) == before
    breakable_sandbox.mend(fault)
    assert export(policy).status is Status.PASS


def test_a_key_is_refused_before_the_vault_is_even_asked(policy: Policy, breakable_sandbox: Sandbox) -> None:
    breakable_sandbox.break_("key-expired")
    breakable_sandbox.break_("vault-login-refused")
    with pytest.raises(KeyRefusedError):
        export(policy)


def test_a_vault_that_lost_many_secrets_is_refused_until_a_person_accepts_it_on_record(
    policy: Policy, breakable_sandbox: Sandbox
) -> None:
    healthy = export(policy, day="2031-03-13")
    breakable_sandbox.break_("vault-shrunk")
    with pytest.raises(ExportRefusedError, match="201 fewer"):
        export(policy)
    assert not [key for key in stored(policy) if DAY in key]
    accepted = export(policy, accept_shrink="raxx-legacy was retired, ticket 4711")
    assert _check(accepted.checks, "shrink").status is Status.WARN
    assert accepted.manifest.accepted_shrink_reason == "raxx-legacy was retired, ticket 4711"
    assert accepted.manifest.secret_count < healthy.manifest.secret_count
    assert export(policy, day="2031-03-15").status is Status.PASS, "the accepted count is the new baseline"


EMPTIED = "raxx-ops/dev/backups"


def test_an_emptied_folder_is_refused_until_it_is_accepted_by_name_and_only_warned_of_from_then_on(
    policy: Policy, breakable_sandbox: Sandbox
) -> None:
    healthy = export(policy, day="2031-03-12")
    assert healthy.manifest.folder_secrets is not None
    held = healthy.manifest.folder_secrets[EMPTIED]
    breakable_sandbox.break_("vault-folder-silent")
    before = stored(policy)
    with pytest.raises(ExportRefusedError, match=f"2031-03-12.json.gpg\\) has {held} secrets there") as refused:
        export(policy, day="2031-03-13", accept_emptied=("raxx-ops/dev/other",))
    assert f"--accept-emptied {EMPTIED}" in refused.value.remedy
    assert stored(policy) == before
    accepted = export(policy, day="2031-03-13", accept_emptied=(EMPTIED,))
    check = _check(accepted.checks, "completeness")
    assert (accepted.status, check.status) == (Status.WARN, Status.WARN)
    assert f"{EMPTIED} is empty; the {held} secrets" in check.detail
    assert accepted.manifest.accepted_emptied_folders == (EMPTIED,)
    assert EMPTIED not in (accepted.manifest.folder_secrets or {EMPTIED: 0})
    next_day = export(policy, day=DAY)
    assert _check(next_day.checks, "completeness").status is Status.WARN
    assert (next_day.manifest.emptied_folders, next_day.manifest.accepted_emptied_folders) == ((EMPTIED,), ())
    breakable_sandbox.mend("vault-folder-silent")
    assert export(policy, day="2031-03-15").status is Status.PASS


def _as_it_was_written_before(policy: Policy, day: str) -> None:
    """Rewrite the manifest of ``day`` as one without counts of folders."""
    key = f"{policy.vault_export.prefix}{day}.manifest.json"
    written = json.loads(state_bucket(policy).get(key))
    for new in ("folder_secrets", "emptied_folders", "accepted_emptied_folders"):
        del written[new]
    state_bucket(policy).put(key, json.dumps(written).encode(), content_type="application/json", metadata={})


def test_a_manifest_without_counts_of_folders_is_read_and_an_emptied_folder_is_a_warning(
    policy: Policy, breakable_sandbox: Sandbox
) -> None:
    export(policy, day="2031-03-12")
    _as_it_was_written_before(policy, "2031-03-12")
    breakable_sandbox.break_("vault-folder-silent")
    receipt = export(policy)
    assert _check(receipt.checks, "shrink").status is Status.PASS
    check = _check(receipt.checks, "completeness")
    assert check.status is Status.WARN
    assert f"{EMPTIED} had secrets at some time and shows none; no earlier export says how many" in check.detail


def test_a_run_that_was_killed_before_its_manifest_does_not_make_the_last_counts_unknown(
    policy: Policy, breakable_sandbox: Sandbox
) -> None:
    export(policy, day="2031-03-11")
    killed = export(policy, day="2031-03-12").manifest
    key = f"{policy.vault_export.prefix}2031-03-12.manifest.json"
    state_bucket(policy).put(key, b"{}", content_type="application/json", metadata={})
    breakable_sandbox.break_("vault-folder-silent")
    with pytest.raises(ExportRefusedError, match=r"2031-03-11\.json\.gpg\) has"):
        export(policy)
    assert killed.key.endswith("2031-03-12.json.gpg")


def test_folders_and_a_shrink_are_refused_in_one_go(policy: Policy, breakable_sandbox: Sandbox) -> None:
    export(policy, day="2031-03-12")
    breakable_sandbox.break_("vault-folder-silent")
    strict = policy.vault_export.model_copy(update={"shrink_threshold_ratio": 0.0})
    with pytest.raises(ExportRefusedError) as refused:
        export(policy.model_copy(update={"vault_export": strict}))
    assert [check.name for check in refused.value.checks] == ["completeness", "shrink"]
    assert "--accept-emptied" in refused.value.remedy
    assert "--accept-shrink" in refused.value.remedy


def test_the_very_first_export_has_nothing_to_compare_with(policy: Policy) -> None:
    assert "no earlier export" in _check(export(policy).checks, "shrink").detail


def test_an_older_day_is_never_compared_with_a_later_one(policy: Policy) -> None:
    export(policy, day="2031-03-20")
    assert "no earlier export" in _check(export(policy).checks, "shrink").detail


def test_a_key_that_expires_soon_exports_with_a_warning_that_is_seen(
    policy: Policy, breakable_sandbox: Sandbox
) -> None:
    breakable_sandbox.break_("key-expires-soon")
    receipt = export(policy, now=datetime.now(UTC))
    assert _check(receipt.checks, "key_expiry").status is Status.WARN
    assert receipt.status is Status.WARN


def test_a_second_export_of_a_day_keeps_the_first_as_a_version(policy: Policy) -> None:
    first, second = export(policy), export(policy)
    assert (first.replaced, second.replaced) == (False, True)
    assert first.manifest.version_id != second.manifest.version_id
    kept = state_bucket(policy).get(first.manifest.key, version_id=first.manifest.version_id)
    assert len(kept) == first.manifest.size_bytes


def test_without_versions_todays_export_is_not_replaced_and_yesterdays_does_not_matter(
    policy: Policy, breakable_sandbox: Sandbox
) -> None:
    export(policy)
    before = stored(policy)
    breakable_sandbox.break_("bucket-versioning-off")
    with pytest.raises(PermanentError, match="keeps no versions"):
        export(policy)
    assert stored(policy) == before
    assert export(policy, day="2031-03-15").status is Status.PASS


@pytest.mark.parametrize("there_before", [False, True])
def test_of_two_runs_at_once_one_wins_and_the_other_says_so(policy: Policy, *, there_before: bool) -> None:
    if there_before:
        export(policy)
    with pytest.raises(ConflictError, match="PreconditionFailed"):
        export(policy, bucket=RacedBucket(policy.state_bucket.name))
    key = f"{policy.vault_export.prefix}{DAY}.json.gpg"
    assert state_bucket(policy).get(key) == b"the other run's export", "the loser overwrote the winner"


def test_a_write_only_role_stores_by_receipt_and_says_what_it_could_not_verify(policy: Policy) -> None:
    receipt = export(policy, bucket=WriteOnlyBucket(policy.state_bucket.name))
    assert _check(receipt.checks, "read_back").status is Status.PASS
    assert "receipt" in _check(receipt.checks, "read_back").detail
    assert _check(receipt.checks, "shrink").status is Status.COULD_NOT_VERIFY
    assert receipt.status is Status.COULD_NOT_VERIFY
    assert receipt.as_dict()["ok"] is False


def test_the_least_privilege_role_is_enough(policy: Policy, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = sandbox.credentials()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", credentials["S3_EXPORTER_ACCESS_KEY_ID"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", credentials["S3_EXPORTER_SECRET_ACCESS_KEY"])
    allowed = policy.vault_export.model_copy(update={"prefix": "vault-exports/"})
    receipt = export(policy.model_copy(update={"vault_export": allowed}), day="2031-01-01")
    assert _check(receipt.checks, "shrink").status is Status.PASS
    assert _check(receipt.checks, "read_back").status is Status.PASS


def _cut(body: bytes) -> bytes:
    return body[: int(len(body) * 0.7)]


def _flip(body: bytes) -> bytes:
    return body[:-20] + bytes([body[-20] ^ 1]) + body[-19:]


def _empty(_body: bytes) -> bytes:
    return b""


def _same(body: bytes) -> bytes:
    return body


@pytest.mark.parametrize("how", [_cut, _flip, _empty])
def test_what_comes_back_damaged_is_no_export(policy: Policy, how: Callable[[bytes], bytes]) -> None:
    with pytest.raises(PermanentError, match="checksum differs"):
        export(policy, bucket=DamagingBucket(policy.state_bucket.name, {"how": how}))
    manifest = f"{policy.vault_export.prefix}{DAY}.manifest.json"
    assert state_bucket(policy).head(manifest) is None, "a manifest vouches for a damaged object"


def test_what_comes_back_whole_is_one(policy: Policy) -> None:
    receipt = export(policy, bucket=DamagingBucket(policy.state_bucket.name, {"how": _same}))
    assert receipt.status is Status.PASS


def test_a_denied_store_is_a_failure_and_leaves_nothing(policy: Policy, breakable_sandbox: Sandbox) -> None:
    real = policy.vault_export.model_copy(update={"prefix": "vault-exports/"})
    denied = policy.model_copy(update={"vault_export": real})
    breakable_sandbox.break_("s3-denied")
    with pytest.raises(PermanentError, match="AccessDenied"):
        export(denied, day="2031-02-02")
    breakable_sandbox.mend("s3-denied")
    assert state_bucket(policy).head("vault-exports/2031-02-02.json.gpg") is None


def test_the_second_copy_is_the_same_object_in_the_other_bucket(policy: Policy) -> None:
    receipt = export(policy)
    copy = Bucket(policy.vault_export.second_copy.bucket)
    assert copy.name != policy.state_bucket.name
    assert copy.get(receipt.manifest.key) == state_bucket(policy).get(receipt.manifest.key)
    assert copy.versioning() is Versioning.ENABLED


def test_a_second_copy_that_fails_is_a_failed_check_and_the_first_copy_stands(policy: Policy) -> None:
    nowhere = policy.vault_export.model_copy(update={"second_copy": SecondCopy(bucket="no-such-bucket-here")})
    receipt = export(policy.model_copy(update={"vault_export": nowhere}))
    failed = _check(receipt.checks, "second_copy")
    assert failed.status is Status.FAIL
    assert "NoSuchBucket" in failed.detail
    assert state_bucket(policy).head(receipt.manifest.key) is not None


def test_no_second_copy_is_said_plainly_and_is_never_a_pass(policy: Policy) -> None:
    alone = policy.vault_export.model_copy(update={"second_copy": SecondCopy()})
    receipt = export(policy.model_copy(update={"vault_export": alone}))
    assert _check(receipt.checks, "second_copy").status is Status.WARN
    assert "not configured" in _check(receipt.checks, "second_copy").detail


def test_the_second_copy_is_locked_for_as_long_as_the_policy_says(policy: Policy) -> None:
    copy = policy.vault_export.second_copy.model_copy(update={"retention_days": 1})
    locked = policy.vault_export.model_copy(update={"second_copy": copy})
    receipt = export(policy.model_copy(update={"vault_export": locked}), now=datetime.now(UTC))
    assert _check(receipt.checks, "second_copy").status is Status.PASS
    import boto3

    held = boto3.client("s3").get_object_retention(Bucket=copy.bucket, Key=receipt.manifest.key)["Retention"]
    assert held["Mode"] == "COMPLIANCE"
