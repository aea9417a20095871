"""Which of FreeScout's dump sets may go: a pure plan over what S3 lists and what the manifests say.

What stays: the newest good sets (one a day), the newest good one of each of the last weeks, what any of these builds on
(a manifest's ``bases``), everything that is not older than all of the daily ones, and whatever is not ours. Good is a
set whose manifest is of our kind and whose files are there, in the size that the manifest says.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from raxx_bcp.clients.s3 import Bucket, StoredObject
from raxx_bcp.clients.s3_dump_removal import OURS
from raxx_bcp.drills.freescout.dump_set import DATABASE, MANIFEST, read_manifest
from raxx_bcp.errors import BackupWrongError


class SetState(enum.StrEnum):
    """What a set is, as far as it can be seen without reading its files."""

    GOOD = "good"
    NOT_WHOLE = "not as its manifest says"
    NO_MANIFEST = "no manifest"
    STRANGE = "its manifest is none of ours"


@dataclass(frozen=True)
class StoredSet:
    """One day's set. ``files`` are what carries a name of ours, ``foreign`` what else lies in its folder."""

    day: str
    state: SetState
    files: tuple[StoredObject, ...]
    base_days: frozenset[str] = frozenset()
    """Days of the sets that this one builds on."""
    foreign: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        return sum(one.size_bytes for one in self.files)

    def as_dict(self) -> dict[str, Any]:
        """For tables and ``--json``."""
        return {
            "day": self.day,
            "state": self.state.value,
            "files": len(self.files),
            "size_bytes": self.size_bytes,
            "foreign": list(self.foreign),
        }


@dataclass(frozen=True)
class Kept:
    """A set that stays, and why."""

    stored: StoredSet
    because: str


@dataclass(frozen=True)
class Plan:
    """What stays and what goes, newest first. ``why_not`` says why nothing may go at all."""

    keep: tuple[Kept, ...]
    delete: tuple[StoredSet, ...]
    why_not: str = ""

    def lines(self) -> list[str]:
        """The plan for people, to be read before it is carried out."""
        if self.why_not:
            return [f"nothing is pruned: {self.why_not}"]
        stays = [f"stays: {one.stored.day} ({one.because})" for one in self.keep]
        goes = [
            f"goes:  {one.day} ({one.state}, {len(one.files)} files, {one.size_bytes} bytes)" for one in self.delete
        ]
        left = [f"not ours, stays: {key}" for one in self.delete for key in one.foreign]
        return [*stays, *goes, *left, f"{len(self.keep)} sets stay, {len(self.delete)} go"]


_NO_SET: Final = "there is no dump set"


def look(bucket: Bucket, prefix: str, parts: Iterable[str]) -> list[StoredSet]:
    """Every set under ``prefix``, newest first, from one listing and one reading of each manifest.

    Raises what ``Bucket.objects`` and ``Bucket.get`` raise: what cannot be seen whole is not judged.
    """
    files: dict[str, list[StoredObject]] = defaultdict(list)
    others: dict[str, list[str]] = defaultdict(list)
    for stored in bucket.objects(prefix):
        name = stored.key.removeprefix(prefix)
        ours = OURS.fullmatch(name)
        if ours and _is_a_day(ours[1]):
            files[ours[1]].append(stored)
        else:
            others[name.partition("/")[0]].append(stored.key)
    sizes = {one.key.removeprefix(prefix): one.size_bytes for day in files.values() for one in day}
    found = []
    for day in sorted(files, reverse=True):
        key = f"{prefix}{day}/{MANIFEST}"
        state, bases = (
            _judged(bucket.get(key), key, day, sizes, tuple(parts))
            if f"{day}/{MANIFEST}" in sizes
            else (SetState.NO_MANIFEST, frozenset[str]())
        )
        found.append(StoredSet(day, state, tuple(files[day]), bases, tuple(others[day])))
    return found


def _is_a_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _judged(
    text: bytes, key: str, day: str, sizes: Mapping[str, int], parts: Sequence[str]
) -> tuple[SetState, frozenset[str]]:
    """The state of a set with a manifest, and the days that it builds on. ``sizes`` are by day and name."""
    try:
        manifest = read_manifest(text, key)
    except BackupWrongError:
        return SetState.STRANGE, frozenset()
    begins = {DATABASE: "database.sql", "env": "env", "attachments": "attachments.", "modules": "modules."}
    whole = (
        all(any(name.startswith(begins[part]) for name in manifest.files) for part in (DATABASE, *parts))
        and all(sizes.get(f"{day}/{name}") == fact.size_bytes for name, fact in manifest.files.items())
        and all(sizes.get(f"{base.day}/{base.name}") == base.size_bytes for base in manifest.bases.values())
    )
    return SetState.GOOD if whole else SetState.NOT_WHOLE, frozenset(base.day for base in manifest.bases.values())


def plan(sets: Iterable[StoredSet], *, daily: int, weekly: int, today: str, needed_day: str = "") -> Plan:
    """Decide. ``today`` (UTC) and ``needed_day`` are ``YYYY-MM-DD``; what is dated later than today is left out.

    Nothing goes unless the newest set is good, and not older than ``needed_day`` (empty: any age will do). Ours, and so
    allowed to go, is a set with a manifest of our kind, and one without any manifest: a night that did not finish, or
    what an interrupted pruning left.
    """
    known = sorted((one for one in sets if one.day <= today), key=lambda one: one.day, reverse=True)
    good = [one for one in known if one.state is SetState.GOOD]
    if not known:
        return Plan((), (), _NO_SET)
    why_not = ""
    if known[0].state is not SetState.GOOD:
        why_not = f"the newest set, of {known[0].day}, is not good ({known[0].state})"
    elif known[0].day < needed_day:
        why_not = f"the newest set is of {known[0].day}, and that of {needed_day} is due"
    if why_not:
        return Plan(tuple(Kept(one, "nothing goes") for one in known), (), why_not)
    kept = _reasons(good, daily, weekly)
    oldest_daily = min(day for day, because in kept.items() if because.startswith("daily"))
    by_day = {one.day: one for one in known}
    for one in known:
        if one.state is SetState.STRANGE:
            kept.setdefault(one.day, f"left alone: {one.state}")
        elif one.day >= oldest_daily or len(good) < daily:
            kept.setdefault(one.day, f"{one.state}, not older than the daily ones")
    _add_bases(kept, by_day)  # last: of whatever stays, also of a set that is not whole
    return Plan(
        tuple(Kept(one, kept[one.day]) for one in known if one.day in kept),
        tuple(one for one in known if one.day not in kept),
    )


def _reasons(good: Sequence[StoredSet], daily: int, weekly: int) -> dict[str, str]:
    """The good sets that stay, by day. A week is ISO 8601's, and its newest good set stands for it."""
    kept = {one.day: "daily" for one in good[:daily]}
    weeks: dict[tuple[int, int], str] = {}
    for one in good:
        year, week, _ = date.fromisoformat(one.day).isocalendar()
        weeks.setdefault((year, week), one.day)
    for (year, week), day in sorted(weeks.items(), reverse=True)[:weekly]:
        kept[day] = f"{kept[day]}, weekly" if day in kept else f"weekly: {year}-W{week:02}"
    return kept


def _add_bases(kept: dict[str, str], by_day: Mapping[str, StoredSet]) -> None:
    """What a set that stays builds on stays, and what that builds on."""
    waiting = list(kept)
    while waiting:
        day = waiting.pop()
        for base in by_day[day].base_days if day in by_day else ():
            if base in by_day and base not in kept:
                kept[base] = f"the set of {day} builds on it"
                waiting.append(base)
