"""What a restored FreeScout's own pages prove, from what ``host_side.site_pages`` reported."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from raxx_bcp.drills.engine.drill import CheckResult
from raxx_bcp.evidence.row import CheckStatus
from raxx_bcp.policy_help_desk import HelpDeskHost

LINK: Final = "attachment link"
LOGIN: Final = "login page with its database"
CHECKS: Final = (LINK, LOGIN)
UNVERIFIED: Final = " (its certificate was not verified)"
_OK: Final = 200
_FOUND: Final = 302
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_ANOTHER_SITE: Final = frozenset({404, 421})
"""No such page, and "this server does not answer for that name" (RFC 9110)."""
_NO_TLS: Final = 35
"""curl's exit code for a handshake that failed."""
_ORIGIN: Final = re.compile(r"https?://[\w.-]{1,253}(:\d{1,5})?")
_SET: Final = "set freescout.site_scheme, site_host and site_port in bcp.toml"


def judge(told: Mapping[str, Any], policy: HelpDeskHost, own_url: str = "") -> list[CheckResult]:
    """Every check of ``CHECKS``. ``own_url`` is what the site's ``.env`` calls it."""
    why = not_reached(told["login"], policy, own_url)
    if why:
        return [CheckResult(name, f"asked as {policy.site_url}", "", CheckStatus.NOT_RUN, why) for name in CHECKS]
    return [_link(told["links"]), _login(told["login"], policy)]


def not_reached(login: Mapping[str, Any], policy: HelpDeskHost, own_url: str) -> str:
    """Why the answer is not from the site that was meant. That is not the backup's fault. Empty where it is from it."""
    asked, page, origin = policy.site_url, login["page"], str(login["origin"])
    if page in _REDIRECTS and origin and origin != asked:
        leads_to = origin if _ORIGIN.fullmatch(origin) else "another site"
        return f"{asked} leads to {leads_to}, which was not followed: {_SET}"
    if login["plain"]:
        return f"what listens on port {policy.port} speaks HTTPS: {_SET}"
    if login["ended"] == _NO_TLS:
        return f"what listens on port {policy.port} speaks no HTTPS: {_SET}"
    if page in _ANOTHER_SITE and own_url and own_url != f"{policy.site_scheme}://{policy.site_host}":
        return f"{asked} is another site (it answers {page}), and the help desk calls itself {own_url}: {_SET}"
    return ""


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


def _login(told: Mapping[str, Any], policy: HelpDeskHost) -> CheckResult:
    """The page alone is 200 with its database down. A failed login must look the address up, and redirects back."""
    wanted = "200, and 302 back to it for an unknown address"
    actual = f"{told['page']}, and {told['status']}{' to ' + told['path'] if told['path'] else ''}"
    actual += UNVERIFIED if policy.site_scheme == "https" else ""
    back = told["status"] == _FOUND and told["path"].rstrip("/").endswith("/login")
    if told["page"] != _OK:
        return _checked(LOGIN, wanted, actual, [f"the login page answers {told['page'] or 'nothing'}"])
    return _checked(LOGIN, wanted, actual, ["" if back else "the page is there, and its database is not behind it"])


def _checked(name: str, expected: str, actual: str, reasons: Iterable[str]) -> CheckResult:
    reason = "; ".join(one for one in reasons if one)
    return CheckResult(name, expected, actual, CheckStatus.FAIL if reason else CheckStatus.PASS, reason)
