"""Which day a run belongs to: decided in UTC, once, from the time for which the run was scheduled."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raxx_bcp.clock import LATE_TICK, run_day

TICK = datetime(2026, 2, 3, 7, 0, tzinfo=UTC)


@pytest.fixture(params=["UTC", "Europe/Berlin", "America/Los_Angeles", "Pacific/Kiritimati", "Pacific/Niue"])
def machine_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The machine stands in this time zone."""
    zone = str(request.param)
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    yield zone
    monkeypatch.undo()
    time.tzset()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.usefixtures("machine_zone")
@pytest.mark.parametrize(
    ("now", "day"),
    [
        ("2026-02-03T23:59:59", "2026-02-03"),
        ("2026-02-04T00:00:00", "2026-02-04"),
        ("2026-02-04T00:01:00", "2026-02-04"),
        ("2026-03-29T01:30:00", "2026-03-29"),
        ("2026-10-25T00:30:00", "2026-10-25"),
        ("2028-02-29T23:59:00", "2028-02-29"),
        ("2026-12-31T23:59:59", "2026-12-31"),
    ],
)
def test_by_hand_it_is_the_day_in_utc_wherever_the_machine_stands(now: str, day: str) -> None:
    assert run_day(None, at(now)) == day


@pytest.mark.usefixtures("machine_zone")
@pytest.mark.parametrize(
    ("scheduled", "now", "day"),
    [
        ("2026-02-03T07:00:00", "2026-02-03T07:00:00", "2026-02-03"),
        ("2026-02-03T07:00:00", "2026-02-03T07:05:00", "2026-02-03"),
        ("2026-02-03T07:00:00", "2026-02-03T23:59:59", "2026-02-03"),
        ("2026-02-03T07:00:00", "2026-02-04T06:00:00", "2026-02-04"),
        ("2026-02-03T07:00:00", "2026-02-04T00:00:00", "2026-02-04"),
        ("2026-02-03T07:00:00", "2026-02-10T12:00:00", "2026-02-10"),
        ("2026-02-03T23:59:00", "2026-02-04T00:01:00", "2026-02-03"),
        ("2026-02-03T23:30:00", "2026-02-04T01:30:00", "2026-02-03"),
        ("2026-02-03T23:30:00", "2026-02-04T01:30:01", "2026-02-04"),
        ("2026-02-04T00:01:00", "2026-02-04T00:01:30", "2026-02-04"),
        ("2026-12-31T23:59:00", "2027-01-01T00:30:00", "2026-12-31"),
    ],
)
def test_a_tick_keeps_its_day_unless_it_runs_long_after_midnight(scheduled: str, now: str, day: str) -> None:
    assert run_day(at(scheduled), at(now)) == day


def test_two_hours_are_the_border() -> None:
    late = at("2026-02-03T23:00:00")
    assert run_day(late, late + LATE_TICK) == "2026-02-03"
    assert run_day(late, late + LATE_TICK + timedelta(microseconds=1)) == "2026-02-04"
    assert timedelta(hours=2) == LATE_TICK


def test_a_run_that_is_retried_within_its_window_keeps_its_day() -> None:
    days = {run_day(at("2026-02-03T23:30:00"), at("2026-02-03T23:31:00") + timedelta(minutes=m)) for m in (0, 30, 90)}
    assert days == {"2026-02-03"}


@pytest.mark.usefixtures("machine_zone")
def test_times_written_in_another_zone_mean_the_same_moment() -> None:
    berlin, samoa = timezone(timedelta(hours=1)), timezone(timedelta(hours=-11))
    assert run_day(TICK.astimezone(samoa), TICK.astimezone(berlin)) == "2026-02-03"
    assert run_day(None, at("2026-02-03T23:30:00").astimezone(berlin)) == "2026-02-03"
    assert run_day(None, at("2026-02-03T00:30:00").astimezone(samoa)) == "2026-02-03"


@given(
    scheduled=st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    late=st.timedeltas(timedelta(0), timedelta(days=3)),
)
def test_the_day_is_always_that_of_the_schedule_or_that_of_the_reading(scheduled: datetime, late: timedelta) -> None:
    now = scheduled + late
    day = run_day(scheduled, now)
    assert day in (scheduled.date().isoformat(), now.date().isoformat())
    if late > LATE_TICK:
        assert day == now.date().isoformat()
    else:
        assert day == scheduled.date().isoformat()
