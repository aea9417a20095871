"""The words for what agrees and what does not: names and numbers, a few of them, never a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from raxx_bcp.drills.engine.drill import CheckResult
from raxx_bcp.evidence.row import CheckStatus

_NAMED: Final = 5


def objects(
    name: str, expected: Mapping[str, str], actual: Mapping[str, str], *, extra_is_fine: bool = False
) -> CheckResult:
    """Both sides have the same objects with the same definitions."""
    missing = expected.keys() - actual.keys()
    extra = set() if extra_is_fine else actual.keys() - expected.keys()
    changed = {one for one in expected.keys() & actual.keys() if expected[one] != actual[one]}
    found = len(expected.keys() & actual.keys()) if extra_is_fine else len(actual)
    reasons = [listed("missing", missing), listed("not in production", extra), listed("different", changed)]
    return checked(name, f"{len(expected):,}", f"{found:,}", reasons)


def checked(name: str, expected: str, actual: str, reasons: Iterable[str]) -> CheckResult:
    """A pass where there is no reason."""
    reason = "; ".join(one for one in reasons if one)
    return CheckResult(name, expected, actual, CheckStatus.FAIL if reason else CheckStatus.PASS, reason)


def listed(what: str, names: Iterable[str]) -> str:
    """``what: a, b``; nothing for no names."""
    found = sorted(names)
    return f"{what}: {few(found)}" if found else ""


def few(texts: list[str], between: str = ", ") -> str:
    """The first of ``texts``, and how many more there are."""
    more = len(texts) - _NAMED
    return between.join(texts[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
