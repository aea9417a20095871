"""What a refusal by Infisical means, in one sentence."""

from __future__ import annotations

from raxx_bcp.clients.http import Answer
from raxx_bcp.errors import BcpError, CouldNotVerifyError, PermanentError


class LoginRefusedError(PermanentError):
    """The vault refused the login. Never retried: three failures lock the identity for five minutes."""


class DeniedError(CouldNotVerifyError):
    """The identity is logged in and may not read this."""


def not_the_api(answer: Answer, call: str) -> PermanentError:
    """The answer to ``call`` ("GET /api/status") is not what the API documents."""
    return PermanentError(
        f"The vault answered {call} with {answer.status} and a body that is not the API's "
        f"({len(answer.body)} bytes of {answer.content_type or 'unknown type'}).",
        "Look for a proxy or an error page in between, and check that the address is an Infisical's own.",
    )


def login_refusal(answer: Answer, url: str, variables: str) -> LoginRefusedError:
    """Why the vault at ``url`` did not take the login from the variables that begin with ``variables``."""
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


def refusal(answer: Answer, path: str) -> BcpError:
    """What an answer to GET ``path`` means that is not 2xx."""
    error = answer.error()
    if answer.status == 403:
        return DeniedError(
            f"The vault denies this machine identity GET {path} ({error.error or 'Forbidden'}).",
            "Give the identity the role Viewer in that project (Project > Access Control > Machine Identities).",
        )
    if answer.status == 404 and error.reqId is None and "Route" in str(error.message):
        return PermanentError(
            f"The vault has no route {path}: the server is too old for this exporter, or the URL is not an Infisical.",
            "Upgrade Infisical to a version with API v4, or correct INFISICAL_URL.",
        )
    return PermanentError(
        f"The vault answered {path} with {answer.status} ({error.error or answer.content_type or 'no reason given'}).",
        "Look at the vault's log for that request; nothing of this answer was stored.",
    )
