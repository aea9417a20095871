"""What may go of FreeScout's dump sets: the pure plan."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from raxx_bcp.clients.s3 import StoredObject
from raxx_bcp.freescout.retention import Plan, SetState, StoredSet, plan

TODAY = date(2031, 3, 14)  # a Friday


def ago(days: int) -> str:
    return (TODAY - timedelta(days=days)).isoformat()


def one(days: int, state: SetState = SetState.GOOD, *bases: int, foreign: tuple[str, ...] = ()) -> StoredSet:
    file = StoredObject(f"d/{ago(days)}/env.gpg", 1, "e", None, datetime(2031, 3, 14, tzinfo=UTC))
    return StoredSet(ago(days), state, (file,), frozenset(map(ago, bases)), foreign)


def decided(*sets: StoredSet, needed: int | None = None) -> Plan:
    day = "" if needed is None else ago(needed)
    return plan(sets, daily=7, weekly=4, today=TODAY.isoformat(), needed_day=day)


def stays(made: Plan) -> list[int]:
    return [(TODAY - date.fromisoformat(kept.stored.day)).days for kept in made.keep]


def goes(made: Plan) -> list[int]:
    return [(TODAY - date.fromisoformat(gone.day)).days for gone in made.delete]


def test_seven_daily_and_the_newest_of_four_weeks_stay() -> None:
    made = decided(*(one(days) for days in range(40)))
    assert stays(made) == [0, 1, 2, 3, 4, 5, 6, 12, 19], "today's week, and the Sundays of the three before"
    assert goes(made) == [days for days in range(40) if days not in stays(made)]
    assert made.keep[-1].because == "weekly: 2031-W08"


def test_seven_are_left_alone() -> None:
    assert goes(decided(*(one(days) for days in range(7)))) == []


def test_nothing_goes_while_the_newest_is_not_good() -> None:
    for state in (SetState.NO_MANIFEST, SetState.NOT_WHOLE, SetState.STRANGE):
        made = decided(one(0, state), *(one(days) for days in range(1, 30)))
        assert made.delete == ()
        assert f"the newest set, of {ago(0)}, is not good" in made.why_not


def test_nothing_goes_while_the_newest_is_late() -> None:
    sets = [one(days) for days in range(2, 30)]
    assert decided(*sets, needed=1).delete == ()
    assert "is due" in decided(*sets, needed=1).why_not
    assert goes(decided(*sets, needed=2))


def test_nothing_goes_where_there_is_nothing() -> None:
    assert decided().why_not == "there is no dump set"


def test_what_a_kept_set_builds_on_stays_and_what_that_builds_on() -> None:
    made = decided(
        *(one(days, SetState.GOOD, *([30] if days == 3 else [33] if days == 30 else [])) for days in range(40))
    )
    assert {30, 33} <= set(stays(made))
    assert f"the set of {ago(3)} builds on it" in [kept.because for kept in made.keep]
    assert {29, 31, 32} <= set(goes(made))


def test_a_set_without_a_manifest_is_kept_as_a_base() -> None:
    made = decided(*(one(days, SetState.GOOD, 30) for days in range(10)), one(30, SetState.NO_MANIFEST))
    assert 30 in stays(made)


def test_what_did_not_finish_goes_when_it_is_older_than_all_daily_ones() -> None:
    good = [one(days) for days in range(10) if days != 4]
    made = decided(*good, one(4, SetState.NO_MANIFEST), one(30, SetState.NO_MANIFEST), one(31, SetState.NOT_WHOLE))
    assert 4 in stays(made)
    assert {30, 31} <= set(goes(made))
    few = decided(*(one(days) for days in range(6)), one(30, SetState.NO_MANIFEST))
    assert goes(few) == [], "fewer good ones than are promised: nothing goes"


def test_a_set_with_a_strange_manifest_is_not_ours() -> None:
    made = decided(*(one(days) for days in range(10)), one(30, SetState.STRANGE))
    assert 30 in stays(made)


def test_a_set_of_tomorrow_is_neither_newest_nor_old() -> None:
    made = decided(one(-1, SetState.NO_MANIFEST), *(one(days) for days in range(10)))
    assert -1 not in [*stays(made), *goes(made)]
    assert made.why_not == ""


def test_the_plan_tells_what_in_the_folder_is_not_ours() -> None:
    made = decided(*(one(days) for days in range(30)), one(40, SetState.NO_MANIFEST, foreign=("d/notes.txt",)))
    assert "not ours, stays: d/notes.txt" in made.lines()


@given(
    st.dictionaries(
        st.integers(-3, 60),
        st.tuples(st.sampled_from(list(SetState)), st.lists(st.integers(0, 60), max_size=2)),
        max_size=40,
    )
)
def test_over_random_lists(drawn: dict[int, tuple[SetState, list[int]]]) -> None:
    sets = [one(days, state, *bases) for days, (state, bases) in drawn.items()]
    made = decided(*sets)
    gone, kept = set(goes(made)), set(stays(made))
    assert not gone & kept
    assert gone | kept == {days for days in drawn if days >= 0}, "each has its place"
    good = sorted(days for days, (state, _) in drawn.items() if state is SetState.GOOD and days >= 0)
    assert not gone & set(good[:7])
    assert not gone or (len(good) >= 7 and min(kept) == good[0])
    assert not gone & {days for days, (state, _) in drawn.items() if state is SetState.STRANGE}
    assert not gone & {base for days in kept for base in drawn[days][1]} or made.why_not


def test_what_a_set_that_is_not_whole_builds_on_stays_with_it() -> None:
    """Its newest files may be the only ones of that night: without their base they could not be read."""
    nights = [one(days) for days in range(40)]
    broken = one(3, SetState.NOT_WHOLE, 60)
    assert {3, 60} <= set(stays(decided(*nights[:3], broken, *nights[4:], one(60))))
    assert 60 in goes(decided(*nights, one(60))), "nothing builds on it"
