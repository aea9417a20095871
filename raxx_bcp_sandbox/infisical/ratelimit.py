"""The rate limiter of the cloud or a proxy (70, 71); a self-hosted vault has none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from raxx_bcp_sandbox.infisical.errors import ApiError
from raxx_bcp_sandbox.infisical.state import Clock

WINDOW_S = 60
LIMITS: Mapping[str, int] = {"read": 60, "secrets": 40, "write": 200}


@dataclass(slots=True)
class RateLimiter:
    """Counts calls per kind in windows of a minute."""

    clock: Clock
    limits: Mapping[str, int] = field(default_factory=lambda: dict(LIMITS))
    _windows: dict[str, tuple[float, int]] = field(default_factory=dict)

    def count(self, kind: str) -> tuple[dict[str, str], ApiError | None]:
        """The headers for this call and, past the limit, the 429 answer."""
        now = self.clock()
        started, used = self._windows.get(kind, (now, 0))
        if now >= started + WINDOW_S:
            started, used = now, 0
        self._windows[kind] = (started, used + 1)
        reset = math.ceil(started + WINDOW_S - now)
        limit = self.limits[kind]
        headers = {
            "x-ratelimit-limit": str(limit),
            "x-ratelimit-remaining": str(max(0, limit - used - 1)),
            "x-ratelimit-reset": str(reset),
        }
        if used < limit:
            return headers, None
        return {**headers, "retry-after": str(reset)}, too_many_calls(reset)


def too_many_calls(seconds: int) -> ApiError:
    """429 (71)."""
    message = f"Rate limit exceeded. Please try again in {seconds} seconds"
    return ApiError(429, message, "RateLimitExceeded")
