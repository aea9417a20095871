"""The dump sets of FreeScout in a bucket: ``<prefix>YYYY-MM-DD/`` with a database, its files, and a manifest.

A database alone is not a FreeScout: it also needs ``.env`` (which holds APP_KEY), the attachments and the modules. Any
member may be encrypted for an operator; its name then ends in ``.gpg``. A set without a manifest can be restored too,
and what it must hold is then known from elsewhere.
"""

from __future__ import annotations

import enum
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from raxx_bcp.clients.decoding import decoded, misfit
from raxx_bcp.clients.s3 import Bucket
from raxx_bcp.drills.freescout.expected import Expectation, Moment
from raxx_bcp.drills.freescout.facts import Fingerprint
from raxx_bcp.drills.freescout.wanted import NEWEST, RANDOM_OLDER
from raxx_bcp.errors import BackupWrongError, UsageError

DATABASE: Final = "database"
FILES: Final = {
    DATABASE: "database.sql.gz",
    "env": "env",
    "attachments": "attachments.tar.gz",
    "modules": "modules.tar.gz",
}
"""The name of each part of a set."""
MANIFEST: Final = "manifest.json"
ENCRYPTED: Final = ".gpg"
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_PARTS: Final = {
    **{name: part for part, name in FILES.items()},
    **{f"database.sql{packed}": DATABASE for packed in ("", ".xz", ".bz2", ".zst")},
}

Count = Annotated[int, Meta(ge=0)]
Utc = Annotated[datetime, Meta(tz=True)]


class FileFact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of the set, as it was stored."""

    size_bytes: Count
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class BaseFact(FileFact, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file of an earlier set that this one builds on."""

    day: Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d$")]
    name: str


class ThreadsFingerprint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Number of threads, and the sum of the CRC-32 of their texts (``facts.py`` has the statement)."""

    count: Count
    crc32_sum: Count


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was written when the dump was taken, in the same moment: an independent truth. Holds nothing secret."""

    kind: Literal["raxx-bcp/freescout-dump"]
    schema_version: Literal[1]
    taken_utc: Utc
    consistency: str = ""
    """How the dump and the counts came to be of one moment, in the words of the program that made the set."""
    freescout_version: str = ""
    mariadb_version: str = ""
    app_timezone: str = ""
    files: dict[str, FileFact]
    bases: dict[str, BaseFact] = {}
    """By part: what is unpacked before this set's own file, which holds only later changes."""
    rows: dict[str, Count]
    threads_fingerprint: ThreadsFingerprint
    max_thread_id: Count
    emoji_threads: Count
    migrations: Count

    @property
    def expectation(self) -> Expectation:
        """What a restore of the set must be like: equal in everything."""
        return Expectation(
            origin="the set's manifest",
            moment=Moment.SAME,
            rows={**self.rows, "migrations": self.migrations},
            fingerprint=Fingerprint(
                self.threads_fingerprint.count, self.max_thread_id, self.threads_fingerprint.crc32_sum
            ),
            emoji=self.emoji_threads > 0,
        )


class Packing(enum.Enum):
    """How a member is read, once it is decrypted."""

    AS_IS = "as it is"
    ARCHIVE = "archive"
    """Another program's archive, in which the part is somewhere below the root."""
    EVERYTHING = "everything"
    """Another program's archive of everything, of which the file ``inside`` is meant."""


@dataclass(frozen=True)
class Member:
    """One file of a set, as S3 lists it."""

    part: str
    name: str
    key: str
    size_bytes: int
    stored_utc: datetime
    packing: Packing = Packing.AS_IS
    sealed: bool = False
    """Encrypted, whatever the end of its name."""
    inside: str = ""

    @property
    def encrypted(self) -> bool:
        return self.sealed or self.name.endswith(ENCRYPTED)


