"""What can be said of a dump set before any SQL is trusted: checksums, compression, last line, dialect.

Members flow from S3 to the host, through gpg where they are encrypted: never whole in memory, never in clear on the
worker's disk. Their checksums are taken on the way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from raxx_bcp.clients.s3 import Bucket
from raxx_bcp.drills.engine.drill import CheckResult
from raxx_bcp.drills.freescout.decrypting import decrypting
from raxx_bcp.drills.freescout.dump_set import FILES, DumpSet, FileFact, Member, Packing
from raxx_bcp.drills.freescout.expected import listed
from raxx_bcp.drills.freescout.foreign_archive import one_file, rerooted
from raxx_bcp.drills.freescout.host_side.unpacking import NO_ZSTD
from raxx_bcp.evidence.row import CheckStatus

COMPLETE: Final = "set complete"
CHECKSUMS: Final = "checksums"
COMPRESSION: Final = "compression"
TRAILER: Final = "dump trailer"
DIALECT: Final = "dump dialect"
RESTORED: Final = "restore"
DUMP_ROWS: Final = "rows of the dump"
CHECKS: Final = (COMPLETE, CHECKSUMS, COMPRESSION, TRAILER, DIALECT, RESTORED, DUMP_ROWS)
_ERRORS: Final = {
    1049: "there is no such database",
    1062: "a key is there twice",
    1064: "it is not SQL",
    1153: "a row is larger than the server takes",
    1193: "MySQL wrote it, with replication's GTID_PURGED; is freescout.database_server right?",
    1273: "another server wrote it, with a collation that this one does not know; is freescout.database_server right?",
    1449: "it names a DEFINER of another server",
    2000: "the client program of its database is not there",
    2002: "the database does not run",
    2013: "the database ended the connection",
}
_NO_SUCH_COLLATION: Final = 1273
_NEWER_MARIADB: Final = "uca1400"
"""In the names of the collations that came with MariaDB 10.10, and that are its default since 11.5."""
_GTID: Final = "GTID_PURGED"
_THE_INSTANCES_OWN: Final = frozenset(
    {3, 28, 1021, 1026, 1028, 1037, 1040, 1041, 1053, 1114, 1135, 1205, 1213, 2000, 2002, 2003, 2006, 2013}
)
"""Errors of MariaDB's server and client (its list of error codes) about the server, and not about the dump.

No space, no memory, too many connections, a lock, shutting down, away.
"""


class Stored:
    """One member on its way from S3. ``size_bytes`` and ``sha256`` are of what has gone through."""

    def __init__(self, bucket: Bucket, member: Member) -> None:
        self.member = member
        self.size_bytes = 0
        self._bucket = bucket
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def plaintext(self, private_key: bytes | None) -> Iterator[bytes]:
        """What is in it, piece by piece. Raises what ``Bucket.stream`` and ``decrypting`` raise."""
        member, content = self.member, self._stored()
        if member.encrypted:
            content = decrypting(content, member.name, private_key)
        if member.packing is Packing.EVERYTHING:
            return one_file(content, member.name, member.inside)
        return rerooted(content, member.name, member.part) if member.packing is Packing.ARCHIVE else content

    def _stored(self) -> Iterator[bytes]:
        for chunk in self._bucket.stream(self.member.key):
            self._digest.update(chunk)
            self.size_bytes += len(chunk)
            yield chunk


def complete(dumped: DumpSet, parts: Iterable[str]) -> CheckResult:
    """Is everything there that a FreeScout needs?"""
    missing = dumped.missing(parts)
    there = ", ".join(sorted({member.name for member in dumped.members.values()}))
    wanted = f"database, {', '.join(parts)}"
    if dumped.unproved and not missing:
        names = listed(sorted(FILES[part] for part in dumped.unproved))
        why = f"the adopted layout has no place for {names}: whether they are backed up is not known"
        return CheckResult(COMPLETE, wanted, there, CheckStatus.NOT_RUN, why)
    return _checked(COMPLETE, wanted, there, [f"it is incomplete: no {listed(missing)}" if missing else ""])


def checksums(dumped: DumpSet, streamed: Iterable[Stored]) -> CheckResult:
    """What arrived against the manifest; without one, against the sizes that S3 lists."""
    arrived = list(streamed)
    if dumped.manifest is None:
        short = [one.member.name for one in arrived if one.size_bytes != one.member.size_bytes]
        reason = f"other sizes than S3 lists: {listed(short)}" if short else ""
        wanted = f"{len(arrived)} files of the size that S3 lists (no manifest, so no checksum)"
        return _checked(CHECKSUMS, wanted, f"{len(arrived) - len(short)} files", [reason])
    told: dict[str, FileFact] = {
        member.key: dumped.manifest.files[member.name]
        for member in dumped.members.values()
        if member.name in dumped.manifest.files
    }
    told |= {member.key: dumped.manifest.bases[part] for part, member in dumped.bases.items()}
    strange = [one.member.name for one in arrived if one.member.key not in told]
    wrong = [one.member.name for one in arrived if _differs(one, told)]
    reasons = [
        f"another sha256 or size than the manifest's: {listed(wrong)}" if wrong else "",
        f"not in the manifest: {listed(strange)}" if strange else "",
    ]
    good = len(arrived) - len(wrong) - len(strange)
    return _checked(CHECKSUMS, f"{len(arrived)} files (the set's manifest)", f"{good} files", reasons)


def _differs(one: Stored, told: Mapping[str, FileFact]) -> bool:
    fact = told.get(one.member.key)
    return fact is not None and (fact.size_bytes, fact.sha256) != (one.size_bytes, one.sha256)


def judge(
    report: Mapping[str, Any], told_rows: Mapping[str, int] | None = None, *, server: str = "mariadb"
) -> list[CheckResult]:
    """The checks of what the loader reported, without the rows. ``told_rows`` are the manifest's, if there is one.

    ``server`` (``mariadb``, ``mysql``) is what it was restored into.
    """
    packed, error, why = report["packed"], report["error"], unjudged(report)
    if why and (report["refused"] or not report["bytes"]):
        return [
            CheckResult(name, "", "", CheckStatus.NOT_RUN, why) for name in (COMPRESSION, TRAILER, DIALECT, RESTORED)
        ]
    form = report["form"] or "no form"
    sizes = f"{form}, {packed}, {report['bytes']} bytes of SQL"
    return [
        _checked(COMPRESSION, "whole to its end", sizes, ["" if packed == "whole" else f"the file is {packed}"]),
        _trailer(report, told_rows),
        _dialect(report["foreign"], report["databases"], server, failed=error is not None),
        _restored(error, why),
    ]


def _trailer(report: Mapping[str, Any], told_rows: Mapping[str, int] | None) -> CheckResult:
    """The last line shows that the dump is complete.

    One without any comment (``--skip-comments``) has none: its rows must then be the manifest's, table by table.
    """
    expected = "'-- Dump completed' as the last line"
    if report["trailer"]:
        return _checked(TRAILER, expected, "there", [])
    if report["commented"]:
        return _checked(TRAILER, expected, "missing", ["the last line is not '-- Dump completed'"])
    if told_rows is None:
        reason = "it has no comments, so no last line that vouches for it, and no manifest that does"
        return _checked(TRAILER, expected, "missing", [reason])
    wanted = {table: count for table, count in told_rows.items() if count}
    wrong = [table for table, count in sorted(wanted.items()) if report["rows"].get(table, 0) != count]
    if wrong:
        reason = f"it has no comments, so no last line, and not the manifest's rows: {listed(wrong)}"
        return _checked(TRAILER, expected, "missing", [reason])
    told = f"not needed: dumped without comments, and the rows of all {len(wanted)} tables are the manifest's"
    return _checked(TRAILER, expected, told, [])


def _dialect(foreign: list[str], databases: list[str], server: str, *, failed: bool) -> CheckResult:
    """A newer MariaDB knows MySQL's collations, and MySQL its own GTID_PURGED: what was accepted is no fault."""
    known = ("collation ", _GTID) if server == "mysql" else ("collation ",)
    faults = [one for one in foreign if failed or not one.startswith(known)]
    reasons = [
        f"another server's: {listed(faults)}" if faults else "",
        f"it holds {len(databases)} databases" if len(databases) > 1 else "",
    ]
    own = "MySQL's" if server == "mysql" else "MariaDB's"
    return _checked(DIALECT, f"{own}, one database", listed(foreign) or own, reasons)


