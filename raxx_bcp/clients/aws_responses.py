"""Checks AWS's answers before botocore parses them: its parsers take a proxy's page for an empty list.

botocore reads a body that is not JSON as an answer without members, and any well-formed XML as the answer that it
asked for. A list of backups would be empty, versioning "never enabled". A refusal here is one sentence, without the
bytes of the answer.
"""

from __future__ import annotations

import re
from typing import Any, Final

from raxx_bcp.clients.decoding import decoded
from raxx_bcp.errors import UnreadableAnswerError

_ID: Final = "raxx-bcp-answers"
_ROOT: Final = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*\?>)?\s*<(?:\w+:)?(\w+)[\s/>]")
_S3_ROOTS: Final = {
    "CopyObject": b"CopyObjectResult",
    "GetBucketEncryption": b"ServerSideEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": b"LifecycleConfiguration",
    "GetBucketVersioning": b"VersioningConfiguration",
    "GetObjectLockConfiguration": b"ObjectLockConfiguration",
    "GetPublicAccessBlock": b"PublicAccessBlockConfiguration",
    "ListObjectVersions": b"ListVersionsResult",
    "ListObjectsV2": b"ListBucketResult",
}
"""The root element of each answer that has a body of XML (S3 API reference)."""
_STREAMED: Final = frozenset({"GetObject", "HeadObject", "PutObject"})
"""These answers are recognised by their headers: S3 sends an ETag in each."""


def look_at_answers(client: Any) -> None:
    """Check every answer to ``client``, of S3 or Lightsail. Calling it twice does no harm.

    A call then raises ``UnreadableAnswerError`` for an answer that is not the service's.
    """
    events = client.meta.events
    events.register("before-parse.s3", _look_at_s3, unique_id=_ID)
    events.register("before-parse.lightsail", _look_at_lightsail, unique_id=f"{_ID}-lightsail")


def _look_at_s3(operation_model: Any, response_dict: dict[str, Any], **_named: Any) -> None:
    name, status = operation_model.name, response_dict["status_code"]
    if not 200 <= status < 300:
        return  # botocore takes no text from an error that is not S3's
    if name in _STREAMED:
        if "etag" not in response_dict["headers"]:
            raise _not_aws("S3", name, status)
        return
    root = _S3_ROOTS.get(name)
    if root is not None:
        found = _ROOT.match(bytes(response_dict["body"]))
        if found is None or found[1] != root:
            raise _not_aws("S3", name, status)


def _look_at_lightsail(operation_model: Any, response_dict: dict[str, Any], **_named: Any) -> None:
    name, status = operation_model.name, response_dict["status_code"]
    body = decoded(response_dict["body"], dict[str, Any])
    if 200 <= status < 300:
        members = operation_model.output_shape.members if operation_model.output_shape else {}
        if body is None or (members and not any(body.get(member) is not None for member in members)):
            raise _not_aws("Lightsail", name, status)
    elif body is None or not isinstance(body.get("__type"), str):
        if status < 500 and status != 429:
            raise _not_aws("Lightsail", name, status)
        response_dict["body"] = b"{}"  # the status says "busy"; botocore would take the page for Lightsail's message


def _not_aws(service: str, operation: str, status: int) -> UnreadableAnswerError:
    return UnreadableAnswerError(
        f"{service} was asked for {operation}, and what answered {status} is not {service}.",
        f"Check AWS_ENDPOINT_URL_{service.upper()}, and look for a proxy or an error page in between.",
    )
