"""What a refusal by Heroku means, in one sentence. HTML bodies and addresses are never shown."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from raxx_bcp.clients.http import Answer
from raxx_bcp.errors import BcpError, CouldNotVerifyError, PermanentError, UnreadableAnswerError

_LONGEST_SAID: Final = 200
_REFUSALS: Final = frozenset({400, 401, 402, 403, 405, 406, 409, 410, 412, 416, 422, 423, 429})
"""The Platform API's own (devcenter.heroku.com/articles/platform-api-reference#errors)."""
_ADDRESS: Final = re.compile(r"\S*(?:://|@)\S*")


class AbsentError(PermanentError):
    """It does not exist, or this key may not know that it exists."""


class DeniedError(CouldNotVerifyError):
    """The key is valid but may not see this."""


class AppLimitError(PermanentError):
    """The account may have no more apps: leftover throwaway apps fill the quota that a drill needs."""


class NameTakenError(PermanentError):
    """Another app on Heroku has this name; all accounts share one namespace."""


class _Problem(msgspec.Struct):
    id: str = ""
    message: str = ""


def refusal(answer: Answer, action: str, throwaway_prefix: str) -> BcpError:
    """The error for ``answer`` to the attempt to ``action`` ("look at app raxx-app-prod").

    A denied look (an ``action`` that reads) is unknown; a denied write has failed: use ``write_refusal`` for that.
    """
    problem = _problem(answer)
    if not _documented(answer.status, problem):
        return not_the_api(answer, action)
    said = _said(problem)
    failed = f"Heroku could not {action} ({answer.status}{f': {said}' if said else ''})."
    if answer.status == 401:
        return PermanentError(
            f"Heroku refused the API key when asked to {action}.",
            "HEROKU_API_KEY is wrong, revoked or expired: make a new one (heroku authorizations:create) and set it.",
        )
    if answer.status == 402:
        return PermanentError(failed, "The Heroku account owes money or has no payment method: settle that first.")
    if answer.status == 403:
        return DeniedError(failed, _denied_remedy(problem))
    if answer.status == 404:
        return AbsentError(failed, "Check the name in bcp.toml, and that HEROKU_API_KEY belongs to an account with it.")
    if answer.status == 422:
        return _invalid(problem.message, failed, throwaway_prefix)
    return PermanentError(failed, "Read what Heroku said, and look at status.heroku.com; this call changed nothing.")


def write_refusal(answer: Answer, action: str, throwaway_prefix: str) -> BcpError:
    """As ``refusal``, for a call that changes something: denied means that the change did not happen."""
    error = refusal(answer, action, throwaway_prefix)
    return PermanentError(error.what, error.remedy) if isinstance(error, DeniedError) else error


def not_the_api(answer: Answer, action: str) -> UnreadableAnswerError:
    """The answer is not what the API documents."""
    return UnreadableAnswerError(
        f"Heroku answered {answer.status} when asked to {action}, with a body that is not the API's "
        f"({len(answer.body)} bytes of {answer.content_type or 'unknown type'}).",
        "Check HEROKU_API_URL and HEROKU_DATA_URL, and look for a proxy or an error page in between.",
    )


def _documented(status: int, problem: _Problem) -> bool:
    """Is it one of Heroku's refusals, in its own shape? Only a 404 may be HTML, from the Data API."""
    return status == 404 or (status in _REFUSALS and bool(problem.id or problem.message))


def _denied_remedy(problem: _Problem) -> str:
    if problem.id == "two_factor":
        return "This key needs a second factor: make a long-lived one with heroku authorizations:create."
    if problem.id == "suspended":
        return "The account or the app is suspended: ask Heroku's support."
    return "Give the key's account access to the app or team (scopes: read-protected; for drills write-protected)."


def _invalid(message: str, failed: str, throwaway_prefix: str) -> BcpError:
    lowered = message.lower()
    if "app limit" in lowered:
        return AppLimitError(
            failed,
            f"Delete what drills left behind (apps that begin with {throwaway_prefix}) by the drill sweeper, "
            "or ask Heroku for a higher limit.",
        )
    if "already taken" in lowered:
        return NameTakenError(failed, "Another app has this name: start again under another.")
    return PermanentError(failed, "Heroku does not take these values: check the plan, the version and the region.")


def _problem(answer: Answer) -> _Problem:
    return answer.decoded(_Problem) or _Problem()


def _said(problem: _Problem) -> str:
    said = _ADDRESS.sub("(address)", " ".join(problem.message.split()))
    return said[:_LONGEST_SAID].rstrip(".") or problem.id[:_LONGEST_SAID]
