"""Appending and reading, on a real S3 server: two writers, a lost answer, refusals, Object Lock."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from raxx_bcp.checks import Status
from raxx_bcp.clients.s3 import Bucket, ConflictError, Receipt
from raxx_bcp.errors import CouldNotVerifyError, PermanentError, TransientError, UsageError
from raxx_bcp.evidence import row_hash
from raxx_bcp.evidence.head import Head, LastRow, move_head, read_head
from raxx_bcp.evidence.ledger import Ledger
from raxx_bcp.evidence.names import LAST_SEQUENCE, row_name, sequence_of
from raxx_bcp.evidence.row import GENESIS_SHA256, EvidenceRow
from raxx_bcp_sandbox.parts import s3
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.clients.test_s3 import make_client
from raxx_bcp_tests.conftest import NOW
from raxx_bcp_tests.evidence.world import Hand, drill, many, plain_ledger, review


def witness_of(row: EvidenceRow) -> LastRow:
    return LastRow(row.sequence, row.sha256)


@pytest.mark.parametrize(
    ("name", "sequence"),
    [
        ("00000001.json", 1),
        ("99999999.json", 99_999_999),
        ("00000000.json", None),
        ("1.json", None),
        ("000000001.json", None),
        ("00000001.json.bak", None),
        ("x/00000001.json", None),
        ("HEAD.json", None),
    ],
)
def test_a_rows_name(name: str, sequence: int | None) -> None:
    assert sequence_of(name) == sequence
    if sequence:
        assert row_name(sequence) == name


def test_an_empty_ledger(ledger: Ledger) -> None:
    assert ledger.tail() is None
    assert list(ledger.rows()) == []
    report = ledger.verify()
    assert (report.status, report.rows, report.last) == (Status.PASS, 0, None)
    assert report.check().detail == "no row yet."


def test_rows_are_numbered_and_each_holds_the_hash_of_the_one_before(ledger: Ledger) -> None:
    rows = many(ledger, 3)
    assert [row.sequence for row in rows] == [1, 2, 3]
    assert [row.previous_sha256 for row in rows] == [GENESIS_SHA256, rows[0].sha256, rows[1].sha256]
    assert list(ledger.rows()) == rows
    assert ledger.tail() == rows[-1] == ledger.row(3)
    assert read_head(ledger.bucket, ledger.prefix).witness == witness_of(rows[-1])
    report = ledger.verify()
    assert (report.status, report.rows, report.last, report.notes) == (Status.PASS, 3, witness_of(rows[-1]), ())


def test_what_is_stored_is_the_canonical_row(ledger: Ledger) -> None:
    row = ledger.append(drill())
    body = Hand(ledger).read(1)
    assert row_hash.row_of(row_hash.link_of(body)) == row
    stored = ledger.bucket.head(ledger.prefix + "00000001.json")
    assert stored
    assert stored.metadata == {"kind": "evidence-row"}


def test_another_ledger_object_goes_on_where_the_first_one_ended(ledger: Ledger) -> None:
    many(ledger, 2)
    other = plain_ledger(ledger.bucket.name, ledger.prefix)
    assert other.append(drill("later")).sequence == 3
    assert ledger.append(drill("last")).sequence == 4
    assert ledger.verify().status is Status.PASS


def test_a_review_is_a_row_of_its_own(ledger: Ledger) -> None:
    row = ledger.append(drill())
    reviewed = ledger.append(review(row))
    assert (reviewed.sequence, reviewed.entry) == (2, review(row))
    assert ledger.row(1) == row


def test_eight_drills_that_end_in_the_same_moment_all_get_their_row(ledger: Ledger) -> None:
    barrier = threading.Barrier(8)
    # Made here: boto3 does not make clients in several threads at once.
    racers = [plain_ledger(ledger.bucket.name, ledger.prefix) for _ in range(8)]
    for racer in racers:
        racer.bucket.versioning()

    def race(number: int) -> list[EvidenceRow]:
        barrier.wait()
        return [racers[number].append(drill(f"racer-{number}-{turn}")) for turn in range(3)]

    with ThreadPoolExecutor(8) as pool:
        written = [row for rows in pool.map(race, range(8)) for row in rows]
    assert sorted(row.sequence for row in written) == list(range(1, 25))
    assert list(ledger.rows()) == sorted(written, key=lambda row: row.sequence)
    report = ledger.verify()
    assert (report.status, report.rows) == (Status.PASS, 24)
    assert read_head(ledger.bucket, ledger.prefix).sequence == 24


class _Raced(Bucket):
    """Another drill writes its row between our look and our write, so often as ``rivals`` says."""

    def __init__(self, name: str, rivals: int) -> None:
        super().__init__(name)
        self.rivals = rivals

    def put(self, key: str, body: bytes | bytearray, **named: Any) -> Receipt:
        if self.rivals and not key.endswith("HEAD.json"):
            self.rivals -= 1
            prefix = key.rpartition("/")[0] + "/"
            plain_ledger(self.name, prefix).append(drill(f"rival-{self.rivals}"))
        return super().put(key, body, **named)


def test_who_loses_the_race_takes_the_next_number_after_a_short_pause(ledger: Ledger) -> None:
    pauses: list[float] = []
    raced = Ledger(_Raced(ledger.bucket.name, 3), ledger.prefix, clock=lambda: NOW, sleep=pauses.append)
    assert raced.append(drill("ours")).sequence == 4
    assert len(pauses) == 3
    assert max(pauses) < 0.1
    assert ledger.verify().status is Status.PASS


class _AlwaysTaken(Bucket):
    """Whatever number is tried, somebody was there first and is gone when one looks."""

    def put(self, key: str, body: bytes | bytearray, **named: Any) -> Receipt:
        raise ConflictError(f"S3 could not store {key} ({len(body)}, {len(named)}).", "Look.")


def test_tries_are_bounded(ledger: Ledger) -> None:
    pauses: list[float] = []
    raced = Ledger(_AlwaysTaken(ledger.bucket.name), ledger.prefix, clock=lambda: NOW, sleep=pauses.append)
    with pytest.raises(TransientError, match="found no place in 40 tries"):
        raced.append(drill("ours"))
    assert len(pauses) == 40
    assert sum(pauses) < 20


def _must_not_wait(_seconds: float) -> None:
    pytest.fail("it waited")


class _LostAnswer(Bucket):
    """The PUT arrives, its answer does not; boto3 sends it again."""

    def put(self, key: str, body: bytes | bytearray, **named: Any) -> Receipt:
        super().put(key, body, **named)
        return super().put(key, body, **named)


def test_a_put_whose_answer_was_lost_does_not_become_two_rows(ledger: Ledger) -> None:
    shaky = Ledger(_LostAnswer(ledger.bucket.name), ledger.prefix, clock=lambda: NOW, sleep=_must_not_wait)
    assert shaky.append(drill()).sequence == 1
    assert [row.sequence for row in ledger.rows()] == [1]
    assert ledger.verify().status is Status.PASS


class _NoHead(Bucket):
    """The writer dies, or S3 does, between the row and ``HEAD.json``."""

    def put(self, key: str, body: bytes | bytearray, **named: Any) -> Receipt:
        if key.endswith("HEAD.json"):
            raise TransientError("S3 is away.", "Try again.")
        return super().put(key, body, **named)


def test_a_head_that_lags_behind_is_no_trouble_and_catches_up(ledger: Ledger) -> None:
    first = ledger.append(drill("first"))
    many(Ledger(_NoHead(ledger.bucket.name), ledger.prefix, clock=lambda: NOW), 2)
    assert read_head(ledger.bucket, ledger.prefix).witness == witness_of(first)
    report = ledger.verify()
    assert (report.status, report.notes) == (Status.PASS, ("HEAD.json vouches for the rows up to 1 only",))
    tail = ledger.tail()
    assert tail
    assert tail.sequence == 3
    assert ledger.append(drill("last")).sequence == 4
    assert read_head(ledger.bucket, ledger.prefix).sequence == 4
    assert (ledger.verify().status, ledger.verify().notes) == (Status.PASS, ())


def test_a_ledger_without_head_in_a_bucket_without_versions_cannot_vouch_for_its_end(plain: Ledger) -> None:
    many(Ledger(_NoHead(plain.bucket.name), plain.prefix, clock=lambda: NOW), 2)
    report = plain.verify()
    assert report.status is Status.COULD_NOT_VERIFY
    assert "newest rows may be missing" in report.check().detail
    plain.append(drill("third"))
    assert plain.verify().status is Status.PASS


def test_head_never_goes_back(ledger: Ledger) -> None:
    rows = many(ledger, 2)
    late = Ledger(ledger.bucket, ledger.prefix, clock=lambda: NOW + timedelta(days=1))
    assert late.append(drill("third")).sequence == 3
    hand = Hand(ledger)
    newest = hand.read("HEAD.json")
    assert move_head(ledger.bucket, ledger.prefix, witness_of(rows[0]), NOW, Head(None, None))
    assert hand.read("HEAD.json") == newest


def test_a_row_that_is_not_there_or_not_readable_is_said_so(ledger: Ledger) -> None:
    many(ledger, 2)
    with pytest.raises(UsageError, match="There is no row 3 in s3://"):
        ledger.row(3)
    hand = Hand(ledger)
    hand.write(2, b"garbage")
    for read in (ledger.tail, lambda: ledger.row(2)):
        with pytest.raises(PermanentError, match="row 2: it is not the JSON of a row"):
            read()
    hand.write(2, hand.read(1))
    with pytest.raises(PermanentError, match=r"00000002\.json holds row 1"):
        ledger.row(2)
    hand.delete(2)
    with pytest.raises(PermanentError, match="row 2 is missing"):
        ledger.tail()


def test_a_row_of_a_later_program_is_unknown_and_no_failure(ledger: Ledger) -> None:
    many(ledger, 2)
    fresh = Hand(ledger).change(2, lambda row: row.update(schema_version=2))
    with pytest.raises(CouldNotVerifyError, match="schema version 2 is newer than this program"):
        ledger.row(2)
    plain = plain_ledger(ledger.bucket.name)
    many(plain, 1)
    hand = Hand(plain)
    body = Hand(ledger).read(2)
    first = ledger.row(1)
    assert first.sha256 == plain.row(1).sha256
    hand.write(2, body)
    hand.delete("HEAD.json")
    report = plain.verify()
    assert report.status is Status.COULD_NOT_VERIFY
    assert report.last == LastRow(2, fresh)
    assert report.rows == 1
    assert "row 2 cannot be read: its schema version 2 is newer" in report.check().detail


def test_when_no_name_is_left_nothing_is_written(ledger: Ledger) -> None:
    Hand(ledger).write(LAST_SEQUENCE, b"{}")
    with pytest.raises(PermanentError, match=r"99999999\.json, behind which no row fits"):
        ledger.append(drill())


def test_an_entry_with_a_secret_is_refused_before_anything_is_written(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="looks like a connection string"):
        ledger.append(drill(operator="postgres://a:b@c/d"))
    assert ledger.bucket.keys(ledger.prefix) == []


class TestRefusals:
    """Denied, away, absent: never taken for an empty ledger."""

    def test_a_server_that_is_away(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{free.getsockname()[1]}"
        away = Ledger(Bucket("raxx", client=make_client(url)), clock=lambda: NOW)
        for attempt in (lambda: away.append(drill()), away.verify, away.tail, lambda: list(away.rows())):
            with pytest.raises(TransientError, match="S3 could not be reached"):
                attempt()

    def test_a_role_that_may_not_look(self, sandbox: Sandbox, ledger: Ledger) -> None:
        many(ledger, 1)
        credentials = sandbox.credentials()
        client = boto3.client(
            "s3",
            endpoint_url=sandbox.environment()["AWS_ENDPOINT_URL_S3"],
            region_name=s3.REGION,
            aws_access_key_id=credentials[s3.EXPORTER_ID],
            aws_secret_access_key=credentials[s3.EXPORTER_SECRET],
        )
        denied = Ledger(Bucket(ledger.bucket.name, client=client), ledger.prefix, clock=lambda: NOW)
        for attempt in (lambda: denied.append(drill()), denied.verify, denied.tail, lambda: list(denied.rows())):
            with pytest.raises(CouldNotVerifyError, match=r"AccessDenied|403"):
                attempt()

    @pytest.mark.usefixtures("sandbox_environ")
    def test_a_bucket_that_does_not_exist(self) -> None:
        with pytest.raises(PermanentError, match=r"NoSuchBucket|404"):
            plain_ledger("no-such-bucket-here").append(drill())
        with pytest.raises(PermanentError, match=r"NoSuchBucket|404"):
            plain_ledger("no-such-bucket-here").verify()

    def test_versions_that_may_not_be_seen_are_a_note(self, ledger: Ledger) -> None:
        class NoVersions(Bucket):
            def versions(self, prefix: str) -> Any:
                raise CouldNotVerifyError(f"S3 could not list the versions of {prefix} (AccessDenied).", "Grant it.")

        many(ledger, 2)
        report = Ledger(NoVersions(ledger.bucket.name), ledger.prefix).verify()
        assert report.status is Status.PASS
        assert "judged without the bucket's versions: S3 could not list" in report.notes[0]


class TestObjectLock:
    def lock_of(self, ledger: Ledger, name: str) -> datetime | None:
        answer = boto3.client("s3").head_object(Bucket=ledger.bucket.name, Key=ledger.prefix + name)
        assert answer.get("ObjectLockMode") in (None, "COMPLIANCE")
        return answer.get("ObjectLockRetainUntilDate")

    def test_rows_are_locked_and_the_witness_is_not(self, locked: Ledger) -> None:
        many(locked, 2)
        for name in ("00000001.json", "00000002.json"):
            assert self.lock_of(locked, name) == NOW + timedelta(days=1)
        assert self.lock_of(locked, "HEAD.json") is None
        assert locked.verify().notes == ()

    def test_a_locked_version_cannot_be_removed(self, locked: Ledger) -> None:
        many(locked, 1)
        (version,) = [one for one in locked.bucket.versions(locked.prefix) if one.key.endswith("1.json")]
        with pytest.raises(ClientError, match="AccessDenied"):
            boto3.client("s3").delete_object(Bucket=locked.bucket.name, Key=version.key, VersionId=version.version_id)
        assert locked.verify().status is Status.PASS

    def test_where_the_bucket_has_no_lock_the_row_is_written_and_verify_says_so(self, ledger: Ledger) -> None:
        asked = plain_ledger(ledger.bucket.name, ledger.prefix, retention_days=30)
        many(asked, 1)
        assert self.lock_of(asked, "00000001.json") is None
        report = asked.verify()
        assert report.status is Status.PASS
        assert report.notes == (f"rows are not locked: bucket {ledger.bucket.name} has no Object Lock",)

    def test_where_that_cannot_be_read_the_lock_is_asked_for(self, locked: Ledger) -> None:
        class Secretive(Bucket):
            def object_lock(self) -> bool:
                raise CouldNotVerifyError("S3 could not read it (AccessDenied).", "Grant it.")

        Ledger(Secretive(locked.bucket.name), locked.prefix, 1, clock=lambda: NOW).append(drill())
        assert self.lock_of(locked, "00000001.json") == NOW + timedelta(days=1)

    def test_no_retention_asks_for_no_lock(self, locked: Ledger) -> None:
        many(plain_ledger(locked.bucket.name, locked.prefix), 1)
        assert self.lock_of(locked, "00000001.json") is None

    def test_the_client_tells_the_two_kinds_of_bucket_apart(self, ledger: Ledger, locked: Ledger) -> None:
        assert ledger.bucket.object_lock() is False
        assert locked.bucket.object_lock() is True


def test_keys_come_in_order_from_where_one_asks(ledger: Ledger) -> None:
    many(ledger, 3)
    names = ["00000001.json", "00000002.json", "00000003.json", "HEAD.json"]
    assert ledger.bucket.keys(ledger.prefix) == [ledger.prefix + name for name in names]
    assert ledger.bucket.keys(ledger.prefix, start_after=ledger.prefix + names[1]) == [
        ledger.prefix + name for name in names[2:]
    ]
    assert ledger.bucket.keys("nothing-is-here/") == []
