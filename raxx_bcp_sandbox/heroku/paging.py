"""Lists in parts: ``Range`` asks for one, ``206`` with ``Next-Range`` says that there is more.

As in the Platform API's reference, "Ranges": ``Range: name ]my-app..; max=200``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from raxx_bcp_sandbox.heroku.errors import ApiError

LARGEST: Final = 1000
DEFAULT: Final = 200
_RANGE: Final = re.compile(
    r"\s*(?:(?P<by>id|name|updated_at)\s+)?(?:(?P<after>\]?)(?P<first>[^.;\s]*)\.\.(?P<last>[^.;\s]*))?\s*"
    r"(?:;(?P<options>.*))?"
)
_MOST: Final = re.compile(r"max\s*=\s*(\d+)")


@dataclass(frozen=True)
class Part:
    """One part of a list; ``next_range`` is "" at the end."""

    items: list[dict[str, Any]]
    content_range: str
    next_range: str


def part_of(items: Sequence[dict[str, Any]], asked: str, *, most: int = LARGEST) -> Part:
    """The part of ``items`` that the header ``asked`` asks for, of at most ``most`` items. Raises 416."""
    found = _RANGE.fullmatch(asked)
    if found is None:
        raise ApiError(416, "requested_range_not_satisfiable", "Couldn't satisfy the requested range.")
    by = found["by"] or "id"
    limit = _MOST.search(found["options"] or "")
    count = max(1, min(int(limit.group(1)) if limit else DEFAULT, most, LARGEST))
    ordered = sorted(items, key=lambda each: str(each[by]))
    wanted = [each for each in ordered if _wanted(str(each[by]), found)]
    shown, left = wanted[:count], wanted[count:]
    ends = (str(shown[0][by]), str(shown[-1][by])) if shown else ("", "")
    following = f"{by} ]{ends[1]}..{found['last'] or ''}; max={count}" if left else ""
    return Part(shown, f"{by} {ends[0]}..{ends[1]}; max={count}", following)


def _wanted(value: str, asked: re.Match[str]) -> bool:
    first, last = asked["first"] or "", asked["last"] or ""
    begun = not first or value > first or (value == first and not asked["after"])
    return begun and (not last or value <= last)
