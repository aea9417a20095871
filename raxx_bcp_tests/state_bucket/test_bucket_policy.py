"""How a bucket policy is read: wildcards against a plain definition of them, statements against what IAM documents."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raxx_bcp.errors import CouldNotVerifyError
from raxx_bcp.state_bucket.bucket_policy import EVERYONE, Denial, Scope, denials, matches, matches_all, may_match

ROLE = "arn:aws:iam::123456789012:role/raxx-terraform-plan"
PATTERNS = st.text("ab*?", max_size=6)
BEGINNINGS = st.text("ab", min_size=1, max_size=4)
# Long enough to get past every pattern above, and with a letter that no pattern has.
ENDS = ["".join(letters) for length in range(7) for letters in itertools.product("abc", repeat=length)]


def defined(pattern: str, name: str) -> bool:
    """IAM's wildcards by their definition, without any cleverness."""
    if not pattern:
        return not name
    if pattern[0] == "*":
        return any(defined(pattern[1:], name[start:]) for start in range(len(name) + 1))
    return bool(name) and pattern[0] in ("?", name[0]) and defined(pattern[1:], name[1:])


@given(st.text("ab*?[]!-", max_size=6), st.text("ab[]!-\n*?", max_size=6))
def test_wildcards_mean_what_iam_says(pattern: str, name: str) -> None:
    assert matches(pattern, name) == defined(pattern, name)


@settings(deadline=None)
@given(PATTERNS, BEGINNINGS)
def test_matching_all_that_begins_so_is_matching_each(pattern: str, beginning: str) -> None:
    assert matches_all(pattern, beginning) == all(defined(pattern, beginning + end) for end in ENDS)


@settings(deadline=None)
@given(PATTERNS, BEGINNINGS)
def test_matching_any_that_begins_so_is_matching_one(pattern: str, beginning: str) -> None:
    assert may_match(pattern, beginning) == any(defined(pattern, beginning + end) for end in ENDS)


@settings(deadline=None)
@given(st.lists(PATTERNS, max_size=3), BEGINNINGS, st.booleans())
def test_a_scope_never_claims_more_than_it_covers(patterns: list[str], beginning: str, negated: bool) -> None:  # noqa: FBT001 - hypothesis hands it over
    scope = Scope(tuple(patterns), negated)

    def meant(name: str) -> bool:
        return any(defined(pattern, name) for pattern in patterns) != negated

    assert scope.covers(beginning) == meant(beginning)
    if scope.covers_all(beginning):
        assert all(meant(beginning + end) for end in ENDS)
    if negated and all(meant(beginning + end) for end in ENDS):
        assert scope.covers_all(beginning)


@pytest.mark.parametrize(
    ("pattern", "beginning", "whole"),
    [
        ("arn:aws:s3:::b/vault-exports/*", "arn:aws:s3:::b/vault-exports/", True),
        ("arn:aws:s3:::b/*", "arn:aws:s3:::b/vault-exports/", True),
        ("*", "arn:aws:s3:::b/vault-exports/", True),
        ("arn:aws:s3:::b/vault-exports/*.json.gpg", "arn:aws:s3:::b/vault-exports/", False),
        ("arn:aws:s3:::b/vault-exports/?*", "arn:aws:s3:::b/vault-exports/", False),
        ("arn:aws:s3:::b/vault-exports/2031*", "arn:aws:s3:::b/vault-exports/", False),
        ("arn:aws:s3:::b/vault-exports", "arn:aws:s3:::b/vault-exports/", False),
        ("arn:aws:s3:::b", "arn:aws:s3:::b/", False),
        ("arn:aws:s3:::B/*", "arn:aws:s3:::b/", False),
    ],
)
def test_whole_prefixes(pattern: str, beginning: str, whole: bool) -> None:  # noqa: FBT001 - pytest hands it over
    assert matches_all(pattern, beginning) is whole


@pytest.mark.parametrize("negated", [False, True])
def test_a_policy_variable_settles_nothing(negated: bool) -> None:  # noqa: FBT001 - pytest hands it over
    scope = Scope(("${aws:username}*",), negated)
    assert not scope.covers("anything")
    assert not scope.covers_all("anything")


def parsed(**elements: Any) -> Denial:
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*", **elements}
    (found,) = denials(json.dumps({"Statement": [{k: v for k, v in statement.items() if v is not None}]}))
    return found


@pytest.mark.parametrize(
    ("principal", "names_it"),
    [
        ("*", True),
        ({"AWS": "*"}, True),
        ({"AWS": ["arn:aws:iam::1:user/x", "*"]}, True),
        ({"AWS": ROLE}, True),
        ({"AWS": ["arn:aws:iam::1:user/x", ROLE]}, True),
        ({"AWS": f"{ROLE}-other"}, False),
        ({"AWS": "arn:aws:iam::123456789012:root"}, False),
        ({"AWS": "123456789012"}, False),
        ({"AWS": "arn:aws:sts::123456789012:assumed-role/raxx-terraform-plan/session"}, False),
        ({"AWS": "arn:aws:iam::123456789012:role/*"}, False),
        ({"AWS": "AROAEXAMPLEEXAMPLEEX"}, False),
        ({"Service": "*"}, False),
        ({"CanonicalUser": "79a59d"}, False),
    ],
)
def test_which_principals_name_the_role(principal: Any, names_it: bool) -> None:  # noqa: FBT001 - pytest hands it over
    assert parsed(Principal=principal).names(ROLE) is names_it


