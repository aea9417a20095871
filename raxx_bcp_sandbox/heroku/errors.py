"""Heroku's refusals: ``{"id", "message"[, "url"][, "resource"]}``, and the HTML pages of its Data API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

DENIED_MESSAGE: Final = "You do not have access to this resource."
RETRY_AFTER_SECONDS: Final = 1
HTML_404: Final = (
    "<!DOCTYPE html><html><head><title>The page you were looking for doesn't exist (404)</title></head>"
    "<body><h1>404</h1><p>The page you were looking for doesn't exist.</p></body></html>"
)
HTML_TIMEOUT: Final = (
    "<!DOCTYPE html><html><head><title>Application Error</title></head>"
    "<body>An error occurred in the application and your page could not be served (H12).</body></html>"
)


class ApiError(Exception):
    """An answer other than 2xx; with ``html`` it is a page, and ``id`` and ``message`` are not shown."""

    def __init__(
        self,
        status: int,
        error_id: str,
        message: str,
        *,
        more: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        html: str = "",
    ) -> None:
        super().__init__(f"{status} {error_id}")
        self.status = status
        self.headers = dict(headers or {})
        self.html = html
        self.body = {**(more or {}), "id": error_id, "message": message}


def unauthorized() -> ApiError:
    """401, as captured (unauthorized.json)."""
    return ApiError(401, "unauthorized", "Invalid credentials provided.")


def forbidden() -> ApiError:
    """403."""
    return ApiError(403, "forbidden", DENIED_MESSAGE)


def app_not_found() -> ApiError:
    """404 of an app, as captured (apps_info-gone.json)."""
    return ApiError(404, "not_found", "Couldn't find that app.", more={"resource": "app"})


def addon_not_found() -> ApiError:
    """404 of an add-on."""
    return ApiError(404, "not_found", "Couldn't find that add-on.", more={"resource": "add_on"})


def not_found(message: str = "Not found.") -> ApiError:
    """404 of anything else, as captured (apps_info-gone.json, pg_wait-waiting2.json)."""
    return ApiError(404, "not_found", message)


def data_page_not_found() -> ApiError:
    """404 of the Data API, as HTML."""
    return ApiError(404, "not_found", "", html=HTML_404)


def invalid(message: str) -> ApiError:
    """422."""
    return ApiError(422, "invalid_params", message)


def confirmation_required(message: str) -> ApiError:
    """423, as captured (addons-confirm.json)."""
    return ApiError(423, "confirmation_required", message)


def rate_limited() -> ApiError:
    """429, as captured (rate-limit.json)."""
    message = "Your account reached the API rate limit\nPlease wait a few minutes before making new requests"
    url = "https://devcenter.heroku.com/articles/platform-api-reference#rate-limits"
    headers = {"retry-after": str(RETRY_AFTER_SECONDS), "ratelimit-remaining": "0"}
    return ApiError(429, "rate_limit", message, headers=headers, more={"url": url})


def internal() -> ApiError:
    """500."""
    return ApiError(500, "internal_server_error", "Internal server error.")


def unavailable() -> ApiError:
    """503."""
    return ApiError(503, "service_unavailable", "Heroku's API is temporarily unavailable.")


def router_timeout() -> ApiError:
    """503 of Heroku's router, as HTML, after it has waited for 30 seconds."""
    return ApiError(503, "timeout", "", html=HTML_TIMEOUT)
