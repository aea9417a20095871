"""What a refusal by S3 means, in one sentence: for every door to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final

from raxx_bcp.errors import (
    BcpError,
    CouldNotVerifyError,
    CredentialsRefusedError,
    PermanentError,
    TransientError,
    UsageError,
)

_ABSENT: Final = frozenset({"404", "NoSuchKey", "NoSuchVersion", "NotFound", "ObjectLockConfigurationNotFoundError"})
_DENIED: Final = frozenset({"403", "AccessDenied", "Forbidden"})
_UNKNOWN: Final = frozenset({"501", "NotImplemented"})
_BUSY: Final = frozenset(
    {"500", "502", "503", "504", "InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout", "Throttling"}
)
_LOST_RACE: Final = frozenset({"412", "PreconditionFailed", "409", "ConditionalRequestConflict"})
_BAD_CREDENTIALS: Final = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"})


class ConflictError(PermanentError):
    """Somebody else wrote the object first; nothing was overwritten."""


class ObjectAbsentError(PermanentError):
    """There is no such object, or no such version of it."""


@contextlib.contextmanager
def s3_errors(action: str, bucket: str, *, denied: type[BcpError] = CouldNotVerifyError) -> Iterator[None]:
    """Translate what boto3 raises while it tries to ``action`` ("read the versioning of") ``bucket``.

    ``denied`` says what a refusal means: a denied look is unknown, a denied write has failed.
    """
    from botocore import exceptions

    try:
        yield
    except exceptions.ClientError as error:
        raise _translated(error, action, bucket, denied) from None
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError, exceptions.ProfileNotFound) as error:
        raise UsageError(
            f"There are no usable AWS credentials to {action} bucket {bucket} ({type(error).__name__}).",
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or an instance role.",
        ) from None
    except (exceptions.BotoCoreError, OSError) as error:
        raise TransientError(
            f"S3 could not be reached to {action} bucket {bucket} ({type(error).__name__}).",
            "Check the network and AWS_ENDPOINT_URL_S3, then try again.",
        ) from None


def _translated(error: Any, action: str, bucket: str, denied: type[BcpError]) -> BcpError:
    code = str(error.response.get("Error", {}).get("Code", "unknown"))
    status = str(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
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
