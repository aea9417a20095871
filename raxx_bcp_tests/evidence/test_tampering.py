"""Every kind of tampering, on a real S3 server: each names its row, and the untouched ledger passes before it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest
from botocore.exceptions import ClientError

from raxx_bcp.checks import Status
from raxx_bcp.evidence.chain import Trouble
from raxx_bcp.evidence.head import LastRow
from raxx_bcp.evidence.ledger import Ledger
from raxx_bcp.evidence.row_hash import SIZE_LIMIT_BYTES
from raxx_bcp_tests.evidence.world import Hand, drill, forge, many

ROWS = 6


@dataclass(frozen=True)
class Tampering:
    """What a hand does, and which row ``verify`` must name first and for what."""

    do: Callable[[Hand], object]
    trouble: Trouble
    sequence: int | None
    why: str


def deleting(numbers: Iterable[int]) -> Callable[[Hand], None]:
    def delete(hand: Hand) -> None:
        for number in numbers:
            hand.delete(number)

    return delete


def flip(hand: Hand) -> None:
    body = bytearray(hand.read(3))
    body[len(body) // 2] ^= 1
    hand.write(3, bytes(body))


def respell(hand: Hand) -> None:
    hand.write(3, hand.read(3).replace(b'"alice"', b'"alicf"'))


def swap(hand: Hand) -> None:
    third, fifth = hand.read(3), hand.read(5)
    hand.write(3, fifth)
    hand.write(5, third)


def move(hand: Hand) -> None:
    """Row 3 is taken out and put where row 5 was."""
    hand.write(5, hand.read(3))
    hand.delete(3)


def renumber(hand: Hand) -> None:
    """The content of row 2 in place of row 4, with row 4's number and links, and a fresh hash."""
    second = hand.read(2)

    def become(row: dict[str, object]) -> None:
        number, before = row["sequence"], row["previous_sha256"]
        row.clear()
        row.update(json.loads(second))
        row.update(sequence=number, previous_sha256=before)

    hand.change(4, become)