@dataclass(frozen=True)
class DumpSet:
    """The files of one day. ``manifest`` is None where there is none."""

    day: str
    members: Mapping[str, Member]
    manifest: Manifest | None = None
    bases: Mapping[str, Member] = field(default_factory=dict)
    """By part: those of the manifest's bases that are there."""
    label: str = ""
    """Its name in evidence, where another program stored it; empty: one of ours."""
    taken: datetime | None = None
    known_to: timedelta = timedelta()
    """How much later than ``taken_utc`` it may have been taken."""
    unproved: frozenset[str] = frozenset()
    """Parts that the layout does not contain: nothing is known of them."""

    @property
    def taken_utc(self) -> datetime:
        """When it was taken: as the manifest says, else when its first file was stored."""
        if self.manifest is not None:
            return self.manifest.taken_utc
        if self.taken is not None:
            return self.taken
        return min(member.stored_utc for member in self.members.values())

    @property
    def size_bytes(self) -> int:
        """As stored: an archive that holds several parts counts once."""
        return sum({member.key: member.size_bytes for member in self.members.values()}.values())

    def missing(self, parts: Iterable[str]) -> list[str]:
        """Names of files without which it is incomplete: those of the database and of ``parts``, and the manifest's."""
        needed = [FILES[part] for part in (DATABASE, *parts) if part not in self.members and part not in self.unproved]
        there = {member.name for member in self.members.values()}
        told = [] if self.manifest is None else [name for name in self.manifest.files if name not in there]
        bases = {} if self.manifest is None else self.manifest.bases
        told += [f"{base.day}/{base.name}" for part, base in bases.items() if part not in self.bases]
        return list(dict.fromkeys(needed + [name for name in told if name.removesuffix(ENCRYPTED) not in needed]))


@dataclass(frozen=True)
class Listed:
    """The sets of a prefix, newest first, and which of them have a manifest."""

    sets: tuple[DumpSet, ...]
    manifests: Mapping[str, str]
    """Key of the manifest by day."""

    def with_manifest(self, bucket: Bucket, chosen: DumpSet) -> DumpSet:
        """Read its manifest, where it has one. Raises ``BackupWrongError`` for one that cannot be read."""
        key = self.manifests.get(chosen.day)
        if key is None:
            return chosen
        manifest = read_manifest(bucket.get(key), key)
        days = {one.day: one for one in self.sets}
        bases = {
            part: member
            for part, base in manifest.bases.items()
            if base.day in days and (member := days[base.day].members.get(part)) and member.name == base.name
        }
        return DumpSet(chosen.day, chosen.members, manifest, bases)


def find_sets(bucket: Bucket, prefix: str) -> Listed:
    """Every set under ``prefix``. Raises what ``Bucket.objects`` raises."""
    sets: dict[str, dict[str, Member]] = {}
    manifests = {}
    for stored in bucket.objects(prefix):
        day, slash, name = stored.key.removeprefix(prefix).partition("/")
        if not slash or not _DAY.fullmatch(day):
            continue
        part = _PARTS.get(name.removesuffix(ENCRYPTED))
        if name == MANIFEST:
            manifests[day] = stored.key
        elif part is not None:
            member = Member(part, name, stored.key, stored.size_bytes, stored.modified_utc)
            sets.setdefault(day, {})[part] = member
    found = [DumpSet(day, members) for day, members in sorted(sets.items(), reverse=True)]
    return Listed(tuple(found), manifests)


def choose(sets: Sequence[DumpSet], wanted: str) -> tuple[DumpSet, str]:
    """The set that is ``wanted`` (``newest``, ``random-older`` or its day), and why. ``sets`` are newest first.

    The newest is taken as it is, incomplete or not: an older one in its place would hide that the backup fails.
    """
    if not sets:
        raise BackupWrongError(
            "There is no dump set of FreeScout: nothing could be restored.",
            "Look at what writes them, and at dump_prefix and adopted of [freescout] in bcp.toml; make one now.",
        )
    if wanted == NEWEST:
        return sets[0], f"the newest of {len(sets)} dump sets"
    if wanted == RANDOM_OLDER:
        if len(sets) < 2:
            raise UsageError("There is only one dump set, so no older one to choose.", "Ask for the newest.")
        return random.choice(sets[1:]), f"a random one of {len(sets) - 1} older dump sets"  # noqa: S311 - no secret
    named = [one for one in sets if one.day == wanted]
    if named:
        return named[0], "named by the operator"
    known = ", ".join(one.day for one in sets[:10])
    raise UsageError(f"There is no dump set of {wanted}.", f"Choose newest, {RANDOM_OLDER}, or one of: {known}.")


def read_manifest(text: bytes, key: str) -> Manifest:
    """Strictly: an unknown field or an impossible value is refused. Raises ``BackupWrongError`` naming the field."""
    found = decoded(text, Manifest)
    if found is None:
        place = re.search(r"`?(\$[\w.\[\]]*)`?", misfit(text, Manifest))
        raise BackupWrongError(
            f"The manifest {key} cannot be read{f' (at {place[1]})' if place else ''}.",
            "It was not written by this kind of backup, or is damaged: look at what writes the dump sets.",
        )
    return found
