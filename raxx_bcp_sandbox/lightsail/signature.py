"""AWS Signature Version 4, really checked: the signature is computed again from the received request.

Rules and words: AWS General Reference, "Signature Version 4 signing process" and "Troubleshooting"; the names
of the errors are those that AWS's JSON services answer with.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from raxx_bcp_sandbox.lightsail.errors import LightsailError

SKEW_SECONDS: Final = 15 * 60
_SERVICE: Final = "lightsail"
_TIME: Final = "%Y%m%dT%H%M%SZ"
_AUTHORIZATION: Final = re.compile(
    r"AWS4-HMAC-SHA256\s+"
    r"Credential=(?P<key>[^/,\s]+)/(?P<day>\d{8})/(?P<region>[^/,\s]+)/(?P<service>[^/,\s]+)/aws4_request,\s*"
    r"SignedHeaders=(?P<headers>[a-z0-9;-]+),\s*"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)
_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


@dataclass(frozen=True)
class AccessKey:
    """The account's only access key."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Received:
    """A request as it arrived. The names in ``headers`` are lower case; ``url`` has no host."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def signed_region(request: Received, key: AccessKey, now: float) -> str:
    """The region for which ``request`` was signed, if it was signed with ``key`` at about ``now`` (epoch seconds).

    Raises ``LightsailError``: MissingAuthenticationTokenException, IncompleteSignatureException,
    UnrecognizedClientException (key not known) or InvalidSignatureException (wrong secret, scope or time).
    """
    header = request.headers.get("authorization")
    if not header:
        raise LightsailError("MissingAuthenticationTokenException", "Request is missing Authentication Token")
    found = _AUTHORIZATION.fullmatch(header.strip())
    if found is None or "x-amz-date" not in request.headers:
        raise LightsailError(
            "IncompleteSignatureException", "Authorization header requires Credential, SignedHeaders, Signature, date."
        )
    if found["key"] != key.id or "x-amz-security-token" in request.headers:  # the account has no temporary keys
        raise LightsailError("UnrecognizedClientException", "The security token included in the request is invalid.")
    date = request.headers["x-amz-date"]
    _check_time(date, now)
    if found["service"] != _SERVICE or found["day"] != date[:8]:
        raise LightsailError(
            "InvalidSignatureException", f"Credential should be scoped to the request's day and to {_SERVICE!r}."
        )
    names = found["headers"].split(";")
    covered = {"host", "x-amz-date", "x-amz-target"} & request.headers.keys() <= set(names)
    expected = _signature(request, names, found["region"], key, date)
    if not covered or not hmac.compare_digest(expected, found["signature"]):
        raise LightsailError("InvalidSignatureException", _MISMATCH)
    return found["region"]


def _check_time(date: str, now: float) -> None:
    try:
        signed = datetime.strptime(date, _TIME).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise LightsailError(
            "IncompleteSignatureException", "X-Amz-Date is not a time such as 20310314T063000Z."
        ) from None
    server = datetime.fromtimestamp(now, UTC).strftime(_TIME)
    if signed < now - SKEW_SECONDS:
        raise LightsailError(
            "InvalidSignatureException", f"Signature expired: {date} is now earlier than {server} - 15 min."
        )
    if signed > now + SKEW_SECONDS:
        raise LightsailError(
            "InvalidSignatureException", f"Signature not yet current: {date} is still later than {server} + 15 min."
        )


def _signature(request: Received, names: list[str], region: str, key: AccessKey, date: str) -> str:
    """The signature that the holder of ``key`` would have made over these headers and this body."""
    headers = {name: request.headers[name] for name in names if name in request.headers}
    claimed = headers.get("x-amz-content-sha256")
    if len(headers) != len(names) or (claimed and claimed != hashlib.sha256(request.body).hexdigest()):
        return ""
    again = AWSRequest(
        method=request.method,
        url=f"http://{request.headers.get('host', '')}{request.url}",
        data=request.body,
        headers=headers,
    )
    again.context["timestamp"] = date
    signer = SigV4Auth(Credentials(key.id, key.secret), _SERVICE, region)
    return str(signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again))