TAMPERINGS = {
    "a middle row deleted": Tampering(lambda hand: hand.delete(3), Trouble.MISSING, 3, "the rows around it are there"),
    "the first row deleted": Tampering(lambda hand: hand.delete(1), Trouble.MISSING, 1, "the rows around it are there"),
    "three rows deleted": Tampering(deleting((2, 3, 4)), Trouble.MISSING, 2, "so is every row up to 4"),
    "the newest row deleted": Tampering(
        lambda hand: hand.delete(ROWS), Trouble.MISSING, ROWS, "HEAD.json says that row 6 was written"
    ),
    "the newest rows deleted": Tampering(deleting((4, 5, 6)), Trouble.MISSING, 4, "HEAD.json says that row 6"),
    "every row deleted": Tampering(deleting(range(1, ROWS + 1)), Trouble.MISSING, 1, "HEAD.json says"),
    "one bit flipped": Tampering(flip, Trouble.ALTERED, 3, "it"),
    "a name changed": Tampering(respell, Trouble.ALTERED, 3, "its content does not have the hash"),
    "a space added": Tampering(
        lambda hand: hand.write(3, hand.read(3) + b"\n"), Trouble.ALTERED, 3, "not the canonical form"
    ),
    "altered and hashed anew": Tampering(
        lambda hand: hand.change(3, forge), Trouble.ALTERED, 3, "row 4 was written after another row 3"
    ),
    "the newest altered and hashed anew": Tampering(
        lambda hand: hand.change(ROWS, forge), Trouble.ALTERED, ROWS, "HEAD.json remembers another row 6"
    ),
    "the first altered and hashed anew": Tampering(
        lambda hand: hand.change(1, forge), Trouble.ALTERED, 1, "row 2 was written after another row 1"
    ),
    "a row before the first": Tampering(
        lambda hand: hand.change(1, lambda row: row.update(previous_sha256="ab" * 32)),
        Trouble.ALTERED,
        1,
        "it names a row before it",
    ),
    "two swapped": Tampering(swap, Trouble.REORDERED, 3, "00000003.json holds row 5"),
    "one moved": Tampering(move, Trouble.MISSING, 3, "the rows around it are there"),
    "another's content": Tampering(
        lambda hand: hand.write(4, hand.read(2)), Trouble.DUPLICATED, 4, "00000004.json holds row 2"
    ),
    "another's content with this one's number": Tampering(
        renumber, Trouble.ALTERED, 4, "row 5 was written after another row 4"
    ),
    "a copy at the end": Tampering(
        lambda hand: hand.write(ROWS + 1, hand.read(2)), Trouble.DUPLICATED, ROWS + 1, "holds row 2"
    ),
    "no JSON": Tampering(lambda hand: hand.write(3, b"<html>"), Trouble.ALTERED, 3, "it is not the JSON of a row"),
    "emptied": Tampering(lambda hand: hand.write(3, b""), Trouble.ALTERED, 3, "it is not the JSON of a row"),
    "other JSON": Tampering(
        lambda hand: hand.write(3, b'{"error":"401"}'), Trouble.ALTERED, 3, "it is JSON and no evidence row"
    ),
    "made huge": Tampering(
        lambda hand: hand.write(3, b"x" * (SIZE_LIMIT_BYTES + 1)), Trouble.ALTERED, 3, "it is not the JSON of a row"
    ),
    "a false pass with a good hash": Tampering(
        lambda hand: hand.change(ROWS, lambda row: row["entry"].update(checks=[])),
        Trouble.ALTERED,
        ROWS,
        "HEAD.json remembers another row",
    ),
    "a foreign file": Tampering(
        lambda hand: hand.write("notes.txt", b"hello"), Trouble.FOREIGN, None, "nothing of ours has this name"
    ),
    "a foreign folder": Tampering(
        lambda hand: hand.write("x/00000001.json", b"{}"), Trouble.FOREIGN, None, "nothing of ours has this name"
    ),
    "a file with a row's name": Tampering(
        lambda hand: hand.write(ROWS + 1, b"{}"), Trouble.FOREIGN, ROWS + 1, "it is JSON and no evidence row"
    ),
    "a file far behind": Tampering(
        lambda hand: hand.write(500, b"{}"), Trouble.MISSING, ROWS + 1, "so is every row up to 499"
    ),
    "garbage in HEAD.json": Tampering(
        lambda hand: hand.write("HEAD.json", b"{}"), Trouble.ALTERED, None, "it cannot be understood"
    ),
    "the whole tail written anew": Tampering(
        lambda hand: hand.rewrite_from(3, ROWS), Trouble.ALTERED, ROWS, "HEAD.json remembers another row 6"
    ),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_the_first_bad_row_is_named_by_the_chain_and_head_alone(plain: Ledger, name: str) -> None:
    tampering = TAMPERINGS[name]
    many(plain, ROWS)
    assert plain.verify().status is Status.PASS
    tampering.do(Hand(plain))
    report = plain.verify()
    assert report.status is Status.FAIL
    assert report.first
    assert (report.first.trouble, report.first.sequence) == (tampering.trouble, tampering.sequence)
    assert tampering.why in report.first.why
    assert str(report.first) in report.check().detail
    assert report.as_dict()["first_problem"] == str(report.first)


def test_two_swapped_rows_are_both_named_and_what_follows_them_is_not(plain: Ledger) -> None:
    many(plain, ROWS)
    swap(Hand(plain))
    assert [(one.trouble, one.sequence) for one in plain.verify().problems] == [
        (Trouble.REORDERED, 3),
        (Trouble.REORDERED, 5),
    ]


def test_one_altered_row_is_one_problem(plain: Ledger) -> None:
    many(plain, ROWS)
    Hand(plain).change(3, forge)
    assert len(plain.verify().problems) == 1


class TestWhatTheChainCannotShow:
    """Everything from a row on written anew with fresh hashes, and ``HEAD.json`` as well: no flaw is left inside."""

    def cover_up(self, ledger: Ledger) -> Hand:
        hand = Hand(ledger)
        last = hand.rewrite_from(3, ROWS)
        head = hand.read("HEAD.json")
        old = head.split(b'"sha256":"')[1][:64]
        hand.write("HEAD.json", head.replace(old, last.encode()))
        return hand

    def test_it_goes_undetected_without_versions_lock_or_a_witness_outside(self, plain: Ledger) -> None:
        rows = many(plain, ROWS)
        kept = LastRow(rows[-1].sequence, rows[-1].sha256)
        assert plain.verify(held=kept).status is Status.PASS
        self.cover_up(plain)
        assert plain.verify().status is Status.PASS  # said so in decision 0012

        report = plain.verify(held=kept)
        assert report.first
        assert (report.status, report.first.sequence) == (Status.FAIL, ROWS)
        assert "the number and hash that were given remembers another row 6" in report.first.why

    def test_kept_versions_name_the_first_rewritten_row(self, ledger: Ledger) -> None:
        many(ledger, ROWS)
        assert ledger.verify().status is Status.PASS
        self.cover_up(ledger)
        report = ledger.verify()
        assert report.first
        assert (report.first.trouble, report.first.sequence) == (Trouble.ALTERED, 3)
        assert "it was written again on" in report.first.why
        assert [one.sequence for one in report.problems] == [3, 4, 5, 6]

    def test_a_cut_end_with_head_cut_as_well_is_seen_in_the_versions_or_from_outside(
        self, ledger: Ledger, plain: Ledger
    ) -> None:
        for kept_in in (ledger, plain):
            rows = many(kept_in, 3)
            hand = Hand(kept_in)
            earlier = hand.read("HEAD.json")
            many_more = [kept_in.append(drill(f"later-{number}")) for number in range(2)]
            hand.delete(4)
            hand.delete(5)
            hand.write("HEAD.json", earlier)
            assert len(rows) + len(many_more) == 5
        seen = ledger.verify().first
        assert seen
        assert (seen.trouble, seen.sequence) == (Trouble.MISSING, 4)
        assert "it was deleted on" in seen.why
        assert plain.verify().status is Status.PASS  # said so in decision 0012
        last = many_more[-1]
        outside = plain.verify(held=LastRow(last.sequence, last.sha256)).first
        assert outside
        assert (outside.trouble, outside.sequence) == (Trouble.MISSING, 4)

    def test_with_object_lock_the_original_versions_cannot_be_removed(self, locked: Ledger) -> None:
        many(locked, ROWS)
        assert locked.verify().status is Status.PASS
        hand = self.cover_up(locked)
        originals = [
            version
            for version in locked.bucket.versions(locked.prefix)
            if version.key.endswith("3.json") and not version.is_latest
        ]
        with pytest.raises(ClientError, match="AccessDenied"):
            hand.s3.delete_object(Bucket=locked.bucket.name, Key=originals[0].key, VersionId=originals[0].version_id)
        first = locked.verify().first
        assert first
        assert (first.trouble, first.sequence) == (Trouble.ALTERED, 3)


class TestGoingOn:
    """A ledger that was tampered with still takes rows, and a later row never hides what happened."""

    def test_a_deleted_newest_row_leaves_its_gap(self, plain: Ledger) -> None:
        many(plain, 3)
        Hand(plain).delete(3)
        assert plain.append(drill("next")).sequence == 4
        first = plain.verify().first
        assert first
        assert (first.trouble, first.sequence) == (Trouble.MISSING, 3)

    def test_a_forged_newest_row_is_not_made_good_by_the_next(self, plain: Ledger) -> None:
        many(plain, 3)
        Hand(plain).change(3, forge)
        plain.append(drill("next"))
        first = plain.verify().first
        assert first
        assert (first.trouble, first.sequence) == (Trouble.ALTERED, 3)

    def test_garbage_at_the_next_number_blocks_nobody(self, plain: Ledger) -> None:
        many(plain, 3)
        Hand(plain).write(4, b"garbage")
        assert plain.append(drill("next")).sequence == 5
        assert plain.append(drill("last")).sequence == 6
        assert [(one.trouble, one.sequence) for one in plain.verify().problems] == [(Trouble.FOREIGN, 4)]

    def test_a_broken_head_stays_named(self, plain: Ledger) -> None:
        many(plain, 3)
        Hand(plain).write("HEAD.json", b"{}")
        assert plain.append(drill("next")).sequence == 4
        first = plain.verify().first
        assert first
        assert first.key == f"{plain.prefix}HEAD.json"

    def test_reading_passes_over_what_is_no_row_and_verify_says_it(self, plain: Ledger) -> None:
        rows = many(plain, 4)
        hand = Hand(plain)
        hand.write(2, b"garbage")
        hand.write(3, hand.read(1))
        assert list(plain.rows()) == [rows[0], rows[3]]
        visited: list[int] = []
        assert plain.verify(visit=lambda row: visited.append(row.sequence)).status is Status.FAIL
        assert visited == [1, 4]
