"""What a restored FreeScout must be like, and where that is known from: an independent truth, which the row names.

A manifest that was written with the dump is of the very same moment, so everything must be equal. The last passing
drill is usually of an earlier one: then a table may have grown, and lost no more than the policy's tolerance. Where
there is neither, a help desk must at least not be empty.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from raxx_bcp.drills.freescout.facts import Fingerprint

ROWS: Final = "rows"
CONTENT: Final = "content"
EMOJI: Final = "emoji"
SOME: Final = "some"
NONE: Final = "none"
_COUNT: Final = re.compile(r"\b([a-z_]+)=(\d+)\b")
_FINGERPRINT: Final = re.compile(r"(\d+) threads up to id (\d+), crc32 sum (\d+)")


class Moment(enum.Enum):
    """How the moment of the expectation relates to that of the backup."""

    SAME = "same"
    EARLIER = "earlier"
    UNKNOWN = "unknown"
    """Nothing to compare with, or something later than the backup."""


@dataclass(frozen=True)
class Expectation:
    """``origin`` is named in every check that uses it. ``rows`` are by table."""

    origin: str
    moment: Moment
    rows: Mapping[str, int] = field(default_factory=dict)
    fingerprint: Fingerprint | None = None
    emoji: bool | None = None
    """Did some threads hold emoji? None: not known."""
    settled: bool = True
    """At the same moment, are the tables equal too that change by themselves?"""


NOTHING_KNOWN: Final = Expectation("nothing to compare with", Moment.UNKNOWN)


@dataclass(frozen=True)
class LastDrill:
    """The last passing drill of FreeScout, from its evidence row: ``checks`` are names with what was found."""

    drill_id: str
    backup_id: str
    taken_utc: datetime
    checks: tuple[tuple[str, str], ...]


def of_last_drill(last: LastDrill | None, backup_id: str, taken_utc: datetime) -> Expectation:
    """What the last passing drill found, for a backup that was taken at ``taken_utc``."""
    if last is None:
        return NOTHING_KNOWN
    found = dict(last.checks)
    origin = f"drill {last.drill_id}"
    if last.backup_id != backup_id and last.taken_utc >= taken_utc:
        return Expectation(f"nothing as old to compare with ({origin} restored a later backup)", Moment.UNKNOWN)
    return Expectation(
        origin=origin,
        moment=Moment.SAME if last.backup_id == backup_id else Moment.EARLIER,
        rows=parse_rows(found.get(ROWS, "")),
        fingerprint=parse_fingerprint(found.get(CONTENT, "")),
        emoji=True if found.get(EMOJI) == SOME else None,
        settled=False,
    )


def written_rows(rows: Mapping[str, int]) -> str:
    """As a check holds them: ``threads=1500 users=5``."""
    return " ".join(f"{table}={count}" for table, count in sorted(rows.items()))


def parse_rows(text: str) -> dict[str, int]:
    """What ``written_rows`` wrote."""
    return {table: int(count) for table, count in _COUNT.findall(text)}


def parse_fingerprint(text: str) -> Fingerprint | None:
    """What ``str(Fingerprint)`` wrote."""
    found = _FINGERPRINT.search(text)
    return Fingerprint(*map(int, found.groups())) if found else None


def listed(names: Iterable[str], most: int = 5) -> str:
    """The first of ``names``, and how many more there are."""
    found = list(names)
    more = len(found) - most
    return ", ".join(found[:most]) + (f" and {more} more" if more > 0 else "")
