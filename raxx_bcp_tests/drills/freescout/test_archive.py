"""Whose fault it is that an archive cannot be unpacked: read to its end here, it is judged; the host's disk is not."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest

from raxx_bcp.drills.freescout import archive, artefact
from raxx_bcp.drills.freescout.host_side.unpacking import NO_ZSTD
from raxx_bcp.evidence.row import CheckStatus


def archived(size: int = 3_000_000) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name in ("storage/a", "storage/b"):
            member = tarfile.TarInfo(name)
            member.size = size
            tar.addfile(member, io.BytesIO(bytes(range(256)) * (size // 256) + b"x" * (size % 256)))
    return made.getvalue()


def pieces(body: bytes, size: int = 777) -> Iterator[bytes]:
    return (body[at : at + size] for at in range(0, len(body), size))


WHOLE = archived()


def test_a_whole_archive_has_no_problem() -> None:
    assert archive.problem(pieces(WHOLE)) == ""
    assert archive.problem(iter([b"", WHOLE, b""])) == ""


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (WHOLE[:-9], "it ends early, or is no archive"),
        (WHOLE[: len(WHOLE) // 2], "it ends early, or is no archive"),
        (b"", "it ends early, or is no archive"),
        (b"planted, and no gzip", "it is not gzip, or damaged"),
        (WHOLE[:4000] + b"\0\1\2" + WHOLE[4003:], "it is not gzip, or damaged"),
        (WHOLE[:-6] + bytes([WHOLE[-6] ^ 1]) + WHOLE[-5:], "it is not gzip, or damaged"),
        (gzip.compress(b"planted, and no tar" * 100), "it ends early, or is no archive"),
    ],
    ids=["its end", "half", "empty", "not gzip", "bytes changed", "crc", "not tar"],
)
def test_a_damaged_one_says_how(body: bytes, problem: str) -> None:
    assert archive.problem(pieces(body)) == problem


REPORT = {
    "form": "gzip",
    "packed": "whole",
    "bytes": 9,
    "trailer": True,
    "commented": True,
    "rows": {},
    "foreign": [],
    "databases": [],
    "refused": 0,
    "error": None,
}


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (1114, CheckStatus.NOT_RUN),
        (1021, CheckStatus.NOT_RUN),
        (2013, CheckStatus.NOT_RUN),
        (1064, CheckStatus.FAIL),
        (1062, CheckStatus.FAIL),
        (9999, CheckStatus.FAIL),
    ],
)
def test_a_full_or_lost_throwaway_database_is_no_word_on_the_dump(code: int, status: CheckStatus) -> None:
    report = {**REPORT, "error": {"code": code, "objects": ["threads"]}}
    (restored,) = [one for one in artefact.judge(report) if one.name == artefact.RESTORED]
    assert restored.status is status
    assert f"error {code} (threads)" in restored.reason
    assert bool(artefact.unjudged(report)) is (status is CheckStatus.NOT_RUN)


@pytest.mark.parametrize(
    ("collation", "status"),
    [("utf8mb4_uca1400_ai_ci", CheckStatus.NOT_RUN), ("utf8mb4_0900_ai_ci", CheckStatus.FAIL)],
)
def test_a_throwaway_mariadb_that_is_too_old_is_no_word_on_the_dump(collation: str, status: CheckStatus) -> None:
    """MariaDB 11.5 and later dump their own default collation, which 10.6 does not know."""
    report = {**REPORT, "error": {"code": 1273, "objects": [collation]}}
    (restored,) = [one for one in artefact.judge(report) if one.name == artefact.RESTORED]
    assert restored.status is status
    assert ("a newer MariaDB wrote it" in artefact.unjudged(report)) is (status is CheckStatus.NOT_RUN)


@pytest.mark.parametrize(
    "unread",
    [
        {"refused": 3},
        {"packed": NO_ZSTD},
        {"error": {"code": 2002, "objects": []}},
    ],
    ids=["not empty", "no zstd", "no database"],
)
def test_a_dump_that_was_not_read_at_all_fails_nothing(unread: dict[str, Any]) -> None:
    report = {**REPORT, "packed": "empty", "bytes": 0, "trailer": False, **unread}
    assert {one.status for one in artefact.judge(report)} == {CheckStatus.NOT_RUN}
    assert artefact.unjudged(report)


def test_a_report_of_a_whole_dump_passes() -> None:
    assert {one.status for one in artefact.judge(REPORT)} == {CheckStatus.PASS}
    assert artefact.unjudged(REPORT) == ""
