"""What a check reports, the same in a terminal, in Dagster and in a manifest."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from raxx_bcp.errors import BcpError, CouldNotVerifyError, CredentialsRefusedError, TransientError


class Status(enum.StrEnum):
    """COULD_NOT_VERIFY is neither pass nor fail, and never counts as a pass."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    WARN = "WARN"
    FAIL = "FAIL"
    COULD_NOT_VERIFY = "COULD_NOT_VERIFY"


@dataclass(frozen=True)
class Check:
    """One finding: ``detail`` says what was seen, ``remedy`` what to do when it is not a pass."""

    name: str
    status: Status
    detail: str
    remedy: str = ""
    warning_id: str = ""
    """Identifies the same warning from day to day, so that Slack gets it only once; empty: Slack does not get it."""

    def as_dict(self) -> dict[str, str]:
        """For JSON output and metadata tables."""
        return {"name": self.name, "status": self.status.value, "detail": self.detail, "remedy": self.remedy}


def worst(checks: tuple[Check, ...]) -> Status:
    """The worst status of ``checks``; PASS when there are none."""
    order = (Status.FAIL, Status.COULD_NOT_VERIFY, Status.WARN)
    return next((status for status in order if any(check.status is status for check in checks)), Status.PASS)


def guarded(name: str, look: Callable[[], Iterable[Check]]) -> list[Check]:
    """Check every part, even when an earlier one is broken. A part that was not seen is COULD_NOT_VERIFY."""
    try:
        return list(look())
    except (CouldNotVerifyError, TransientError, CredentialsRefusedError) as error:
        return [Check(name, Status.COULD_NOT_VERIFY, error.what, error.remedy)]
    except BcpError as error:
        return [Check(name, Status.FAIL, error.what, error.remedy)]
