"""The guard fires on what looks like a credential, and is silent on what rows really hold."""

from __future__ import annotations

import pytest

from raxx_bcp.evidence.confidential import WITHHELD, refuse_secrets, withhold_secrets
from raxx_bcp.evidence.row_hash import as_data
from raxx_bcp_tests.evidence.world import drill

AWS_ID = "AKIA" + "ABCDEFGHIJKLMNOP"
SECRETS = {
    "postgres://alice:hunter2@db.example:5432/app": "a connection string with a password",
    "see POSTGRESQL+psycopg://u:p%40ss@127.0.0.1/x": "a connection string with a password",
    "redis://:topsecret@cache.example": "a connection string with a password",
    "https://b.s3.amazonaws.com/k?X-Amz-Signature=0a1b2c": "a signed URL",
    "https://b.example/k?Expires=1&Signature=abc%3D": "a signed URL",
    "https://b.example/k?X-Amz-Credential=x": "a signed URL",
    "host=db password=hunter2 user=alice": "a password",
    '{"client_secret": "abcdef"}': "a password",
    "Authorization: Bearer 0123456789abcdef0123": "an authorization header",
    "-----BEGIN RSA PRIVATE KEY-----": "a private key",
    "-----BEGIN PRIVATE KEY-----": "a private key",
    f"key {AWS_ID} was used": "an access key",
    "xoxb-" + "123456789012-abcdef": "an access key",
}
HARMLESS = [
    "",
    "https://dagster.example/runs/3f2a?tab=events",
    "http://127.0.0.1:3000/a@b",
    "s3://raxx-iac-state-prod/evidence/00000001.json",
    "ssh://host.example:22/path",
    "ops@raxx.example",
    "expected revision 9f2c1a, found 4b11d0",
    "sha256 " + "0a" * 32,
    "0123456789ABCDEF0123456789ABCDEF01234567",
    "2031-03-14T09:00:00Z",
    "password hashes: 12 of 12 are readable",
    "basic authentication was refused",
    "Bearer authentication is not configured",
    "the signature of the dump matches",
    "10:30: started; 11:00: ended @ once",
    "arn:aws:iam::123456789012:role/raxx-terraform-apply",
]


@pytest.mark.parametrize("text", SECRETS)
def test_it_fires_and_does_not_repeat_the_secret(text: str) -> None:
    for value in (text, {"a": [{"b": text}]}, {text: 1}):
        with pytest.raises(ValueError, match=SECRETS[text]) as caught:
            refuse_secrets(value)
        assert text not in str(caught.value)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("text", HARMLESS)
def test_it_is_silent_on_what_rows_hold(text: str) -> None:
    refuse_secrets({"a": [text], text: None})
    assert withhold_secrets(text) == text


def test_it_names_the_place() -> None:
    with pytest.raises(ValueError, match=r"^checks\[1\]\.actual looks like a signed URL, which a row never holds$"):
        refuse_secrets({"checks": [{"actual": "fine"}, {"actual": "x?Signature=abc"}]})


@pytest.mark.parametrize("text", SECRETS)
def test_withholding_leaves_nothing_to_refuse(text: str) -> None:
    kept = withhold_secrets(f"before {text} after")
    refuse_secrets(kept)
    assert WITHHELD in kept
    assert kept.startswith("before ")
    assert "hunter2" not in kept


def test_a_whole_healthy_entry_passes_and_one_finding_with_a_password_does_not() -> None:
    as_data(drill())
    with pytest.raises(ValueError, match=r"findings\[0\] looks like a connection string"):
        as_data(drill(findings=("could not reach postgres://a:b@c/d",)))
