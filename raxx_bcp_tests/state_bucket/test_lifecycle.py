"""What S3 removes by itself: each harmful rule is seen, each healthy one is not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from raxx_bcp.checks import Check, Status
from raxx_bcp.clients.s3_settings import LifecycleRule
from raxx_bcp.state_bucket.lifecycle import Kept, noncurrent_lifecycle

KEYS = ("raxx-app/terraform.tfstate", "raxx-dns/terraform.tfstate")
PREFIXES = ("vault-exports/", "evidence/")
KNOWN = Kept(KEYS, PREFIXES)
UNKNOWN = Kept(None, PREFIXES)


def rule(prefix: str = "", **named: Any) -> LifecycleRule:
    return LifecycleRule(**{"rule_id": "r", "enabled": True, "prefix": prefix, "narrowed": False, **named})


YEAR = rule(noncurrent_days=365)


def judged(*rules: LifecycleRule, kept: Kept = KNOWN, mfa_delete: bool = False) -> Check:
    return noncurrent_lifecycle(rules, kept, mfa_delete=mfa_delete, month="2031-03")


@pytest.mark.parametrize(
    "rules",
    [
        [YEAR],
        [rule(noncurrent_days=30)],
        [rule("raxx-", noncurrent_days=90)],
        [rule("raxx-app/", noncurrent_days=90), rule("raxx-dns/", noncurrent_days=90)],
        [YEAR, rule("logs/", expires_after_days=7)],
        [YEAR, rule("logs/", noncurrent_days=1)],
        [YEAR, rule(enabled=False, expires_after_days=1)],
        [YEAR, rule("vault-exports/", noncurrent_days=7)],
        [YEAR, rule()],
    ],
)
def test_healthy_rules_pass(rules: list[LifecycleRule]) -> None:
    assert judged(*rules).status is Status.PASS


@pytest.mark.parametrize(
    ("removing", "words"),
    [
        (rule(expires_after_days=400), "removes state files, vault-exports/*, evidence/*"),
        (rule("raxx-app/", expires_after_days=400), "removes state files."),
        (rule("raxx-app/terraform.tfstate", expires_after_days=1), "removes state files."),
        (rule("vault", expires_after_days=90), "removes vault-exports/*."),
        (rule("vault-exports/2031", expires_after_days=90), "removes vault-exports/*."),
        (rule("evidence/", expires_after_days=90), "removes evidence/*."),
        (rule(expires_on=datetime(2031, 4, 1, tzinfo=UTC)), "on 2031-04-01: it removes state files"),
        (rule(expires_after_days=400, narrowed=True), "400 days after they were stored: it removes state files"),
    ],
)
def test_a_rule_that_removes_what_is_in_use_fails(removing: LifecycleRule, words: str) -> None:
    found = judged(YEAR, removing)
    assert found.status is Status.FAIL
    assert words in found.detail
    assert found.warning_id == "2031-03 r"


def test_also_where_the_keys_are_not_known() -> None:
    assert judged(rule(expires_after_days=1), kept=UNKNOWN).status is Status.FAIL
    assert judged(rule("vault-exports/", expires_after_days=1), kept=UNKNOWN).status is Status.FAIL


def test_what_comes_later_cannot_hide_what_destroys() -> None:
    assert judged(rule("logs/", noncurrent_days=1), rule(expires_after_days=1), kept=UNKNOWN).status is Status.FAIL
    assert judged(rule(noncurrent_days=1), rule(expires_after_days=1)).status is Status.FAIL


@pytest.mark.parametrize("named", [{"expires_after_days": 7}, {"noncurrent_days": 7}])
def test_what_a_rule_reaches_is_unknown_where_versions_may_not_be_listed(named: dict[str, int]) -> None:
    found = judged(YEAR, rule("logs/", **named), kept=UNKNOWN)
    assert found.status is Status.COULD_NOT_VERIFY
    assert "s3:ListBucketVersions" in found.remedy
    assert judged(YEAR, rule("logs/", **named)).status is Status.PASS


def test_rules_that_need_no_list_are_judged_without_it() -> None:
    assert judged(YEAR, kept=UNKNOWN).status is Status.PASS
    assert judged(YEAR, rule("evidence/", noncurrent_days=7), kept=UNKNOWN).status is Status.PASS


@pytest.mark.parametrize(
    ("early", "words"),
    [
        (rule(noncurrent_days=29), "after 29 days: "),
        (rule("raxx-app/", noncurrent_days=1), "(under raxx-app/) deletes prior versions of state files after 1 days"),
        (rule(noncurrent_days=1, noncurrent_kept=20), "after 1 days but for the newest 20"),
        (rule(noncurrent_days=1, narrowed=True), "after 1 days"),
        (rule(noncurrent_days=0), "after 0 days"),
    ],
)
def test_removing_prior_versions_within_a_month_warns(early: LifecycleRule, words: str) -> None:
    found = judged(YEAR, early)
    assert found.status is Status.WARN
    assert words in found.detail
    assert "30 or more" in found.remedy


@pytest.mark.parametrize(
    "rules",
    [
        None,
        [],
        [rule(noncurrent_days=365, enabled=False)],
        [rule(noncurrent_days=365, narrowed=True)],
        [rule("logs/", expires_after_days=1)],
    ],
)
def test_prior_versions_that_nobody_removes_pile_up(rules: list[LifecycleRule] | None) -> None:
    found = noncurrent_lifecycle(rules, KNOWN, mfa_delete=False, month="2031-03")
    assert found.status is Status.WARN
    assert "no rule ever removes prior versions: they pile up" in found.detail
    assert "MFA delete, which excludes such rules" in found.remedy


def test_a_state_file_that_no_rule_reaches_is_named() -> None:
    found = judged(rule("raxx-app/", noncurrent_days=90))
    assert found.status is Status.WARN
    assert "of raxx-dns/terraform.tfstate: they pile up" in found.detail
    many = Kept(tuple(f"n{number}/terraform.tfstate" for number in range(9)), PREFIXES)
    assert (
        "of n0/terraform.tfstate, n1/terraform.tfstate, n2/terraform.tfstate and others"
        in judged(rule("raxx-app/", noncurrent_days=90), kept=many).detail
    )


def test_with_mfa_delete_no_rule_is_expected_since_s3_allows_none() -> None:
    assert judged(mfa_delete=True).status is Status.PASS
    assert judged(rule(expires_after_days=1), mfa_delete=True).status is Status.FAIL


def test_a_rule_without_an_id_is_described_by_what_it_reaches() -> None:
    assert "lifecycle rule without an id (for all objects)" in judged(rule(rule_id="", expires_after_days=1)).detail