def unjudged(report: Mapping[str, Any]) -> str:
    """Why the loader got less far than the dump allows: the throwaway host's own fault. Empty where it did not."""
    error = report["error"]
    if report["refused"]:
        return f"the database held {report['refused']} tables already: nothing was restored into it"
    if report["packed"] == NO_ZSTD:
        return f"the dump is packed as {NO_ZSTD}: it was not read"
    if error is not None and error["code"] == _NO_SUCH_COLLATION:
        newer = [one for one in error["objects"] if _NEWER_MARIADB in one]
        if newer:
            return f"a newer MariaDB wrote it than the throwaway database is ({newer[0]}): set freescout.blueprint"
    if error is not None and error["code"] in _THE_INSTANCES_OWN:
        about = f" ({', '.join(error['objects'])})" if error["objects"] else ""
        return f"error {error['code']}{about}, which is the throwaway database's own: the dump was not judged"
    return ""


def _restored(error: Mapping[str, Any] | None, unjudged: str) -> CheckResult:
    if unjudged:
        return CheckResult(RESTORED, "no error, into an empty database", "", CheckStatus.NOT_RUN, unjudged)
    if error is None:
        return _checked(RESTORED, "no error, into an empty database", "no error", [])
    about = f" ({', '.join(error['objects'])})" if error["objects"] else ""
    told = f"error {error['code']}{about}"
    meaning = _ERRORS.get(error["code"], "MariaDB's documentation has the number")
    return _checked(RESTORED, "no error, into an empty database", told, [f"{told}: {meaning}"])


def dump_rows(counted: Mapping[str, int], restored: Mapping[str, int]) -> CheckResult:
    """The rows in the dump against those in the database: that a restore reports success proves nothing."""
    wrong = [
        f"{table} has {restored.get(table, 0)} of {count} rows"
        for table, count in sorted(counted.items())
        if restored.get(table, 0) != count
    ]
    extra = [table for table, count in sorted(restored.items()) if count and table not in counted]
    reasons = [listed(wrong), f"rows that are not in the dump: {listed(extra)}" if extra else ""]
    here = sum(restored.get(table, 0) for table in counted)
    total = sum(counted.values())
    return _checked(DUMP_ROWS, f"{total} rows of {len(counted)} tables (counted in the dump)", f"{here} rows", reasons)


def _checked(name: str, expected: str, actual: str, reasons: Iterable[str]) -> CheckResult:
    reason = "; ".join(one for one in reasons if one)
    return CheckResult(name, expected, actual, CheckStatus.FAIL if reason else CheckStatus.PASS, reason)
