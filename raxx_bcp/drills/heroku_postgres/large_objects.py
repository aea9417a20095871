"""PostgreSQL's large objects: how many, how large, and how they start.

They are in no table of the application, so no count of rows shows that they are missing. A dump keeps their numbers
(oids).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from raxx_bcp.clients.postgres import DamagedError, Reader
from raxx_bcp.drills.engine.drill import CheckResult
from raxx_bcp.drills.heroku_postgres.allowance import MOST_RATIO, Allowance, whole
from raxx_bcp.drills.heroku_postgres.messages import checked

LARGE_OBJECTS: Final = "large objects"
SAMPLED: Final = 1000
"""About this many of them are looked into."""
HASHED_BYTES: Final = 65_536
"""Of each of those this many bytes at its start are hashed."""
_FOR_READING: Final = 0x40000
"""``INV_READ`` (PostgreSQL, libpq/libpq-fs.h)."""
_FROM_THE_END: Final = 2
"""``SEEK_END``."""
_COUNT: Final = "SELECT count(*), coalesce(max(oid), 0)::bigint FROM pg_largeobject_metadata"


@dataclass(frozen=True)
class LargeObjects:
    """The result. ``sample``: oid to size in bytes and hash, which nothing shows."""

    number: int = 0
    highest: int = 0
    """Their highest oid: new ones get higher ones."""
    one_in: int = 1
    """A power of two: how many one of the sample stands for."""
    sample: Mapping[int, tuple[int, bytes]] = field(repr=False, default_factory=dict)
    damage: str = ""


def read_large_objects(reader: Reader, like: LargeObjects | None = None) -> LargeObjects:
    """``like`` are production's: the same ones are looked into. Those of other roles are only counted.

    Damage is a fact, after which ``reader``'s transaction is over. Raises what else ``Reader.rows`` raises.
    """
    from psycopg import sql

    try:
        number, highest = reader.rows(_COUNT, "count the large objects")[0]
        one_in = like.one_in if like else _one_in(number)
        look = sql.SQL(
            "SELECT oid::bigint, lo_lseek64(opened, 0, {}), sha256(lo_get(oid, 0, {})), lo_close(opened) FROM"
            " (SELECT oid, lo_open(oid, {}) AS opened FROM pg_largeobject_metadata"
            " WHERE pg_has_role(lomowner, 'USAGE') AND hashint8extended(oid::bigint, 0) & {} = 0 OFFSET 0) AS each"
        ).format(_FROM_THE_END, HASHED_BYTES, _FOR_READING, one_in - 1)
        found = reader.rows(look, "read the large objects") if number else []
    except DamagedError as error:
        return LargeObjects(damage=error.what)
    return LargeObjects(number, highest, one_in, {oid: (size, bytes(hashed)) for oid, size, hashed, _closed in found})


def _one_in(number: int) -> int:
    one_in = 1
    while number > SAMPLED * one_in:
        one_in *= 2
    return one_in


def compare_large_objects(expected: LargeObjects, actual: LargeObjects, allowance: Allowance) -> CheckResult:
    """Those with numbers above all restored ones count as made since, up to a quarter of what was restored."""
    if actual.damage:
        return checked(LARGE_OBJECTS, f"{expected.number:,}", "unknown", [actual.damage])
    there, here = expected.sample, actual.sample
    shared = there.keys() & here.keys()
    different = sum(there[oid] != here[oid] for oid in shared)
    absent = there.keys() - here.keys()
    since = min(sum(oid > actual.highest for oid in absent), whole(len(here) * MOST_RATIO))
    missing, extra = len(absent) - since, len(here.keys() - there.keys())
    allowed = allowance.rows(LARGE_OBJECTS, len(shared) + len(absent))
    size = sum(size for size, _hash in there.values()), sum(size for size, _hash in here.values())
    looked = "" if expected.one_in == 1 else f", one of {expected.one_in:,} looked into"
    reasons = [
        f"{missing:,} are missing" if missing > allowed else "",
        f"{different:,} of {len(shared):,} differ" if different > allowed else "",
        f"{extra:,} are not production's" if extra > allowed else "",
    ]
    excused = since + sum(one for one in (missing, different, extra) if one <= allowed)
    return checked(
        LARGE_OBJECTS,
        f"{expected.number:,} with {size[0]:,} bytes{looked}",
        f"{actual.number:,} with {size[1]:,} bytes; excused: {excused:,} by what an ordinary day changes",
        reasons,
    )
