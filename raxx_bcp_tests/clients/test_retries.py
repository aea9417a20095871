"""The one rule of repeating: what is sent again, for how long by a clock of our own, and what is said meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from raxx_bcp.clients.retries import (
    AwayError,
    BusyError,
    RateLimitedError,
    Repeat,
    Repeater,
    UnconnectedError,
    waits_told,
)
from raxx_bcp.errors import PermanentError

SERVICE = "the vault at https://vault.raxx.example"


class Clock:
    """Time passes only by sleeping, and by attempts that take their time."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def repeater(clock: Clock, attempts: int = 4) -> Repeater:
    return Repeater(SERVICE, attempts=attempts, sleep=clock.sleep, clock=clock)


def away() -> BusyError:
    return AwayError("It answered GET /x with 503.", "Look.", "it answers 503")


def unconnected() -> BusyError:
    return UnconnectedError("It cannot be reached.", "Look.", "connection refused")


def limited() -> BusyError:
    return RateLimitedError("It answered GET /x with 429.", "Look.", "it answers 429", 30.0)


def broken() -> BusyError:
    return BusyError("It cannot be reached.", "Look.", "the connection failed (RemoteDisconnected)")


def failing(
    error: Callable[[], BusyError], clock: Clock, *, until: float = 1e9, takes: float = 0.0
) -> Callable[[], str]:
    """Fails until ``until`` seconds have gone by; each attempt takes ``takes``."""
    began = clock.now

    def once() -> str:
        clock.now += takes
        if clock.now - began < until:
            raise error()
        return "answer"

    return once


@pytest.mark.parametrize("error", [away, unconnected])
def test_a_restart_of_a_real_server_is_outlasted(clock: Clock, error: Callable[[], BusyError]) -> None:
    assert repeater(clock).run(failing(error, clock, until=17), Repeat.ANYTHING) == "answer"
    assert clock.now - 1_000 < 17 + 6, "its return is seen soon"


@pytest.mark.parametrize("error", [away, unconnected])
@pytest.mark.parametrize("takes", [0.0, 0.7, 10.0])
def test_patience_ends_after_a_minute_however_long_the_attempts_take(
    clock: Clock, error: Callable[[], BusyError], takes: float
) -> None:
    with pytest.raises(type(error())):
        repeater(clock).run(failing(error, clock, takes=takes), Repeat.ANYTHING)
    assert 59.9 < clock.now - 1_000 < 60.1 + 2 * takes


def test_what_is_back_within_the_minute_is_reached_and_what_comes_later_is_not(clock: Clock) -> None:
    assert repeater(clock).run(failing(unconnected, clock, until=59.9), Repeat.ANYTHING)
    with pytest.raises(UnconnectedError):
        repeater(clock).run(failing(unconnected, clock, until=61), Repeat.ANYTHING)


@pytest.mark.parametrize(("error", "waits"), [(limited, [30.0] * 3), (broken, None)])
def test_what_is_no_restart_is_given_up_after_the_attempts(
    clock: Clock, error: Callable[[], BusyError], waits: list[float] | None
) -> None:
    with pytest.raises(type(error())):
        repeater(clock).run(failing(error, clock), Repeat.ANYTHING)
    assert len(clock.slept) == 3
    assert waits is None or clock.slept == waits


def test_a_connection_that_broke_into_a_restart_uses_up_none_of_the_patience(clock: Clock) -> None:
    trouble = [broken(), unconnected(), unconnected(), away(), broken()]

    def once() -> str:
        if trouble:
            raise trouble.pop(0)
        return "answer"

    assert repeater(clock, attempts=3).run(once, Repeat.ANYTHING) == "answer"


@pytest.mark.parametrize(
    ("error", "repeat", "again"),
    [
        (away, Repeat.ANYTHING, True),
        (unconnected, Repeat.ANYTHING, True),
        (limited, Repeat.ANYTHING, True),
        (broken, Repeat.ANYTHING, True),
        (away, Repeat.UNDONE, False),
        (unconnected, Repeat.UNDONE, True),
        (limited, Repeat.UNDONE, True),
        (broken, Repeat.UNDONE, False),
        (away, Repeat.NEVER, False),
        (unconnected, Repeat.NEVER, False),
        (limited, Repeat.NEVER, False),
        (broken, Repeat.NEVER, False),
    ],
)
def test_a_request_is_sent_again_only_after_what_allows_it(
    clock: Clock, error: Callable[[], BusyError], repeat: Repeat, *, again: bool
) -> None:
    sent: list[int] = []

    def once() -> str:
        sent.append(1)
        if len(sent) == 1:
            raise error()
        return "answer"

    if again:
        assert repeater(clock).run(once, repeat) == "answer"
    else:
        with pytest.raises(BusyError):
            repeater(clock).run(once, repeat)
    assert len(sent) == 1 + again


def test_an_error_of_another_kind_is_no_reason_to_try_again(clock: Clock) -> None:
    def once() -> str:
        raise PermanentError("It is broken.", "Mend it.")

    with pytest.raises(PermanentError):
        repeater(clock).run(once, Repeat.ANYTHING)
    assert clock.slept == []


def test_waiting_says_what_for_and_for_how_long_at_most(clock: Clock) -> None:
    said: list[str] = []
    with waits_told(said.append):
        repeater(clock).run(failing(unconnected, clock, until=4), Repeat.ANYTHING)
        repeater(clock).run(failing(limited, clock, until=50), Repeat.ANYTHING)
    assert said == [
        f"waiting for {SERVICE}: connection refused; up to 60 s",
        f"waiting for {SERVICE}: it answers 429; trying again in 30 s",
        f"waiting for {SERVICE}: it answers 429; trying again in 30 s",
    ]


def test_a_long_wait_is_said_again_now_and_then_and_no_more_often(clock: Clock) -> None:
    said: list[str] = []
    with waits_told(said.append), pytest.raises(UnconnectedError):
        repeater(clock).run(failing(unconnected, clock), Repeat.ANYTHING)
    assert said == [f"waiting for {SERVICE}: connection refused; up to 60 s"] * 3


def test_many_threads_that_wait_for_the_same_say_it_once(clock: Clock) -> None:
    said: list[str] = []
    one = Repeater(SERVICE, attempts=2, sleep=lambda _seconds: None, clock=clock)

    def ask(_number: int) -> None:
        with pytest.raises(BusyError):
            one.run(failing(broken, clock), Repeat.ANYTHING)

    with waits_told(said.append), ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(8)))
    assert len(said) == 1


def test_what_answers_at_once_is_not_talked_about(clock: Clock) -> None:
    said: list[str] = []
    with waits_told(said.append):
        assert repeater(clock).run(lambda: "answer", Repeat.ANYTHING) == "answer"
    assert (said, clock.slept) == ([], [])


def test_who_was_told_before_is_told_again_afterwards(clock: Clock) -> None:
    outer: list[str] = []
    inner: list[str] = []
    with waits_told(outer.append):
        with waits_told(inner.append):
            repeater(clock).run(failing(unconnected, clock, until=1), Repeat.ANYTHING)
        repeater(clock).run(failing(unconnected, clock, until=1), Repeat.ANYTHING)
    assert (len(outer), len(inner)) == (1, 1)
