"""Parallel reading keeps the order and a bound; the witness keeps its word when the bucket does not."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest

from raxx_bcp.clients.s3 import Bucket, ConflictError, ObjectAbsentError, Receipt, StoredObject
from raxx_bcp.errors import CouldNotVerifyError, TransientError
from raxx_bcp.evidence.chain import Walk
from raxx_bcp.evidence.head import Head, LastRow, move_head, read_head
from raxx_bcp.evidence.names import row_name
from raxx_bcp.evidence.reading import READERS, in_order
from raxx_bcp_tests.conftest import NOW

KEYS = [f"k/{number}" for number in range(200)]
ROW = LastRow(7, "ab" * 32)


class _Shelf(Bucket):
    """Answers out of order, and counts how many bodies it has handed out."""

    def __init__(self, *, absent: str = "", denied: str = "") -> None:
        super().__init__("shelf")
        self.absent, self.denied = absent, denied
        self.given = 0
        self._lock = threading.Lock()
        self._first = threading.Event()

    def get(self, key: str, *, version_id: str | None = None) -> bytes:
        if key == KEYS[0]:
            self._first.wait(10)  # the first key is the last to be answered
        elif key == KEYS[READERS - 1]:
            self._first.set()
        if key == self.absent:
            raise ObjectAbsentError(f"There is no {key} {version_id}.", "Look.")
        if key == self.denied:
            raise CouldNotVerifyError(f"S3 could not read {key} (AccessDenied).", "Grant it.")
        with self._lock:
            self.given += 1
        return key.encode()


def test_bodies_come_in_the_order_of_the_keys() -> None:
    assert list(in_order(_Shelf(), KEYS)) == [(key, key.encode()) for key in KEYS]
    assert list(in_order(_Shelf(), [])) == []


def test_no_more_are_read_ahead_than_the_readers_may() -> None:
    shelf = _Shelf()
    read = in_order(shelf, KEYS)
    assert len(list(itertools.islice(read, 10))) == 10
    read.close()
    assert 10 <= shelf.given <= 10 + READERS * 4 + 1


def test_what_vanished_meanwhile_is_none_and_no_error() -> None:
    found = dict(in_order(_Shelf(absent=KEYS[50]), KEYS))
    assert found[KEYS[50]] is None
    assert sum(body is not None for body in found.values()) == len(KEYS) - 1


def test_a_refusal_ends_it() -> None:
    shelf = _Shelf(denied=KEYS[50])
    with pytest.raises(CouldNotVerifyError, match="could not read k/50"):
        list(in_order(shelf, KEYS))
    assert shelf.given < len(KEYS)


def test_a_row_that_vanished_while_it_was_read_is_a_gap() -> None:
    walk = Walk("evidence/", lambda _row: None)
    walk.step(f"evidence/{row_name(1)}", None)
    report = walk.report(Head(LastRow(1, "ab" * 32), '"e"'), None, None)
    assert [problem.sequence for problem in report.problems] == [1]


class _Moving(Bucket):
    """``HEAD.json`` is there when one looks and gone, or another's, when one acts."""

    def __init__(self, *, after: Exception | None = None) -> None:
        super().__init__("moving")
        self.after = after
        self.puts = 0

    def head(self, key: str, *, version_id: str | None = None) -> StoredObject | None:
        if self.puts and self.after:
            raise self.after
        return StoredObject(key, 1, '"e"', version_id, NOW)

    def get(self, key: str, *, version_id: str | None = None) -> bytes:
        raise ObjectAbsentError(f"There is no {key} {version_id}.", "Look.")

    def put(self, key: str, body: bytes | bytearray, **named: Any) -> Receipt:
        self.puts += 1
        raise ConflictError(f"S3 could not store {key} ({len(body)}, {len(named)}).", "Look.")


def test_a_head_that_vanished_between_two_looks_is_absent() -> None:
    assert read_head(_Moving(), "p/") == Head(None, None)


def test_a_head_that_cannot_be_moved_stops_nobody_and_is_tried_a_few_times() -> None:
    contended = _Moving()
    assert not move_head(contended, "p/", ROW, NOW, Head(None, None))
    assert contended.puts == 5
    away = _Moving(after=TransientError("S3 is away.", "Try again."))
    assert not move_head(away, "p/", ROW, NOW, Head(None, None))
    assert away.puts == 1
