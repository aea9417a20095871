"""What is asked again and again is asked until its deadline, whatever answers meanwhile; a definite answer ends it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from raxx_bcp.checks import Check, Status
from raxx_bcp.clients.heroku import Heroku
from raxx_bcp.clients.heroku_shapes import RawTransfer, Transfer
from raxx_bcp.drills.engine.drill import Drill
from raxx_bcp.drills.heroku_postgres import restore_drill
from raxx_bcp.errors import (
    BcpError,
    CouldNotVerifyError,
    PermanentError,
    TransientError,
    UnreadableAnswerError,
)
from raxx_bcp.policy import HerokuPostgres
from raxx_bcp.snapshots.run import _confirm
from raxx_bcp.waiting import Deadline, Waiting
from raxx_bcp_tests.clients.damage import DAMAGES, MARK
from raxx_bcp_tests.clients.herokus import (
    RESTORE,
    RESTORED_INTO,
    RUNNING,
    a_transfer,
    asked,
    attachments,
    connect,
    problem,
    reply,
)
from raxx_bcp_tests.clients.leaks import everything_held
from raxx_bcp_tests.clients.servers import Reply, scripted
from raxx_bcp_tests.drills.engine.doubles import StillClock, order

POLICY = HerokuPostgres(poll_seconds=60, provision_deadline_minutes=5, rto_minutes=5)
UNREADABLE = UnreadableAnswerError("It was a page.", "Look.")
AWAY = TransientError("It is away.", "Wait.")


def late(seen: str) -> CouldNotVerifyError:
    return CouldNotVerifyError(f"It was late: {seen}", "Wait longer.")


def looking(*found: object) -> Callable[[], str | Waiting]:
    rest = list(found)

    def look() -> str | Waiting:
        one = rest.pop(0) if len(rest) > 1 else rest[0]
        if isinstance(one, BcpError):
            raise one
        assert isinstance(one, str | Waiting)
        return one

    return look


def patience(clock: StillClock) -> Deadline:
    return Deadline.of(5, 60, clock, clock.sleep)


@pytest.mark.parametrize("trouble", [UNREADABLE, AWAY], ids=["unreadable", "away"])
def test_a_look_that_fails_is_not_the_end(trouble: BcpError) -> None:
    clock, told = StillClock(), list[str]()
    assert patience(clock).ask(looking(trouble, Waiting("pending"), trouble, "there"), late, told.append) == "there"
    assert told == [f"not seen: {trouble.what}", "pending", f"not seen: {trouble.what}"]


def test_the_deadline_is_and_names_what_was_seen_last() -> None:
    clock = StillClock()
    began = clock()
    with pytest.raises(CouldNotVerifyError, match=r"It was late: not seen: It was a page\."):
        patience(clock).ask(looking(Waiting("pending"), UNREADABLE), late)
    assert clock() - began == timedelta(minutes=5)


@pytest.mark.parametrize("definite", [PermanentError("It is gone.", "See."), CouldNotVerifyError("Denied.", "Ask.")])
def test_a_definite_answer_ends_it_at_once(definite: BcpError) -> None:
    clock = StillClock()
    with pytest.raises(type(definite)) as caught:
        patience(clock).ask(looking(Waiting("pending"), definite, "never"), late)
    assert caught.value is definite


# -- Lightsail's old snapshots ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "detail"),
    [
        ([UNREADABLE, "there", AWAY, None], ""),
        (["there"], "accepted for deletion and still there: s1."),
        (["there", UNREADABLE], "whether the old ones are gone is not known: not seen: It was a page."),
        ([CouldNotVerifyError("Denied.", "Ask.")], "whether the old ones are gone is not known: Denied."),
    ],
    ids=["gone at last", "still there", "unreadable", "denied"],
)
def test_a_deleted_snapshot_is_looked_for_until_the_deadline(seen: list[object], detail: str) -> None:
    clock, rest = StillClock(), list(seen)

    def get(_name: str) -> object:
        one = rest.pop(0) if len(rest) > 1 else rest[0]
        if isinstance(one, BcpError):
            raise one
        return one

    home: Any = SimpleNamespace(get=get)
    pruned: Any = SimpleNamespace(deleted=("s1",))
    good = Check("retention", Status.PASS, "7 of 7 kept, 1 deleted.")
    found = _confirm(home, pruned, good, patience(clock))
    assert (found.status, found.detail) == ((Status.WARN, detail) if detail else (Status.PASS, good.detail))


# -- Heroku ----------------------------------------------------------------------------------------------


def drill_of(clock: StillClock) -> Drill:
    return Drill(order(), clock, clock.sleep, lambda _message: None)


READY = reply({"message": "available", "waiting?": False})
INFO = reply({"plan": "essential-0", "num_bytes": 1, "info": [{"name": "PG Version", "values": ["17.4"]}]})
BEGUN = (attachments("DATABASE"), reply([]), reply(a_transfer(**RESTORE, **RUNNING)))
OVER = reply(a_transfer(**RESTORE))
BACKUP: Transfer = RawTransfer(uuid="b", num=1, from_type="pg_dump", to_type="gof3r", finished_at=None).told()
_HARMLESS = ("keys twice", "numbers without end", "a length that is none", "headers that are none")
NOT_HEROKUS = [name for name in DAMAGES if name not in _HARMLESS]


def await_database(heroku: Heroku, clock: StillClock) -> str:
    drill = drill_of(clock)
    restore_drill._await_database(drill, heroku, POLICY, RESTORED_INTO)
    return drill.target["postgres"]


@pytest.mark.parametrize("damage", NOT_HEROKUS)
def test_a_damaged_wait_status_is_asked_again_and_the_drill_goes_on(damage: str) -> None:
    clock = StillClock()
    broken = DAMAGES[damage](reply({"message": MARK, "waiting?": False}))
    with scripted(broken, READY, INFO) as served, connect(served) as heroku:
        assert await_database(heroku, clock) == "17.4"


@pytest.mark.parametrize("damage", ["a page", "a teapot", "first half", "no UTF-8", "a failing proxy"])
def test_one_that_stays_damaged_is_could_not_verify_at_the_deadline(damage: str) -> None:
    clock = StillClock()
    broken = DAMAGES[damage](reply({"message": MARK, "waiting?": True}))
    began = clock()
    with scripted(broken) as served, connect(served) as heroku, pytest.raises(CouldNotVerifyError) as caught:
        await_database(heroku, clock)
    assert "was not ready after 5 minutes: not seen: Heroku" in caught.value.what
    assert clock() - began >= timedelta(minutes=5)
    assert MARK[:7] not in everything_held(caught.value)


def test_a_key_that_is_refused_while_it_waits_ends_it_at_once() -> None:
    clock = StillClock()
    began = clock()
    refused = problem(401, "unauthorized")
    with (
        scripted(refused) as served,
        connect(served) as heroku,
        pytest.raises(PermanentError, match="refused the API key"),
    ):
        await_database(heroku, clock)
    assert clock() == began


def restore(heroku: Heroku, clock: StillClock) -> Drill:
    drill = drill_of(clock)
    expected: Any = SimpleNamespace(extension_schemas={})
    restore_drill._restore(drill, heroku, POLICY, BACKUP, RESTORED_INTO, expected, patience(clock))
    return drill


SINGLE = ["a page", "a teapot", "first half", "no UTF-8", "empty", "nested lists without end"]
SIGNED = reply({"url": "https://s3.example.com/b", "expires_at": None})


@pytest.mark.parametrize("damage", SINGLE)
def test_a_damaged_look_at_a_restore_is_not_its_end(damage: str) -> None:
    broken = DAMAGES[damage](reply(a_transfer(**RESTORE, from_url=MARK)))
    running = reply(a_transfer(**RESTORE, **RUNNING))
    clock = StillClock()
    with (
        scripted(SIGNED, *BEGUN, broken, running, broken, OVER, broken, OVER) as served,
        connect(served) as heroku,
    ):
        drill = restore(heroku, clock)
    assert {one.status.value for one in drill.results} == {"PASS"}
    assert sum("/transfers/" in one for one in asked(served)) >= 5


def test_a_restore_that_cannot_be_seen_until_the_deadline_is_cancelled_and_could_not_be_verified() -> None:
    page = Reply(b"<html>planted</html>", content_type="text/html")
    clock = StillClock()
    with (
        scripted(SIGNED, *BEGUN, page) as served,
        connect(served) as heroku,
        pytest.raises(CouldNotVerifyError) as caught,
    ):
        restore(heroku, clock)
    assert "was not over after 5 minutes, and was cancelled: not seen: Heroku answered 200" in caught.value.what
    assert asked(served)[-1].endswith("/actions/cancel")
    assert "planted" not in everything_held(caught.value)
