"""No row is lost and none is written twice: S3 away, a killed process, a full disk, two processes at once."""

from __future__ import annotations

import multiprocessing
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from raxx_bcp.clients.s3 import Bucket, Receipt
from raxx_bcp.errors import TransientError
from raxx_bcp.evidence.ledger import Ledger
from raxx_bcp.evidence.row import Verdict, drill_of
from raxx_bcp.evidence.spool import Flushed, Spool, SpoolError, flush, read_pending, record
from raxx_bcp_tests.conftest import NOW
from raxx_bcp_tests.evidence.world import drill, many, plain_ledger, review


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "state" / "evidence")


class _Away(Bucket):
    """S3 is away for writing; ``arrives`` says whether the row got there all the same."""

    def __init__(self, name: str, *, arrives: bool) -> None:
        super().__init__(name)
        self.arrives = arrives

    def put(self, key: str, body: bytes | bytearray, **named: Any) -> Receipt:
        if self.arrives:
            super().put(key, body, **named)
        raise TransientError("S3 could not be reached to store the row.", "Try again.")


def test_a_row_that_was_accepted_leaves_nothing_behind(spool: Spool, ledger: Ledger) -> None:
    row = record(drill(), spool, ledger)
    assert (row.sequence, spool.files()) == (1, [])
    assert flush(spool, ledger) == Flushed()
    assert [one.sequence for one in ledger.rows()] == [1]


def test_s3_away_at_the_moment_of_writing_is_said_and_the_row_comes_later(spool: Spool, ledger: Ledger) -> None:
    away = Ledger(_Away(ledger.bucket.name, arrives=False), ledger.prefix, clock=lambda: NOW)
    for number in range(2):
        with pytest.raises(TransientError, match="S3 could not be reached"):
            record(drill(f"drill-{number}"), spool, away)
    assert list(ledger.rows()) == []
    assert len(spool.files()) == 2
    with pytest.raises(TransientError):
        flush(spool, away)
    assert len(spool.files()) == 2

    flushed = flush(spool, ledger)
    assert {drill_of(row).identity.drill_id for row in flushed.appended} == {"drill-0", "drill-1"}
    assert flushed.there_already == ()
    assert spool.files() == []
    assert flush(spool, ledger) == Flushed()
    assert [row.sequence for row in ledger.rows()] == [1, 2]


def test_a_row_that_arrived_although_s3_seemed_away_is_not_written_twice(spool: Spool, ledger: Ledger) -> None:
    shaky = Ledger(_Away(ledger.bucket.name, arrives=True), ledger.prefix, clock=lambda: NOW)
    with pytest.raises(TransientError):
        record(drill(), spool, shaky)
    flushed = flush(spool, ledger)
    assert (flushed.appended, flushed.there_already) == ((), (drill(),))
    assert spool.files() == []
    assert [row.sequence for row in ledger.rows()] == [1]


def test_a_drill_has_one_row_whatever_waits_and_reviews_are_not_taken_for_it(spool: Spool, ledger: Ledger) -> None:
    row = ledger.append(drill())
    spool.put(drill(verdict=Verdict.FAIL))
    spool.put(review(row))
    flushed = flush(spool, ledger)
    assert [one.entry for one in flushed.appended] == [review(row)]
    assert flushed.there_already == (drill(verdict=Verdict.FAIL),)
    assert len(list(ledger.rows())) == 2


def test_the_later_word_of_the_same_drill_replaces_the_earlier(spool: Spool) -> None:
    first = spool.put(drill(verdict=Verdict.COULD_NOT_VERIFY))
    assert spool.put(drill()) == first
    assert [read_pending(path) for path in spool.files()] == [drill()]


def test_files_are_private_and_whole(spool: Spool) -> None:
    path = spool.put(drill("../../etc/passwd"))
    assert path.parent == spool.directory
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(spool.directory.stat().st_mode) == 0o700
    assert [one.name for one in spool.directory.iterdir()] == [path.name]
    assert read_pending(path) == drill("../../etc/passwd")


def test_a_secret_does_not_reach_the_disk(spool: Spool, ledger: Ledger) -> None:
    for attempt in (spool.put, lambda entry: record(entry, spool, ledger)):
        with pytest.raises(ValueError, match="looks like a connection string"):
            attempt(drill(operator="postgres://a:b@c/d"))
    assert spool.files() == []
    assert list(ledger.rows()) == []


def test_a_file_that_is_no_pending_row_is_named_and_kept_and_stops_nobody(spool: Spool, ledger: Ledger) -> None:
    spool.put(drill())
    stray = spool.directory / "stray.pending.json"
    for content in (b"", b"{}", b'{"entry":{"type":"drill"}}', b"\xff"):
        stray.write_bytes(content)
        flushed = flush(spool, ledger)
        assert flushed.unreadable == (stray,)
        assert stray.exists()
    assert [row.sequence for row in ledger.rows()] == [1]


def test_a_disk_that_cannot_keep_it_does_not_keep_it_from_the_ledger(tmp_path: Path, ledger: Ledger) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("not a directory")
    broken = Spool(in_the_way / "evidence")
    with pytest.raises(SpoolError, match=r"cannot be kept in .*: Not a directory"):
        broken.put(drill())
    assert record(drill(), broken, ledger).sequence == 1
    assert [row.sequence for row in ledger.rows()] == [1]


def test_a_full_disk_leaves_no_half_file(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    spool.put(drill("first"))

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SpoolError, match="No space left on device"):
        spool.put(drill("second"))
    assert [read_pending(path) for path in spool.files()] == [drill("first")]
    assert len(list(spool.directory.iterdir())) == 1


def test_several_that_flush_at_once_write_each_row_once(spool: Spool, ledger: Ledger) -> None:
    for number in range(4):
        spool.put(drill(f"drill-{number}"))
    ledgers = [plain_ledger(ledger.bucket.name, ledger.prefix) for _ in range(4)]
    for one in ledgers:
        one.bucket.versioning()
    barrier = threading.Barrier(4)

    def go(one: Ledger) -> None:
        barrier.wait()
        flush(Spool(spool.directory), one)

    threads = [threading.Thread(target=go, args=(one,)) for one in ledgers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(drill_of(row).identity.drill_id for row in ledger.rows()) == [f"drill-{n}" for n in range(4)]


def _put_and_die(directory: str) -> None:
    spool = Spool(Path(directory))
    with spool.alone():
        spool.put(drill("killed"))
        os.kill(os.getpid(), 9)


def test_a_process_killed_before_s3_answered_leaves_its_row_and_no_lock(spool: Spool, ledger: Ledger) -> None:
    many(ledger, 1)
    process = multiprocessing.get_context("spawn").Process(target=_put_and_die, args=(str(spool.directory),))
    process.start()
    process.join(60)
    assert process.exitcode == -9
    flushed = flush(spool, ledger)
    assert [drill_of(row).identity.drill_id for row in flushed.appended] == ["killed"]
    assert [row.sequence for row in ledger.rows()] == [1, 2]
