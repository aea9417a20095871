"""What a refusal by Lightsail means, in one sentence: shared by all clients for it."""

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

_BUSY: Final = frozenset(
    {
        "ServiceException",
        "InternalFailure",
        "ServiceUnavailable",
        "AccountSetupInProgressException",
        "RegionSetupInProgressException",
    }
)
_THROTTLED: Final = frozenset({"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded"})
_DENIED: Final = frozenset({"AccessDeniedException", "AccessDenied", "UnauthorizedOperation"})
_BAD_CREDENTIALS: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "UnauthenticatedException",
        "UnrecognizedClientException",
    }
)
_LONGEST_SAID: Final = 300

_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.]{1,79}")
"""An AWS error code; anything else is not AWS's, and is not shown."""


class AbsentError(PermanentError):
    """It does not exist in this account and region."""


class NameTakenError(PermanentError):
    """The name belongs to something else; instances and snapshots share one namespace in a region."""


class AutomaticSnapshotRunningError(TransientError):
    """Lightsail accepts no manual snapshot while it makes an automatic one."""


@contextlib.contextmanager
def lightsail_errors(action: str, *, denied: type[BcpError] = CouldNotVerifyError) -> Iterator[None]:
    """Translate what boto3 raises while it tries to ``action`` ("take snapshot X of instance Y").

    ``denied`` says what a refusal means: a denied look is unknown, a denied write has failed.
    """
    from botocore import exceptions
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError

    try:
        yield
    except exceptions.ClientError as error:
        trouble = _translated(error, action, denied)
        emptied(error)
        raise trouble from None
    except (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.NoRegionError,
        exceptions.ProfileNotFound,
    ) as error:
        raise UsageError(
            f"There are no usable AWS settings to {action} ({type(error).__name__}).",
            "Set AWS_REGION, and AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, a profile, or an instance role.",
        ) from None
    except (ResponseParserError, *UNPARSABLE) as error:
        raise UnreadableAnswerError(
            f"Lightsail could not {action}: its answer cannot be read ({emptied(error)}).",
            "Check AWS_ENDPOINT_URL_LIGHTSAIL, and look for a proxy or an error page in between.",
        ) from None
    except (exceptions.BotoCoreError, HTTPError, OSError) as error:
        raise TransientError(
            f"Lightsail could not be reached to {action} ({emptied(error)}).",
            "Check the network and AWS_ENDPOINT_URL_LIGHTSAIL, then try again.",
        ) from None


def refuse_failed(operations: list[Any], action: str) -> None:
    """Raise ``PermanentError`` when an accepted call's own operation says that it failed."""
    failed = [operation for operation in operations if operation.get("status") == "Failed"]
    if failed:
        why = failed[0].get("errorDetails") or failed[0].get("errorCode") or "no reason given"
        raise PermanentError(
            f"Lightsail could not {action}: its operation failed ({why}).",
            "Look at the resource's history in the Lightsail console, then try again.",
        )


def _translated(error: Any, action: str, denied: type[BcpError]) -> BcpError:
    word = str(error.response.get("Error", {}).get("Code", ""))
    code = word if _WORD.fullmatch(word) else "unknown"
    said = " ".join(str(error.response.get("Error", {}).get("Message", "")).split())[:_LONGEST_SAID]
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    failed = f"Lightsail could not {action} ({code}{': ' + said if said else ''})."
    if "automatic snapshot is being created" in said:
        return AutomaticSnapshotRunningError(failed, "Wait until the automatic snapshot has ended (up to 45 minutes).")
    if "already in use" in said:
        return NameTakenError(failed, "Instances and snapshots share their names: see what has it in the console.")
    if code == "NotFoundException":
        return AbsentError(failed, "Check the name in bcp.toml, and AWS_REGION: names are looked up in one region.")
    if code in _BAD_CREDENTIALS:
        return CredentialsRefusedError(failed, "The AWS credentials are wrong or have expired: give valid ones.")
    if code in _DENIED or status in (401, 403):
        return denied(failed, "The role may not do this: see deploy/iam/ for the rights it needs.")
    if code in _THROTTLED or status == 429:
        return TransientError(failed, "Lightsail asks to slow down: try again in a minute.")
    if code in _BUSY or status >= 500:
        return TransientError(failed, "Lightsail is busy or failing: try again later.")
    return PermanentError(failed, "Read what Lightsail said; nothing was changed by this call.")