def test_not_principal_names_nobody() -> None:
    denial = parsed(Principal=None, NotPrincipal={"AWS": "arn:aws:iam::123456789012:role/admin"})
    assert denial.principals == frozenset()
    assert not denial.names(ROLE)
    assert not denial.holds_for_everyone


@pytest.mark.parametrize(
    ("elements", "covered"),
    [
        ({"Action": "s3:GetObject"}, True),
        ({"Action": "S3:getobject"}, True),
        ({"Action": ["s3:Put*", "s3:Get*"]}, True),
        ({"Action": "*"}, True),
        ({"Action": "s3:GetObjectVersion"}, False),
        ({"Action": "s3:GetObject?*"}, False),
        ({"Action": None, "NotAction": "s3:PutObject"}, True),
        ({"Action": None, "NotAction": ["s3:PutObject", "s3:get*"]}, False),
        ({"Action": []}, False),
        ({"Action": None, "NotAction": []}, True),
    ],
)
def test_which_actions_cover_a_read(elements: dict[str, Any], covered: bool) -> None:  # noqa: FBT001 - pytest hands it over
    assert parsed(**elements).covers_actions(("s3:GetObject",)) is covered


@pytest.mark.parametrize(
    ("elements", "covered"),
    [
        ({"Resource": "arn:aws:s3:::b/*"}, True),
        ({"Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/vault-exports/*"]}, True),
        ({"Resource": "arn:aws:s3:::b"}, False),
        ({"Resource": None, "NotResource": "arn:aws:s3:::b/raxx-app/*"}, True),
        ({"Resource": None, "NotResource": "arn:aws:s3:::b/vault-exports/public/*"}, False),
        ({"Resource": None, "NotResource": "arn:aws:s3:::b/*.gpg"}, False),
    ],
)
def test_which_resources_cover_the_exports(elements: dict[str, Any], covered: bool) -> None:  # noqa: FBT001 - pytest hands it over
    assert parsed(**elements).resources.covers_all("arn:aws:s3:::b/vault-exports/") is covered


@pytest.mark.parametrize(
    ("conditions", "only_tls"),
    [
        ({"Bool": {"aws:SecureTransport": "false"}}, True),
        ({"Bool": {"aws:securetransport": ["False"]}}, True),
        ({"Bool": {"aws:SecureTransport": False}}, True),
        ({"BoolIfExists": {"aws:SecureTransport": "false"}}, True),
        ({"Bool": {"aws:SecureTransport": "true"}}, False),
        ({"Bool": {"aws:SecureTransport": ["false", "true"]}}, False),
        ({"Bool": {"aws:SecureTransport": "false", "aws:ViaAWSService": "false"}}, False),
        ({"Bool": {"aws:SecureTransport": "false"}, "StringEquals": {"aws:username": "x"}}, False),
        ({"NumericLessThan": {"s3:TlsVersion": "1.2"}}, False),
        ({"Bool": "aws:SecureTransport"}, False),
        ({}, False),
    ],
)
def test_the_condition_on_tls(conditions: dict[str, Any], only_tls: bool) -> None:  # noqa: FBT001 - pytest hands it over
    assert parsed(Condition=conditions).only_without_tls is only_tls


def test_only_denials_are_taken_from_the_document() -> None:
    allow = {"Sid": "A", "Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [allow, {**allow, "Sid": "D", "Effect": "Deny"}]}
    (found,) = denials(json.dumps(document))
    assert (found.sid, found.principals) == ("D", frozenset({EVERYONE}))
    alone = {"Statement": {**allow, "Sid": "One", "Effect": "Deny"}}
    assert [one.sid for one in denials(json.dumps(alone))] == ["One"]


@pytest.mark.parametrize(
    "document",
    [
        "",
        "not json",
        "[]",
        "null",
        '"text"',
        "{}",
        '{"Statement": 1}',
        '{"Statement": ["x"]}',
        '{"Statement": [{}]}',
        '{"Statement": [{"Effect": "Deny", "Principal": "*", "Resource": "*"}]}',
        '{"Statement": [{"Effect": "Deny", "Principal": 1, "Action": "*", "Resource": "*"}]}',
        '{"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*", "Condition": 1}]}',
    ],
)
def test_what_is_no_policy_is_unknown_and_not_harmless(document: str) -> None:
    with pytest.raises(CouldNotVerifyError, match="not a policy document"):
        denials(document)
