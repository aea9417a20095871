"""What a refusal by S3 means, in one sentence: shared by all clients for it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any, Final

from raxx_bcp.clients.decoding import UNPARSABLE, emptied
from raxx_bcp.errors import (
    BcpError,
    CouldNotVerifyError,
    CredentialsRefusedError,
    PermanentError,
    TransientError,
    UnreadableAnswerError,
    UsageError,
)

_ABSENT: Final = frozenset({"404", "NoSuchKey", "NoSuchVersion", "NotFound", "ObjectLockConfigurationNotFoundError"})
_DENIED: Final = frozenset({"403", "AccessDenied", "Forbidden"})
_UNKNOWN: Final = frozenset({"501", "NotImplemented"})
_BUSY: Final = frozenset(
    {
        "429",
        "500",
        "502",
        "503",
        "504",
        "InternalError",
        "SlowDown",
        "ServiceUnavailable",
        "RequestTimeout",
        "Throttling",
    }
)
_BY_STATUS: Final = frozenset({"403", "409", "412", "429", "500", "501", "502", "503", "504"})
"""What a status means without S3's error code: an answer to HEAD has no body, and a proxy's means that S3 is away."""
_LOST_RACE: Final = frozenset({"412", "PreconditionFailed", "409", "ConditionalRequestConflict"})
_BAD_CREDENTIALS: Final = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"})

_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.]{1,79}")
"""An AWS error code; anything else is not AWS's, and is not shown."""


class ConflictError(PermanentError):
    """Another writer wrote the object first; nothing was overwritten."""


class ObjectAbsentError(PermanentError):
    """There is no such object, or no such version of it."""


@contextlib.contextmanager
def s3_errors(action: str, bucket: str, *, denied: type[BcpError] = CouldNotVerifyError) -> Iterator[None]:
    """Translate what boto3 raises while it tries to ``action`` ("read the versioning of") ``bucket``.

    ``denied`` says what a refusal means: a denied look is unknown, a denied write has failed.
    """
    from botocore import exceptions
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError

    try:
        yield
    except exceptions.ClientError as error:
        trouble = _translated(error, action, bucket, denied)
        emptied(error)
        raise trouble from None
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError, exceptions.ProfileNotFound) as error:
        raise UsageError(
            f"There are no usable AWS credentials to {action} bucket {bucket} ({type(error).__name__}).",
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or an instance role.",
        ) from None
    except (ResponseParserError, *UNPARSABLE) as error:
        raise UnreadableAnswerError(
            f"S3 could not {action} bucket {bucket}: its answer cannot be read ({emptied(error)}).",
            "Check AWS_ENDPOINT_URL_S3, and look for a proxy or an error page in between.",
        ) from None
    except (exceptions.BotoCoreError, HTTPError, OSError) as error:
        raise TransientError(
            f"S3 could not be reached to {action} bucket {bucket} ({emptied(error)}).",
            "Check the network and AWS_ENDPOINT_URL_S3, then try again.",
        ) from None


def _translated(error: Any, action: str, bucket: str, denied: type[BcpError]) -> BcpError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = str(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
    if not _WORD.fullmatch(code):
        code = status
        if status not in _BY_STATUS and not (status == "404" and error.operation_name.startswith("Head")):
            return UnreadableAnswerError(
                f"S3 could not {action} bucket {bucket}: it answered {status} without saying why, as S3 does not.",
                "Check AWS_ENDPOINT_URL_S3, and look for a proxy or an error page in between.",
            )
    failed = f"S3 could not {action} bucket {bucket} ({code})."
    if code == "NoSuchBucket":
        return PermanentError(
            failed, "The bucket does not exist here: check state_bucket.name in bcp.toml and the region."
        )
    if code in _BAD_CREDENTIALS:
        return CredentialsRefusedError(failed, "The AWS credentials are wrong or have expired: give valid ones.")
    if code in _ABSENT:
        return ObjectAbsentError(failed, "Look at raxx-bcp vault list for what is there.")
    if code in _LOST_RACE:
        return ConflictError(
            failed, "Another run stored it first and nothing was overwritten; look at raxx-bcp vault list."
        )
    if code in _DENIED or status == "403":
        return denied(failed, "The role may not do this: see deploy/iam/ for the rights it needs.")
    if code in _UNKNOWN or status == "501":
        return CouldNotVerifyError(failed, "This S3 server does not implement it, so its state is unknown.")
    if code in _BUSY:
        return TransientError(failed, "S3 is busy or failing: try again later.")
    return PermanentError(failed, "Look the code up in the S3 error reference; nothing was stored.")
