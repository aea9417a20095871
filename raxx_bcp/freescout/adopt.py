"""Another program's backups of FreeScout, through patterns of keys: what they fit, and what is missing in it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from raxx_bcp.clients import openpgp
from raxx_bcp.clients.s3 import Bucket
from raxx_bcp.drills.freescout.adopted import Match, matches, one_a_day, stored_sets
from raxx_bcp.drills.freescout.dump_set import FILES, DumpSet
from raxx_bcp.errors import PermanentError, UsageError
from raxx_bcp.freescout.patterns import PARTS, Pattern, part_of, refuse_content
from raxx_bcp.policy import FreeScout
from raxx_bcp.policy_adopted import Adopted

_HEAD_BYTES: Final = 4096
_SECTION: Final = "[freescout.adopted]"
_NO_MANIFEST: Final = (
    "no manifest: rows and content can be compared with an earlier drill only, and not with the dump's own moment"
)


@dataclass(frozen=True)
class Matched:
    """One pattern and what it fits: ``first_day`` and ``last_day`` are ``YYYY-MM-DD``, empty where it fits nothing."""

    pattern: Pattern
    count: int
    first_day: str
    last_day: str
    newest_bytes: int
    readers: tuple[str, ...] = ()
    """Ids of the keys that can read the newest, where it is encrypted."""

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "part": self.pattern.part,
            "pattern": self.pattern.text,
            "dated_by": "name" if self.pattern.dated else "time",
            "matched": self.count,
            "first_day": self.first_day,
            "last_day": self.last_day,
            "newest_bytes": self.newest_bytes,
            "encrypted": self.pattern.encrypted,
            "readers": list(self.readers),
        }

    def line(self) -> str:
        """For people."""
        if not self.count:
            return f"  {self.pattern.part:<12} {self.pattern.text}: fits nothing"
        dated = "by name" if self.pattern.dated else "by S3's time"
        readers = ", ".join(self.readers) or "nobody known"
        sealed = f", encrypted to {readers}" if self.pattern.encrypted else ", in clear"
        return (
            f"  {self.pattern.part:<12} {self.pattern.text}: {self.count} objects, {self.first_day} to {self.last_day} "
            f"({dated}), the newest {self.newest_bytes} bytes{sealed}"
        )


@dataclass(frozen=True)
class Adoption:
    """What the patterns find, and the policy's lines for it."""

    matched: tuple[Matched, ...]
    sets: tuple[DumpSet, ...]
    missing: tuple[str, ...]
    policy_text: str

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "patterns": [one.as_dict() for one in self.matched],
            "sets": [
                {
                    "day": one.day,
                    "key": one.label,
                    "taken_utc": f"{one.taken_utc:%Y-%m-%dT%H:%M:%SZ}",
                    "size_bytes": one.size_bytes,
                    "parts": sorted(one.members),
                }
                for one in self.sets
            ],
            "missing": list(self.missing),
            "policy": self.policy_text,
        }

    def text(self, most: int = 14) -> str:
        """For people: the patterns, the newest days, what is missing, and the policy's lines."""
        days = [
            f"  {one.day}  {one.size_bytes:>12} bytes  {', '.join(sorted(one.members))}" for one in self.sets[:most]
        ]
        more = [f"  and {len(self.sets) - most} older ones"] if len(self.sets) > most else []
        lacking = [f"  missing: {one}" for one in self.missing]
        return "\n".join([*(one.line() for one in self.matched), *days, *more, *lacking, "", self.policy_text])


