"""What a restored FreeScout's own pages prove, from what ``host_side.site_pages`` reported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from raxx_bcp.drills.engine.drill import CheckResult
from raxx_bcp.evidence.row import CheckStatus

LINK: Final = "attachment link"
LOGIN: Final = "login page with its database"
CHECKS: Final = (LINK, LOGIN)
_OK: Final = 200
_FOUND: Final = 302


def judge(told: Mapping[str, Any]) -> list[CheckResult]:
    """Every check of ``CHECKS``."""
    return [_link(told["links"]), _login(told["login"])]


def _link(links: list[Mapping[str, Any]] | None) -> CheckResult:
    """Row, file and APP_KEY together: the best single check, and it needs no login."""
    wanted = "200 and the file's size, for each kind of token"
    if links is None:
        return _checked(LINK, wanted, "", ["the database did not answer"])
    if not links:
        return CheckResult(LINK, wanted, "none", CheckStatus.NOT_RUN, "there is no attachment to ask for")
    actual = "; ".join(f"{one['token']}: {one['status']}, {one['size']} of {one['expected']} bytes" for one in links)
    wrong = [one["token"] for one in links if (one["status"], one["size"]) != (_OK, one["expected"])]
    return _checked(LINK, wanted, actual, [f"not given out: a link with {' and '.join(wrong)}" if wrong else ""])


def _login(told: Mapping[str, Any]) -> CheckResult:
    """The page alone is 200 with its database down; a login must look the address up, and leads back when it fails."""
    wanted = "200, and 302 back to it for an unknown address"
    actual = f"{told['page']}, and {told['status']}{' to ' + told['path'] if told['path'] else ''}"
    back = told["status"] == _FOUND and told["path"].rstrip("/").endswith("/login")
    if told["page"] != _OK:
        return _checked(LOGIN, wanted, actual, [f"the login page answers {told['page'] or 'nothing'}"])
    return _checked(LOGIN, wanted, actual, ["" if back else "the page is there, and its database is not behind it"])


def _checked(name: str, expected: str, actual: str, reasons: Iterable[str]) -> CheckResult:
    reason = "; ".join(one for one in reasons if one)
    return CheckResult(name, expected, actual, CheckStatus.FAIL if reason else CheckStatus.PASS, reason)
