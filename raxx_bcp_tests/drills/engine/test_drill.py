"""What every drill promises: a verdict that is never falsely good, nothing left behind, and always a row."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from datetime import timedelta

import pytest

from raxx_bcp.drills.engine.drill import Drill, Source
from raxx_bcp.drills.engine.record import entry_of
from raxx_bcp.drills.engine.run import FinishedDrill, run_drill
from raxx_bcp.drills.engine.signals import CancelledError, cancelled_by_signals, signals_held
from raxx_bcp.errors import BackupWrongError, BcpError, CouldNotVerifyError, PermanentError, TransientError, UsageError
from raxx_bcp.evidence.row import CheckStatus, Verdict
from raxx_bcp_tests.drills.engine.doubles import START, Memory, Shelf, StillClock, order

AWAY = TransientError("The far side is away.", "Wait.")


def run(
    body: Callable[[Drill], None],
    *checks: str,
    memory: Memory | None = None,
    keep: bool = False,
    said: list[str] | None = None,
) -> FinishedDrill:
    clock = StillClock()
    words = [] if said is None else said
    return run_drill(
        order(*checks, keep=keep), body, memory or Memory(), clock=clock, sleep=clock.sleep, progress=words.append
    )


def good(drill: Drill) -> None:
    with drill.phase("verify"):
        drill.check("revision", expected="abc", actual="abc")


# -- the verdict -----------------------------------------------------------------------------------------


def test_every_promised_check_seen_to_be_right_is_a_pass() -> None:
    assert run(good, "revision").verdict is Verdict.PASS


def wrong(drill: Drill) -> None:
    drill.check("revision", expected="abc", actual="abd")


def nothing(drill: Drill) -> None:
    drill.progress("nothing to see")


def test_a_failed_check_is_a_fail_with_both_values() -> None:
    done = run(wrong, "revision")
    assert done.verdict is Verdict.FAIL
    (result,) = done.drill.results
    assert (result.expected, result.actual, result.reason) == ("abc", "abd", "expected abc, found abd")


def test_a_drill_that_checked_nothing_proves_nothing() -> None:
    assert run(nothing).verdict is Verdict.COULD_NOT_VERIFY


def test_a_promised_check_that_was_not_reached_is_recorded_and_no_pass() -> None:
    done = run(good, "revision", "row counts")
    assert done.verdict is Verdict.COULD_NOT_VERIFY
    assert [(one.name, one.status) for one in done.drill.results] == [
        ("revision", CheckStatus.PASS),
        ("row counts", CheckStatus.NOT_RUN),
    ]


def test_a_check_that_could_not_be_run_says_why_and_is_no_pass() -> None:
    def body(drill: Drill) -> None:
        good(drill)
        drill.not_run("extensions", "the catalogue may not be read")

    done = run(body, "revision")
    assert done.verdict is Verdict.COULD_NOT_VERIFY
    assert done.drill.results[-1].reason == "the catalogue may not be read"


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (AWAY, Verdict.COULD_NOT_VERIFY),
        (CouldNotVerifyError("It was denied.", "Ask."), Verdict.COULD_NOT_VERIFY),
        (BackupWrongError("There is no backup.", "Make one."), Verdict.FAIL),
        (PermanentError("The plan was refused.", "Look."), Verdict.COULD_NOT_VERIFY),
        (UsageError("There is no such backup.", "Choose another."), Verdict.COULD_NOT_VERIFY),
    ],
)
def test_an_error_ends_the_drill_and_is_a_finding(error: BcpError, verdict: Verdict) -> None:
    def body(drill: Drill) -> None:
        good(drill)
        raise error

    done = run(body, "revision")
    assert done.verdict is verdict
    assert done.drill.findings == [str(error)]


@pytest.mark.parametrize("mistake", [ValueError("bug"), RecursionError("deep"), KeyboardInterrupt(), CancelledError()])
def test_a_mistake_in_the_program_and_a_cancellation_say_nothing_of_the_backup(mistake: BaseException) -> None:
    def body(drill: Drill) -> None:
        good(drill)
        raise mistake

    memory = Memory()
    with pytest.raises(type(mistake)):
        run(body, "revision", memory=memory)
    (drill,) = memory.rows
    assert drill.verdict is Verdict.COULD_NOT_VERIFY
    assert "bug" not in " ".join(drill.findings), "its text is not put on record"


def test_what_was_seen_to_be_wrong_stays_a_fail_also_when_the_rest_is_unknown() -> None:
    def body(drill: Drill) -> None:
        drill.check("revision", expected="abc", actual="abd")
        raise AWAY

    assert run(body, "revision").verdict is Verdict.FAIL


def test_a_drill_without_an_operator_is_not_begun() -> None:
    memory = Memory()
    clock = StillClock()
    with pytest.raises(UsageError, match="no operator"):
        run_drill(order(operator=" "), good, memory, clock=clock, sleep=clock.sleep)
    assert memory.begun == []
    assert memory.rows == []


# -- leases ----------------------------------------------------------------------------------------------


def leasing(shelf: Shelf, then: Callable[[Drill], None] = good) -> Callable[[Drill], None]:
    def body(drill: Drill) -> None:
        for name in ("app", "database"):
            drill.lease(shelf.lease(name, usd_per_hour=2.0), lambda name=name: shelf.make(name))  # type: ignore[misc]
        then(drill)

    return body


def raising(error: BaseException) -> Callable[[Drill], None]:
    def body(_drill: Drill) -> None:
        raise error

    return body


@pytest.mark.parametrize(
    "error", [None, AWAY, PermanentError("x", "y"), ValueError("bug"), KeyboardInterrupt(), CancelledError()], ids=repr
)
def test_on_every_way_out_all_is_given_back_last_in_first_out_and_a_row_is_there(error: BaseException | None) -> None:
    shelf, memory = Shelf(), Memory()
    body = leasing(shelf, raising(error) if error else good)
    if error is None or isinstance(error, BcpError):
        run(body, "revision", memory=memory)
    else:
        with pytest.raises(type(error)):
            run(body, "revision", memory=memory)
    assert shelf.released == ["database", "app"]
    assert shelf.there == set()
    (drill,) = memory.rows
    assert drill.leases.confirmed
    assert (drill.verdict is Verdict.PASS) is (error is None)
    assert len(memory.begun) == 1


def test_a_resource_whose_creation_never_answered_is_given_back_too() -> None:
    shelf = Shelf()

    def body(drill: Drill) -> None:
        def made_but_lost() -> str:
            shelf.make("app")
            raise AWAY

        drill.lease(shelf.lease("app"), made_but_lost)

    run(body)
    assert shelf.there == set()


def test_one_that_cannot_be_given_back_does_not_stop_the_others_and_is_named() -> None:
    shelf = Shelf(trouble={"database": PermanentError("The delete was refused.", "Ask.")})
    done = run(leasing(shelf), "revision")
    assert shelf.there == {"database"}
    assert not done.drill.leases.confirmed
    assert done.drill.findings == ["thing database may still be there: The delete was refused."]
    assert done.verdict is Verdict.COULD_NOT_VERIFY, "the restore was good, and something still stands"


def test_a_delete_that_lies_is_not_believed() -> None:
    shelf = Shelf(lies={"app"})
    done = run(leasing(shelf), "revision")
    (app,) = [one for one in done.drill.leases.returned if one.name == "app"]
    assert (app.gone_utc, app.problem) == (None, "its deletion was accepted, and it is still listed")


def test_a_release_that_works_at_the_second_try_is_confirmed() -> None:
    shelf = Shelf(trouble={"app": AWAY})
    clock = StillClock()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        shelf.trouble.clear()

    done = run_drill(order("revision"), leasing(shelf), Memory(), clock=clock, sleep=sleep)
    assert done.drill.leases.confirmed
    assert shelf.there == set()


def test_kept_means_left_standing_until_the_lease_ends() -> None:
    shelf = Shelf()
    done = run(leasing(shelf), "revision", keep=True)
    assert shelf.there == {"app", "database"}
    assert {one.kept_until_utc for one in done.drill.leases.returned} == {START + timedelta(hours=4)}
    assert not done.drill.leases.confirmed
    assert done.verdict is Verdict.COULD_NOT_VERIFY
    assert "thing app was kept until 2031-03-14 13:00 UTC on request" in done.drill.findings[1]


def test_a_cancelled_drill_keeps_nothing() -> None:
    shelf = Shelf()
    with pytest.raises(KeyboardInterrupt):
        run(leasing(shelf, raising(KeyboardInterrupt())), keep=True)
    assert shelf.there == set()


# -- the record ------------------------------------------------------------------------------------------


def test_what_cannot_be_put_on_record_is_not_begun() -> None:
    shelf, memory = Shelf(), Memory(refuses=AWAY)
    with pytest.raises(TransientError):
        run(leasing(shelf), memory=memory)
    assert shelf.released == []
    assert memory.rows == []


def test_a_row_that_cannot_be_written_is_an_error_after_everything_was_given_back() -> None:
    shelf, memory = Shelf(), Memory(loses=AWAY)
    with pytest.raises(TransientError):
        run(leasing(shelf), "revision", memory=memory)
    assert shelf.there == set()


def test_phases_carry_their_times_and_rto_leaves_the_teardown_out() -> None:
    clock = StillClock()

    def body(drill: Drill) -> None:
        with drill.phase("restore"):
            drill.sleep(90)
        with drill.phase("verify"):
            drill.sleep(10)
            drill.check("revision", expected=1, actual=1)
        drill.source(Source("b1", START - timedelta(hours=3), "newest"))

    done = run_drill(order("revision"), body, Memory(), clock=clock, sleep=clock.sleep)
    assert [phase.name for phase in done.drill.phases] == ["restore", "verify", "teardown"]
    assert done.drill.phases[0].ended_utc == START + timedelta(seconds=90)
    assert (done.drill.rto_seconds, done.drill.rpo_seconds) == (100, 10800)


@pytest.mark.parametrize(
    "ending",
    [KeyboardInterrupt(), ZeroDivisionError(), AWAY, BackupWrongError("It is damaged.", "Take another.")],
    ids=["killed", "a mistake", "away", "the backup is wrong"],
)
@pytest.mark.parametrize("in_phase", ["restore", "verify", "between"])
def test_a_drill_that_was_cut_off_claims_no_restore_time(ending: BaseException, in_phase: str) -> None:
    clock, memory = StillClock(), Memory()

    def body(drill: Drill) -> None:
        with drill.phase("restore"):
            drill.sleep(90)
            if in_phase == "restore":
                raise ending
        with drill.phase("verify"):
            drill.sleep(10)
            if in_phase == "verify":
                raise ending
        raise ending

    with contextlib.suppress(KeyboardInterrupt, ZeroDivisionError):
        run_drill(order("revision"), body, memory, clock=clock, sleep=clock.sleep)
    (row,) = memory.rows
    told = entry_of(row, clock())
    assert (told.timing.rto.measured_seconds, told.timing.rto.met) == (None, None)


def test_a_drill_that_never_came_to_verify_claims_no_restore_time() -> None:
    clock = StillClock()

    def body(drill: Drill) -> None:
        with drill.phase("select"):
            drill.sleep(5)
        drill.not_run("revision", "the private key is not here")

    done = run_drill(order("revision"), body, Memory(), clock=clock, sleep=clock.sleep)
    assert done.drill.rto_seconds is None


def test_it_is_told_what_goes_on() -> None:
    said: list[str] = []
    run(leasing(Shelf()), "revision", said=said)
    assert "verify …" in said
    assert "  PASS     revision" in said
    assert "thing app: gone" in said


# -- signals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_teardown_waits_until_it_is_over(number: signal.Signals) -> None:
    seen: list[str] = []

    def finish() -> None:
        with signals_held():
            os.kill(os.getpid(), number)
            seen.append("finished")
        seen.append("never reached")

    with pytest.raises(CancelledError), cancelled_by_signals():
        finish()
    assert seen == ["finished"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_cancels_and_everything_is_given_back(number: signal.Signals) -> None:
    shelf, memory = Shelf(), Memory()

    def body(drill: Drill) -> None:
        os.kill(os.getpid(), number)
        drill.sleep(1)
        pytest.fail("the signal did not arrive")

    with pytest.raises(CancelledError), cancelled_by_signals():
        run(leasing(shelf, body), memory=memory)
    assert shelf.there == set()
    assert memory.rows[0].verdict is Verdict.COULD_NOT_VERIFY


def test_without_a_signal_nothing_changes() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with cancelled_by_signals(), signals_held():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
