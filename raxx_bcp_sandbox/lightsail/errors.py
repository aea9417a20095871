"""Lightsail's refusals: ``__type`` and the members ``code``, ``docs``, ``message`` and ``tip``."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

_DOCS = "https://docs.aws.amazon.com/lightsail/2016-11-28/api-reference/Welcome.html"


class LightsailError(Exception):
    """An answer other than 200. ``name`` is one of the model's exceptions, or one that all AWS services share."""

    def __init__(self, name: str, message: str, tip: str = "", status: int = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message
        self.tip = tip
        self.status = int(status)

    def members(self) -> dict[str, Any]:
        """The members of the exception's shape."""
        return {"code": self.name, "docs": _DOCS, "message": self.message, "tip": self.tip}

    def body(self) -> dict[str, Any]:
        """The JSON body."""
        return {"__type": self.name, **self.members()}


def invalid_input(message: str, tip: str = "") -> LightsailError:
    """The request breaks a rule."""
    return LightsailError("InvalidInputException", message, tip)


def operation_failure(message: str, tip: str = "") -> LightsailError:
    """The request is well formed, but cannot be carried out in the current state."""
    return LightsailError("OperationFailureException", message, tip)


def not_found(kind: str, name: str) -> LightsailError:
    """The resource does not exist in this region."""
    return LightsailError("NotFoundException", f"The {kind} does not exist: {name}")


def names_in_use(name: str) -> LightsailError:
    """Instances and snapshots share one namespace in a region; the message is Lightsail's."""
    return invalid_input(f"Some names are already in use: {name}", "Choose another name.")


def access_denied(operation: str, region: str, account: str) -> LightsailError:
    """No policy allows it, with IAM's message."""
    return LightsailError(
        "AccessDeniedException",
        f"User: arn:aws:iam::{account}:user/raxx-bcp is not authorized to perform: lightsail:{operation} on resource: "
        f"arn:aws:lightsail:{region}:{account}:* because no identity-based policy allows the lightsail:{operation} "
        "action",
    )


def throttled() -> LightsailError:
    """Too many calls. Status 400, as in all JSON protocols; botocore recognises its name and retries."""
    return LightsailError("ThrottlingException", "Rate exceeded")


def service_exception(message: str = "An internal error occurred.") -> LightsailError:
    """Lightsail's own failure: the only exception of the model with status 500."""
    return LightsailError("ServiceException", message, status=HTTPStatus.INTERNAL_SERVER_ERROR)
