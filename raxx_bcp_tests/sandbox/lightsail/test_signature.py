"""Signatures are checked for real: by secret, key, scope, time, and every signed byte."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from raxx_bcp_sandbox.lightsail.errors import LightsailError
from raxx_bcp_sandbox.lightsail.signature import SKEW_SECONDS, AccessKey, Received, signed_region
from raxx_bcp_tests.sandbox.lightsail.lab import KEY, REGION, Lab
from raxx_bcp_tests.sandbox.lightsail.refusals import refusal


def sign(
    secret: str = KEY.secret, *, key: str = KEY.id, region: str = REGION, service: str = "lightsail"
) -> tuple[Received, float]:
    """A request as botocore signs it, and when it did."""
    headers = {"X-Amz-Target": "Lightsail_20161128.GetRegions", "Content-Type": "application/x-amz-json-1.1"}
    request = AWSRequest("POST", "http://127.0.0.1:8704/", headers=headers, data=b"{}")
    SigV4Auth(Credentials(key, secret), service, region).add_auth(request)
    received = {name.lower(): value for name, value in request.headers.items()} | {"host": "127.0.0.1:8704"}
    signed_at = datetime.strptime(received["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    return Received("POST", "/", received, b"{}"), signed_at


def outcome(request: Received, now: float) -> str:
    """The region, or the error's name."""
    try:
        return signed_region(request, KEY, now)
    except LightsailError as error:
        return error.name


def with_headers(request: Received, **headers: str) -> Received:
    return replace(request, headers={**request.headers, **{name.replace("_", "-"): v for name, v in headers.items()}})


def test_the_region_is_that_of_the_scope() -> None:
    assert outcome(*sign()) == REGION
    assert outcome(*sign(region="eu-west-1")) == "eu-west-1"


def test_a_wrong_secret_or_key() -> None:
    assert outcome(*sign("another-secret")) == "InvalidSignatureException"
    assert outcome(*sign(key="AKIASTRANGER00000000")) == "UnrecognizedClientException"


def test_another_services_scope() -> None:
    assert outcome(*sign(service="s3")) == "InvalidSignatureException"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, REGION),
        (SKEW_SECONDS - 1, REGION),
        (-SKEW_SECONDS + 1, REGION),
        (SKEW_SECONDS + 1, "InvalidSignatureException"),
        (-SKEW_SECONDS - 1, "InvalidSignatureException"),
    ],
)
def test_the_time_of_signing_may_differ_by_fifteen_minutes(seconds: int, expected: str) -> None:
    request, signed_at = sign()
    assert outcome(request, signed_at + seconds) == expected


def test_any_change_after_signing() -> None:
    request, now = sign()
    assert outcome(request, now) == REGION
    assert outcome(replace(request, body=b"{ }"), now) == "InvalidSignatureException"
    assert outcome(replace(request, url="/?a=b"), now) == "InvalidSignatureException"
    assert outcome(with_headers(request, x_amz_target="Lightsail_20161128.DeleteInstance"), now) == (
        "InvalidSignatureException"
    )
    assert outcome(with_headers(request, user_agent="not signed"), now) == REGION


@pytest.mark.parametrize(("body", "expected"), [(b"{}", REGION), (b"{ }", "InvalidSignatureException")])
def test_a_signed_hash_must_be_the_bodys(body: bytes, expected: str) -> None:
    claimed = {"X-Amz-Content-SHA256": hashlib.sha256(b"{}").hexdigest()}
    request = AWSRequest("POST", "http://127.0.0.1:8704/", headers=claimed, data=b"{}")
    assert outcome(*received_of(request, body)) == expected


def received_of(request: AWSRequest, body: bytes) -> tuple[Received, float]:
    """``request``, signed by botocore, as it arrives with ``body``; and when it was signed."""
    SigV4Auth(Credentials(KEY.id, KEY.secret), "lightsail", REGION).add_auth(request)
    received = {name.lower(): value for name, value in request.headers.items()} | {"host": "127.0.0.1:8704"}
    signed_at = datetime.strptime(received["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    return Received("POST", "/", received, body), signed_at


def test_a_target_that_was_not_signed() -> None:
    request, signed_at = received_of(AWSRequest("POST", "http://127.0.0.1:8704/", data=b"{}"), b"{}")
    assert outcome(request, signed_at) == REGION
    smuggled = with_headers(request, x_amz_target="Lightsail_20161128.DeleteInstance")
    assert outcome(smuggled, signed_at) == "InvalidSignatureException"


def test_a_missing_or_broken_header() -> None:
    request, now = sign()
    assert outcome(with_headers(request, authorization=""), now) == "MissingAuthenticationTokenException"
    for broken in ("Bearer abc", request.headers["authorization"].partition(", Signature")[0]):
        assert outcome(with_headers(request, authorization=broken), now) == "IncompleteSignatureException"
    assert outcome(with_headers(request, x_amz_date="yesterday"), now) == "IncompleteSignatureException"
    assert outcome(with_headers(request, x_amz_security_token="t"), now) == "UnrecognizedClientException"


def test_a_real_client_with_a_wrong_secret(lab: Lab) -> None:
    stranger = lab.client(key=AccessKey(KEY.id, "wrong"))
    refused = refusal(stranger.get_regions)
    assert (refused.code, refused.status) == ("InvalidSignatureException", 400)
    assert "does not match the signature you provided" in refused.message
    assert refusal(lab.client(key=AccessKey("AKIANOBODY0000000000", "x")).get_regions).code == (
        "UnrecognizedClientException"
    )
    assert lab.client().get_regions()["regions"]


def test_a_real_client_of_a_region_that_lightsail_has_not(lab: Lab) -> None:
    assert "not 'mars-north-1'" in refusal(lab.client("mars-north-1").get_regions).message


def test_without_a_signature_nothing_is_told(lab: Lab) -> None:
    headers = {"X-Amz-Target": "Lightsail_20161128.GetInstances", "Content-Type": "application/x-amz-json-1.1"}
    answer = requests.post(f"{lab.url}/", data="{}", headers=headers, timeout=5)
    assert (answer.status_code, answer.json()["__type"]) == (400, "MissingAuthenticationTokenException")


def test_the_secret_is_in_no_repr() -> None:
    request, _now = sign()
    assert KEY.secret not in repr(KEY)
    assert "Signature" not in repr(request)


def test_signatures_are_judged_by_the_real_time_only(lab: Lab) -> None:
    lab.advance(10 * 86_400)
    assert lab.client().get_regions()["regions"]
