"""Each condition of the gate shuts it alone and says so, and the healthy history opens it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec
import pytest

from raxx_bcp.checks import Status
from raxx_bcp.errors import UsageError
from raxx_bcp.evidence.chain import ChainReport, Problem, Trouble
from raxx_bcp.evidence.gate import (
    A_DRILL_EXISTS,
    CARDS,
    PASSED,
    RECENT_ENOUGH,
    REVIEWED,
    TEARDOWN_CONFIRMED,
    GateDecision,
    card_named,
    gate,
    history_of,
)
from raxx_bcp.evidence.head import LastRow
from raxx_bcp.evidence.row import GENESIS_SHA256, Decision, DrillEntry, Entry, EvidenceRow, Verdict
from raxx_bcp.evidence.row_hash import seal
from raxx_bcp_tests.conftest import NOW
from raxx_bcp_tests.evidence.world import LEFT, at, drill, review

HEROKU = card_named("heroku-postgres")
FREESCOUT = card_named("freescout")
INTACT = ChainReport(rows=1, last=LastRow(1, "ab" * 32))
BROKEN = ChainReport(rows=1, last=None, problems=(Problem(Trouble.MISSING, 3, "evidence/00000003.json", "gone"),))
UNKNOWN = ChainReport(rows=1, last=None, unknowns=("the versions could not be seen",))


def rows(*entries: Entry) -> list[EvidenceRow]:
    made: list[EvidenceRow] = []
    for entry in entries:
        before = made[-1].sha256 if made else GENESIS_SHA256
        made.append(seal(entry, sequence=len(made) + 1, previous_sha256=before, written=NOW)[0])
    return made


def decide(history: Sequence[EvidenceRow], chain: ChainReport = INTACT, **named: bool) -> GateDecision:
    return gate(history, HEROKU, NOW, chain, **named)


def missing(decision: GateDecision) -> list[str]:
    return [condition.name for condition in decision.missing]


def test_a_recent_pass_opens_it_and_the_decision_says_why() -> None:
    decision = decide(rows(drill(ended=at(30))))
    assert decision.open
    assert (decision.status, decision.row_sequence, decision.drill) == (Status.PASS, 1, "heroku_postgres")
    assert [condition.name for condition in decision.conditions] == [
        A_DRILL_EXISTS,
        PASSED,
        RECENT_ENOUGH,
        TEARDOWN_CONFIRMED,
        "chain_intact",
    ]
    assert decision.reason == (
        "open: row 1 is drill heroku_postgres-1; row 1 is PASS, 1 of 1 checks passed; row 1 is 30.0 days old, at most "
        "90 are allowed; all that row 1 made was seen to be gone."
    )
    assert decision.check().name == "gate_heroku_postgres"
    assert decision.check().status is Status.PASS


def test_no_drill_at_all() -> None:
    for history in ([], rows(drill(kind="freescout_dump"))):
        decision = decide(history)
        assert not decision.open
        assert (missing(decision), decision.row_sequence) == ([A_DRILL_EXISTS], None)
        assert decision.reason == "shut: no row of a drill heroku_postgres."
        assert decision.status is Status.FAIL


def test_a_failed_drill() -> None:
    decision = decide(rows(drill(verdict=Verdict.FAIL)))
    assert missing(decision) == [PASSED]
    assert "row 1 is FAIL (row counts); only a newer pass opens the gate" in decision.reason
    assert decision.status is Status.FAIL


def test_could_not_verify_is_neither_passed_nor_fresh() -> None:
    decision = decide(rows(drill(verdict=Verdict.COULD_NOT_VERIFY)))
    assert missing(decision) == [PASSED, RECENT_ENOUGH]
    assert decision.status is Status.COULD_NOT_VERIFY
    assert "row 1 is COULD_NOT_VERIFY (sample)" in decision.reason
    assert "it is not fresh at any age" in decision.reason


def test_a_failure_after_a_pass_shuts_it_until_a_newer_pass() -> None:
    history = rows(drill("a", ended=at(9)), drill("b", ended=at(5), verdict=Verdict.FAIL), drill("c", ended=at(1)))
    assert decide(history[:1]).open
    assert missing(decide(history[:2])) == [PASSED]
    opened = decide(history)
    assert opened.open
    assert opened.row_sequence == 3


def test_could_not_verify_after_a_pass_changes_nothing() -> None:
    history = rows(drill("a", ended=at(80)), drill("b", ended=at(5), verdict=Verdict.COULD_NOT_VERIFY))
    decision = decide(history)
    assert decision.open
    assert decision.row_sequence == 1
    old = decide(rows(drill("a", ended=at(91)), drill("b", ended=at(5), verdict=Verdict.COULD_NOT_VERIFY)))
    assert missing(old) == [RECENT_ENOUGH]


def test_what_counts_is_when_the_drill_ended_and_not_when_its_row_was_written() -> None:
    late_row = rows(drill("failed", ended=at(2), verdict=Verdict.FAIL), drill("passed before", ended=at(3)))
    assert missing(decide(late_row)) == [PASSED]
    assert decide(rows(drill("failed", ended=at(3), verdict=Verdict.FAIL), drill("passed", ended=at(2)))).open


@pytest.mark.parametrize(("days", "opens"), [(0, True), (89.9, True), (90, True), (90.01, False), (400, False)])
def test_how_old_it_may_be(*, days: float, opens: bool) -> None:
    decision = decide(rows(drill(ended=at(days))))
    assert decision.open is opens
    assert missing(decision) == ([] if opens else [RECENT_ENOUGH])
    assert gate(rows(drill(ended=at(days))), HEROKU, NOW, INTACT, max_age_days=500).open


def test_a_drill_from_the_future_is_not_fresh_for_ever() -> None:
    decision = decide(rows(drill(ended=NOW + timedelta(days=365))))
    assert missing(decision) == [RECENT_ENOUGH]
    assert decision.status is Status.COULD_NOT_VERIFY
    assert "2032-03-13 09:00 UTC, which is in the future" in decision.reason
    assert decide(rows(drill(ended=NOW + timedelta(minutes=4)))).open


def test_a_teardown_that_is_not_confirmed() -> None:
    """No such PASS can be made; one that somebody forged past the types does not open the gate either."""
    passed, left = drill(), drill(verdict=Verdict.FAIL, resources=(LEFT,))
    forged = msgspec.structs.force_setattr
    entry = msgspec.structs.replace(passed)
    forged(entry, "teardown", left.teardown)
    row = rows(passed)[0]
    forged(row, "entry", entry)
    decision = decide([row])
    assert missing(decision) == [TEARDOWN_CONFIRMED]
    assert "not seen to be gone: heroku app raxx-drill-2" in decision.reason


def test_a_broken_ledger_and_one_that_cannot_be_judged() -> None:
    broken = decide(rows(drill()), BROKEN)
    assert (missing(broken), broken.status) == (["chain_intact"], Status.FAIL)
    assert "row 3 (evidence/00000003.json) is missing: gone" in broken.reason
    unknown = decide(rows(drill()), UNKNOWN)
    assert (missing(unknown), unknown.status, unknown.open) == (["chain_intact"], Status.COULD_NOT_VERIFY, False)


class TestReview:
    def test_it_is_asked_for_only_where_the_policy_says_so(self) -> None:
        history = rows(drill(operator="alice"))
        assert decide(history).open
        decision = decide(history, reviewer_required=True)
        assert missing(decision) == [REVIEWED]
        assert "nobody else than its operator alice has accepted row 1" in decision.reason
        (row,) = history
        assert decide([row, *_sealed(review(row))], reviewer_required=True).open

    def test_the_operators_own_word_does_not_count(self) -> None:
        (row,) = rows(drill(operator="alice"))
        for name in ("alice", " Alice ", "ALICE"):
            assert missing(decide([row, *_sealed(review(row, reviewer=name))], reviewer_required=True)) == [REVIEWED]

    def test_a_word_on_another_row_or_another_content_does_not_count(self) -> None:
        first, second = rows(drill("a", ended=at(5)), drill("b"))
        assert missing(decide([first, second, *_sealed(review(first))], reviewer_required=True)) == [REVIEWED]
        other = msgspec.structs.replace(review(second), row_sha256="00" * 32)
        assert missing(decide([first, second, *_sealed(other)], reviewer_required=True)) == [REVIEWED]

    def test_a_rejection_shuts_it_whatever_the_policy_says_until_it_is_taken_back(self) -> None:
        (row,) = rows(drill())
        rejected = review(row, decision=Decision.REJECTED, at=at(2))
        for required in (True, False):
            decision = decide([row, *_sealed(rejected)], reviewer_required=required)
            assert missing(decision) == [REVIEWED]
            assert "row 1 was rejected by bob" in decision.reason
            again = review(row, decision=Decision.ACCEPTED, at=at(1))
            assert decide([row, *_sealed(rejected, again)], reviewer_required=required).open
            assert decide([row, *_sealed(again, rejected)], reviewer_required=required).open
            another = review(row, reviewer="carol", at=at(1))
            assert not decide([row, *_sealed(rejected, another)], reviewer_required=required).open


def _sealed(*entries: Entry) -> list[EvidenceRow]:
    return [seal(entry, sequence=50 + n, previous_sha256="cd" * 32, written=NOW)[0] for n, entry in enumerate(entries)]


class TestCards:
    def test_freescout_takes_either_tier(self) -> None:
        for kind in ("freescout_snapshot", "freescout_dump"):
            decision = gate(rows(drill(kind=kind)), FREESCOUT, NOW, INTACT)
            assert (decision.open, decision.drill) == (True, kind)

    def test_one_tier_failing_does_not_shut_what_the_other_opens(self) -> None:
        history = rows(drill("a", kind="freescout_snapshot", verdict=Verdict.FAIL), drill("b", kind="freescout_dump"))
        assert gate(history, FREESCOUT, NOW, INTACT).drill == "freescout_dump"
        assert gate(history, FREESCOUT, NOW, INTACT).open

    def test_the_tier_that_is_nearest_to_opening_says_what_is_missing(self) -> None:
        decision = gate(rows(drill(kind="freescout_dump", ended=at(100))), FREESCOUT, NOW, INTACT)
        assert (decision.drill, missing(decision)) == ("freescout_dump", [RECENT_ENOUGH])

    def test_every_card_is_shut_without_its_drill_and_open_with_it(self) -> None:
        assert [card.name for card in CARDS] == [
            "heroku-postgres",
            "freescout",
            "vault",
            "vault-snapshot",
            "terraform-state",
        ]
        for card in CARDS:
            others = [drill(kind, kind=kind) for other in CARDS if other is not card for kind in other.drills]
            assert not gate(rows(*others), card, NOW, INTACT).open
            assert gate(rows(*others, drill("own", kind=card.drills[0])), card, NOW, INTACT).open

    def test_an_unknown_card_is_wrong_use(self) -> None:
        with pytest.raises(UsageError, match="no BCP card postgres") as caught:
            card_named("postgres")
        assert "heroku-postgres, freescout, vault, vault-snapshot, terraform-state" in caught.value.remedy


def test_the_order_in_which_rows_come_does_not_matter() -> None:
    history = rows(
        drill("a", ended=at(9)),
        drill("b", ended=at(5), verdict=Verdict.FAIL),
        drill("c", ended=at(1)),
        drill("d", ended=at(7)),
    )
    assert decide(history[::-1]) == decide(history)
    assert gate(history_of(history), HEROKU, NOW, INTACT) == decide(history)


def test_the_history_stays_small_however_long_the_ledger_is() -> None:
    history = history_of(rows(*(drill(f"drill-{n}", ended=at(n)) for n in range(50))))
    assert len(history.newest) == 1
    found = history.deciding("heroku_postgres")
    assert found
    assert isinstance(found.entry, DrillEntry)
    assert found.entry.identity.drill_id == "drill-0"
