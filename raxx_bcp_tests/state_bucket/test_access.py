"""The two lines on who must not get in: each fires on the open bucket and is silent on the closed one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raxx_bcp.checks import Status
from raxx_bcp.policy import StateBucket, load_policy
from raxx_bcp.state_bucket.access import no_roles, terraform_cannot_read, tls_only
from raxx_bcp.state_bucket.bucket_policy import Denial, denials
from raxx_bcp_sandbox.parts import s3

ROOT = Path(__file__).resolve().parent.parent.parent
BUCKET = StateBucket().name
ARN = f"arn:aws:s3:::{BUCKET}"
PLAN = "arn:aws:iam::123456789012:role/raxx-terraform-plan"
APPLY = "arn:aws:iam::123456789012:role/ci/raxx-terraform-apply"
EXPORTS = "vault-exports/"

TLS = {
    "Sid": "TlsOnly",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": [ARN, f"{ARN}/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
KEEP_OUT = {
    "Sid": "KeepOut",
    "Effect": "Deny",
    "Principal": {"AWS": [PLAN, APPLY]},
    "Action": ["s3:GetObject", "s3:GetObjectVersion"],
    "Resource": f"{ARN}/{EXPORTS}*",
}


def read(*statements: dict[str, Any]) -> tuple[Denial, ...]:
    return denials(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))


def shipped() -> tuple[Denial, ...]:
    """The policy of deploy/iam with its placeholders filled in."""
    text = (ROOT / "deploy" / "iam" / "state-bucket-policy.json").read_text()
    for placeholder, value in (
        ("arn:aws:iam::ACCOUNT_ID:role/TERRAFORM_PLAN_ROLE", PLAN),
        ("arn:aws:iam::ACCOUNT_ID:role/TERRAFORM_APPLY_ROLE", APPLY),
    ):
        assert placeholder in text
        text = text.replace(placeholder, value)
    return denials(text)


def test_the_shipped_policy_passes_both() -> None:
    assert tls_only(BUCKET, shipped()).status is Status.PASS
    assert terraform_cannot_read(BUCKET, shipped(), EXPORTS, (PLAN, APPLY), "2031-03").status is Status.PASS


def test_the_sandbox_keeps_out_the_roles_that_are_shipped() -> None:
    assert load_policy(ROOT / "bcp.toml", {}).state_bucket.terraform_role_arns == s3.TERRAFORM_ROLES


@pytest.mark.parametrize(
    "statements",
    [
        [TLS],
        [{**TLS, "Principal": {"AWS": "*"}, "Action": "*", "Resource": "*"}],
        [{**TLS, "Condition": {}}],
        [{**TLS, "Resource": ARN}, {**TLS, "Resource": f"{ARN}/*"}],
        [KEEP_OUT, {**TLS, "Resource": f"{ARN}*"}],
    ],
)
def test_tls_only_is_silent_where_plain_http_is_refused(statements: list[dict[str, Any]]) -> None:
    assert tls_only(BUCKET, read(*statements)).status is Status.PASS


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        ([], "does not refuse plain http to everybody"),
        ([KEEP_OUT], "does not refuse plain http to everybody"),
        ([{**TLS, "Effect": "Allow"}], "does not refuse plain http to everybody"),
        ([{**TLS, "Action": "s3:GetObject"}], "does not refuse plain http to everybody"),
        ([{**TLS, "Principal": {"AWS": PLAN}}], "does not refuse plain http to everybody"),
        ([{**TLS, "Resource": ARN}], "for the bucket, and not for its objects"),
        ([{**TLS, "Resource": f"{ARN}/*"}], "for its objects, and not for the bucket"),
        ([{**TLS, "Resource": [ARN, f"{ARN}/vault-exports/*"]}], "for the bucket, and not for its objects"),
        ([{**TLS, "Condition": {"NumericLessThan": {"s3:TlsVersion": "1.2"}}}], "does not refuse plain http"),
    ],
)
def test_tls_only_warns_where_some_plain_http_is_let_in(statements: list[dict[str, Any]], words: str) -> None:
    found = tls_only(BUCKET, read(*statements))
    assert found.status is Status.WARN
    assert words in found.detail
    assert "TlsOnly" in found.remedy


def test_no_policy_refuses_nothing() -> None:
    assert "no policy" in tls_only(BUCKET, None).detail
    found = terraform_cannot_read(BUCKET, None, EXPORTS, (PLAN,), "2031-03")
    assert found.status is Status.FAIL
    assert "the bucket has no policy that keeps raxx-terraform-plan from reading vault-exports/*" in found.detail


@pytest.mark.parametrize(
    "statements",
    [
        [KEEP_OUT],
        [{**KEEP_OUT, "Principal": "*"}],
        [{**KEEP_OUT, "Action": "s3:Get*", "Resource": f"{ARN}/*"}],
        [{**KEEP_OUT, "Principal": {"AWS": PLAN}}, {**KEEP_OUT, "Principal": {"AWS": APPLY}}],
    ],
)
def test_the_exports_are_closed_to_terraform(statements: list[dict[str, Any]]) -> None:
    found = terraform_cannot_read(BUCKET, read(*statements), EXPORTS, (PLAN, APPLY), "2031-03")
    assert found.status is Status.PASS
    assert "raxx-terraform-plan, ci/raxx-terraform-apply" in found.detail


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"Principal": {"AWS": PLAN}}, ["ci/raxx-terraform-apply"]),
        ({"Principal": {"AWS": "123456789012"}}, ["raxx-terraform-plan", "ci/raxx-terraform-apply"]),
        ({"Action": "s3:GetObject"}, ["raxx-terraform-plan", "ci/raxx-terraform-apply"]),
        ({"Resource": f"{ARN}/{EXPORTS}2031*"}, ["raxx-terraform-plan", "ci/raxx-terraform-apply"]),
        ({"Resource": "arn:aws:s3:::another-bucket/*"}, ["raxx-terraform-plan", "ci/raxx-terraform-apply"]),
        ({"Effect": "Allow"}, ["raxx-terraform-plan", "ci/raxx-terraform-apply"]),
    ],
)
def test_a_role_that_is_not_kept_out_is_named(change: dict[str, Any], named: list[str]) -> None:
    found = terraform_cannot_read(BUCKET, read({**KEEP_OUT, **change}), EXPORTS, (PLAN, APPLY), "2031-03")
    assert found.status is Status.FAIL
    assert f"keeps {', '.join(named)} from reading" in found.detail
    assert "not visible here" in found.detail
    assert found.warning_id == f"2031-03 {' '.join(named)}"


@pytest.mark.parametrize(("sid", "called"), [("Home", "Home"), ("", "one without a Sid")])
def test_a_deny_with_a_condition_does_not_count_and_is_named(sid: str, called: str) -> None:
    conditional = {**KEEP_OUT, "Sid": sid, "Condition": {"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}}}
    found = terraform_cannot_read(BUCKET, read(conditional, TLS), EXPORTS, (PLAN,), "2031-03")
    assert found.status is Status.FAIL
    assert f"a Deny with a condition, which does not count: {called}." in found.detail


def test_without_roles_nothing_is_known() -> None:
    found = no_roles()
    assert found.status is Status.COULD_NOT_VERIFY
    assert "state_bucket.terraform_role_arns" in found.remedy


def test_roles_of_another_partition_are_looked_for_there() -> None:
    role = PLAN.replace("arn:aws:", "arn:aws-us-gov:")
    theirs = {**KEEP_OUT, "Principal": {"AWS": role}, "Resource": f"{ARN}/*".replace("arn:aws:", "arn:aws-us-gov:")}
    assert terraform_cannot_read(BUCKET, read(theirs), EXPORTS, (role,), "2031-03").status is Status.PASS
    assert terraform_cannot_read(BUCKET, read(KEEP_OUT), EXPORTS, (role,), "2031-03").status is Status.FAIL
