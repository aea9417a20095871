"""What a refusal by Infisical means, in one sentence."""

from __future__ import annotations

import re
from typing import Final

from raxx_bcp.clients.http import Answer
from raxx_bcp.errors import BcpError, CouldNotVerifyError, PermanentError, UnreadableAnswerError

_REFUSALS: Final = frozenset({400, 401, 403, 404, 405, 409, 413, 422, 429})
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z ]{0,49}")
UNLIMITED_USES: Final = (
    "In Infisical set Access Token Max Number of Uses to 0, no limit (Organization > Access Control > Identities > the "
    "identity > Universal Auth)."
)


class LoginRefusedError(PermanentError):
    """The vault refused the login. Never retried: three failures lock the identity for five minutes."""


class DeniedError(CouldNotVerifyError):
    """The identity is logged in but may not read this."""


class TokenUsedUpError(PermanentError):
    """Access tokens have a limited number of uses, and a second one was used up too: a setting is wrong, no secret."""


def token_is_used_up(answer: Answer) -> bool:
    """Does a 401 say that the token was used as often as it may be? Then the server did nothing else.

    The server deletes a used-up token: a client that still uses it is told that no such token exists.
    """
    said = str(answer.error().message).lower()
    return answer.status == 401 and ("limit" in said or "no identity access token found" in said)


def token_used_up(url: str) -> TokenUsedUpError:
    """A second token of one session was used as often as it may be."""
    return TokenUsedUpError(
        f"The vault at {url} ended this machine identity's access token because it was used as often as it may be "
        "(accessTokenNumUsesLimit), and a second one for the same reason.",
        f"{UNLIMITED_USES} Then run it again.",
    )


def not_the_api(answer: Answer, call: str) -> UnreadableAnswerError:
    """The answer to ``call`` ("GET /api/status") is not what the API documents."""
    return UnreadableAnswerError(
        f"The vault answered {call} with {answer.status} and a body that is not the API's "
        f"({len(answer.body)} bytes of {answer.content_type or 'unknown type'}).",
        "Look for a proxy or an error page in between, and check that the address is an Infisical's own.",
    )


def said(answer: Answer) -> str:
    """The vault's own name of an error, such as ``PermissionDenied``; empty where it is not such a name."""
    name = answer.error().error
    return name if _NAME.fullmatch(name) else ""


def is_refusal(answer: Answer) -> bool:
    """Is it one of the vault's own refusals? Each says what is wrong (contract: reqId, statusCode, message)."""
    return answer.status in _REFUSALS and bool(answer.error().message)


def login_refusal(answer: Answer, url: str, variables: str) -> BcpError:
    """Why the vault at ``url`` refused the login from the variables that begin with ``variables``."""
    if not is_refusal(answer):
        return not_the_api(answer, "the login")
    if "locked" in str(answer.error().message):
        return LoginRefusedError(
            f"The vault at {url} has locked this machine identity after failed logins.",
            f"Wait five minutes, correct {variables}_SECRET, then try once; another failure locks it again.",
        )
    return LoginRefusedError(
        f"The vault at {url} refused the machine identity's login ({answer.status}).",
        "The client id or secret is wrong, revoked, expired or used up: create a new client secret in Infisical "
        f"(Organization > Access Control > Identities > Universal Auth) and set {variables}_ID and _SECRET.",
    )


def refusal(answer: Answer, path: str, *, address_from: str = "INFISICAL_URL", role: str = "Viewer") -> BcpError:
    """What a non-2xx answer to GET ``path`` means.

    ``address_from`` is what gave the vault's address, ``role`` what the identity needs in its projects.
    """
    error = answer.error()
    if not is_refusal(answer):
        return not_the_api(answer, f"GET {path}")
    if answer.status == 403:
        return DeniedError(
            f"The vault denies this machine identity GET {path} ({said(answer) or 'Forbidden'}).",
            "Look at the identity's entry in that project (Access Control > Machine Identities): with the role "
            f"{role}, not temporary, it may read this, unless an additional privilege denies it: then remove that "
            "privilege.",
        )
    if answer.status == 404 and error.reqId is None and "Route" in str(error.message):
        return PermanentError(
            f"The vault has no route {path}: the server is too old, or the URL is not an Infisical.",
            f"Upgrade Infisical to a version with API v4, or correct {address_from}.",
        )
    return PermanentError(
        f"The vault answered {path} with {answer.status} ({said(answer) or 'no reason given'}).",
        "Look at the vault's log for that request; none of this answer was stored.",
    )
