"""The error answers of the vault: ``{reqId, statusCode, message, error[, details]}``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Message = str | list[dict[str, Any]]


class ApiError(Exception):
    """An answer other than 2xx. ``details`` is part of the body only when it was given."""

    def __init__(
        self, status: int, message: Message, error: str, details: Sequence[dict[str, Any]] | None = None
    ) -> None:
        super().__init__(error)
        self.status = status
        self.message = message
        self.error = error
        self.details = details

    def body(self, request_id: str) -> dict[str, Any]:
        """The JSON body, with its keys in the order of the real server."""
        body: dict[str, Any] = {"reqId": request_id, "statusCode": self.status, "message": self.message}
        if self.details is not None:
            body["details"] = list(self.details)
        body["error"] = self.error
        return body


def unauthorized(message: str) -> ApiError:
    """401 (captures 40b, 40e, 41, 43b, 43f)."""
    return ApiError(401, message, "UnauthorizedError")


def token_error(message: str) -> ApiError:
    """403 for a token that is malformed, badly signed or expired (captures 41b, 41c, 42c)."""
    return ApiError(403, message, "TokenError")


def bad_request(message: str) -> ApiError:
    """400 (captures 12b, 13c, 17b, 45g, 68)."""
    return ApiError(400, message, "BadRequest")


def not_found(message: str, error: str = "NotFound") -> ApiError:
    """404 (captures 24e, 32c, 45)."""
    return ApiError(404, message, error)


def denied(action: str, subject: str, details: Sequence[dict[str, Any]] = ()) -> ApiError:
    """403 with the rules that nearly matched as ``details`` (captures 23, 44b, 46, 51_shared)."""
    return ApiError(403, f"You are not allowed to {action} on {subject}", "PermissionDenied", details)


def not_a_member(project_id: str) -> ApiError:
    """403 on a project that the identity has not joined (captures 23e, 23i, 44)."""
    message = (
        f"You are not a member of this project with ID {project_id}. Please assign this identity to the "
        "project with the appropriate permissions, then try again."
    )
    return ApiError(403, message, "ProjectMembershipNotFound")


def people_only(url: str) -> ApiError:
    """403 on a route that takes no machine identity (captures 23d, 31, 31b, 48, 48d)."""
    return ApiError(403, "You are not allowed to access this resource", f"Forbidden access to {url}")


def forbidden(message: str) -> ApiError:
    """403 without details (captures 46c, 48b)."""
    return ApiError(403, message, "ForbiddenError")


def internal(error: str = "InternalServerError") -> ApiError:
    """500, which is also the answer to bad JSON and to a body over 1 MiB (captures 13e, 40d, 49b)."""
    return ApiError(500, "Something went wrong", error)


def invalid(issues: Sequence[dict[str, Any]]) -> ApiError:
    """422, whose message is an array of issues (captures 13d, 23g, 24c, 40c, 45h)."""
    return ApiError(422, list(issues), "ValidationFailure")
