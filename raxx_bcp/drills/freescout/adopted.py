"""Sets out of another program's backups, as ``[freescout.adopted]`` of the policy finds them.

Such a set has no manifest, and often no ``.env`` or attachments. A part that the layout does not contain is unproved:
no check of it passes, and none fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from raxx_bcp.clients.s3 import Bucket, StoredObject
from raxx_bcp.drills.freescout.decrypting import decrypting
from raxx_bcp.drills.freescout.dump_set import DATABASE, DumpSet, Listed, Member, Packing, find_sets
from raxx_bcp.drills.freescout.foreign_archive import look_inside
from raxx_bcp.errors import UsageError
from raxx_bcp.freescout.patterns import EVERYTHING, Form, Pattern
from raxx_bcp.policy import FreeScout
from raxx_bcp.policy_adopted import Adopted

_NEAR: Final = timedelta(days=1)
_WHOLE_DAY_ANYWHERE: Final = timedelta(hours=50)
"""From where a day starts first (UTC+14) to where it ends last (UTC-12)."""
_AHEAD: Final = timedelta(hours=14)


@dataclass(frozen=True)
class Match:
    """One object that a pattern fits, and its day."""

    stored: StoredObject
    day: str
    time: str


def stored_sets(bucket: Bucket, policy: FreeScout) -> Listed:
    """Every set that a drill may restore: those of freescout-backup, or those of the adopted layout.

    Raises what ``Bucket.objects`` raises, and ``UsageError`` where a pattern does not say which object is meant.
    """
    if not policy.adopted.configured:
        return find_sets(bucket, policy.dump_prefix)
    return Listed(tuple(_sets(bucket, policy.adopted, policy.dump_parts)), {})


def matches(bucket: Bucket, pattern: Pattern) -> list[Match]:
    """What ``pattern`` fits, the oldest first. Raises what ``Bucket.objects`` raises."""
    found = []
    for stored in bucket.objects(pattern.start):
        told = pattern.match(stored.key)
        if told and stored.size_bytes:
            day = told.day or f"{stored.modified_utc.astimezone(UTC):%Y-%m-%d}"
            found.append(Match(stored, day, told.time))
    return sorted(found, key=lambda one: (one.day, one.time, one.stored.modified_utc))


def one_a_day(pattern: Pattern, found: Sequence[Match]) -> dict[str, Match]:
    """The last of each day. Raises ``UsageError`` where names with a day alone fit two objects of the same day."""
    days: dict[str, Match] = {}
    for one in found:
        before = days.get(one.day)
        if before and pattern.dated and not pattern.timed:
            raise UsageError(
                f"The pattern {pattern.text} fits two objects of {one.day}: {before.stored.key} and {one.stored.key}.",
                "Make it narrower; where several dumps a day are stored, write the time too: {date} and {time}.",
            )
        days[one.day] = one
    return days


def looked_into(bucket: Bucket, chosen: DumpSet, parts: Sequence[str], private_key: bytes | None) -> DumpSet:
    """A set whose archive of everything was read once: its members are what the archive really holds.

    Raises what ``look_inside`` and ``decrypting`` raise. Any other set is returned as it is.
    """
    archive = chosen.members.get(DATABASE)
    if archive is None or archive.packing is not Packing.EVERYTHING:
        return chosen
    inside = look_inside(opened(bucket, archive, private_key), archive.name)
    members = {DATABASE: replace(archive, inside=inside.dump)}
    for part in inside.parts:
        packing = Packing.EVERYTHING if part == "env" else Packing.ARCHIVE
        members[part] = replace(archive, part=part, packing=packing, inside=inside.env if part == "env" else "")
    members |= {part: one for part, one in chosen.members.items() if part != DATABASE}
    return replace(chosen, members=members, unproved=frozenset(parts) - members.keys())


def opened(bucket: Bucket, member: Member, private_key: bytes | None) -> Iterator[bytes]:
    """What is stored, decrypted."""
    content = bucket.stream(member.key)
    return decrypting(content, member.name, private_key) if member.encrypted else content


def _sets(bucket: Bucket, adopted: Adopted, parts: Sequence[str]) -> Iterator[DumpSet]:
    """The newest first."""
    main, *others = adopted.patterns
    dumps = one_a_day(main, matches(bucket, main))
    found = {pattern.part: _by_day(pattern, matches(bucket, pattern), dumps) for pattern in others}
    mapped = {pattern.part for pattern in others}
    for day, dump in sorted(dumps.items(), reverse=True):
        members = {DATABASE: _member(main, dump)}
        members |= {
            pattern.part: _member(pattern, one)
            for pattern in others
            if (one := found[pattern.part].get(day)) is not None
        }
        taken, known_to = _taken(main, dump)
        unproved = frozenset(parts) - mapped if main.part != EVERYTHING else frozenset()
        yield DumpSet(day, members, label=dump.stored.key, taken=taken, known_to=known_to, unproved=unproved)


def _by_day(pattern: Pattern, found: Sequence[Match], dumps: Mapping[str, Match]) -> dict[str, Match]:
    """A single object without a day in its name, such as an ``.env`` that was stored once, belongs to every set."""
    if len(found) == 1 and not pattern.dated:
        return dict.fromkeys(dumps, found[0])
    return one_a_day(pattern, found)


def _member(pattern: Pattern, one: Match) -> Member:
    packing = Packing.ARCHIVE if pattern.form is Form.ARCHIVE else Packing.AS_IS
    if pattern.part == EVERYTHING:
        packing = Packing.EVERYTHING
    part = DATABASE if pattern.part == EVERYTHING else pattern.part
    key = one.stored.key
    return Member(
        part, key.rpartition("/")[2], key, one.stored.size_bytes, one.stored.modified_utc, packing, pattern.encrypted
    )


def _taken(pattern: Pattern, dump: Match) -> tuple[datetime, timedelta]:
    """When it was taken, and how much later than that it may have been.

    A name gives a day, in an unknown time zone. S3's time is the moment where it is of about that day. Where the object
    was copied later, only the day is known.
    """
    stored = dump.stored.modified_utc.astimezone(UTC)
    if not pattern.dated or abs(stored.date() - date.fromisoformat(dump.day)) <= _NEAR:
        return stored, timedelta()
    begins = datetime.combine(date.fromisoformat(dump.day), time(), tzinfo=UTC) - _AHEAD
    return begins, _WHOLE_DAY_ANYWHERE