def adopt(bucket: Bucket, policy: FreeScout, given: Sequence[str]) -> Adoption:
    """Look through the patterns ``given`` (``PATTERN`` or ``PART=PATTERN``).

    Raises ``UsageError`` naming the pattern that means nothing, matches no dump, leaves open which object is meant, or
    is of what cannot be restored; and what ``Bucket.objects`` and ``Bucket.stream`` raise.
    """
    adopted = _adopted(given)
    tried = policy.model_copy(update={"adopted": adopted})
    matched = tuple(_matched(bucket, pattern) for pattern in adopted.patterns)
    if not matched[0].count:
        raise UsageError(
            f"The pattern {adopted.main} fits no object in bucket {bucket.name}.",
            "Look what the keys are (aws s3 ls --recursive), and at freescout.dump_bucket in bcp.toml.",
        )
    sets = stored_sets(bucket, tried).sets
    lines = [f'{part} = "{text}"' for part in PARTS if (text := getattr(adopted, part))]
    return Adoption(matched, sets, tuple(_missing(tried, sets[0])), "\n".join([_SECTION, *lines]))


def write(text: str, path: Path) -> None:
    """Put the policy's lines at the end of its file. Raises ``UsageError`` where it has some already."""
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else "version = 1\n"
        if _SECTION in before:
            raise UsageError(
                f"{path} has {_SECTION} already.", "Take its lines out first, or put the printed ones in by hand."
            )
        path.write_text(f"{before.rstrip()}\n\n{text}\n", encoding="utf-8")
    except OSError as error:
        raise PermanentError(f"{path} could not be written ({error.strerror}).", "Put the lines in by hand.") from None


def _adopted(given: Sequence[str]) -> Adopted:
    patterns: dict[str, str] = {}
    for one in given:
        part, equals, text = one.partition("=")
        if not equals or part not in PARTS:
            text = one
            with _refusals():
                part = part_of(text)
        if part in patterns:
            raise UsageError(
                f"Two patterns are of the part {part}: {patterns[part]} and {text}.",
                f"Give one for each part; PART=PATTERN says which: {', '.join(PARTS)}.",
            )
        patterns[part] = text
    with _refusals():
        return Adopted(**patterns)


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        raise UsageError(
            f"It cannot be adopted: {str(error.errors()[0]['msg']).removeprefix('Value error, ')}.", _REMEDY
        ) from None
    except ValueError as error:
        raise UsageError(f"It cannot be adopted: {error}.", _REMEDY) from None


_REMEDY: Final = "raxx-bcp freescout adopt --help has the forms; freescout-backup makes sets that can be proved whole."


def _matched(bucket: Bucket, pattern: Pattern) -> Matched:
    found = matches(bucket, pattern)
    if not found:
        return Matched(pattern, 0, "", "", 0)
    if pattern.dated:
        one_a_day(pattern, found)
    newest = found[-1]
    head = next(iter(bucket.stream(newest.stored.key, chunk_bytes=_HEAD_BYTES)), b"")
    with _refusals():
        refuse_content(newest.stored.key, head)
    readers = _readers(newest, head) if pattern.encrypted else ()
    return Matched(pattern, len(found), found[0].day, newest.day, newest.stored.size_bytes, readers)


def _readers(newest: Match, head: bytes) -> tuple[str, ...]:
    readers = openpgp.recipients(head)
    if not readers and not head.startswith(b"-----BEGIN PGP MESSAGE"):
        raise UsageError(
            f"It cannot be adopted: {newest.stored.key} is called encrypted, and begins with no message of GnuPG's to "
            "anybody's key.",
            _REMEDY,
        )
    return readers


def _missing(policy: FreeScout, newest: DumpSet) -> list[str]:
    told = [_NO_MANIFEST]
    if policy.adopted.everything:
        told.append(f"what {newest.label} holds is seen when a drill opens it: {', '.join(policy.dump_parts)} or not")
    told += [f"{FILES[part]}: no pattern, so nothing of it can be proved" for part in sorted(newest.unproved)]
    expected = () if policy.adopted.everything else policy.dump_parts
    told += [f"{name}: a pattern, and none on {newest.day}" for name in newest.missing(expected)]
    if not policy.version:
        told.append('the release: set version = "…" in [freescout] of bcp.toml, or no drill can begin')
    return told
