"""Which days have an export, and is the one that is due there? On the real S3 server."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from raxx_bcp.checks import Status
from raxx_bcp.policy import Policy
from raxx_bcp.vault.inventory import DayState, freshness_check, take_inventory
from raxx_bcp_tests.conftest import DAY
from raxx_bcp_tests.vault.world import WriteOnlyBucket, export, state_bucket


def at(hour: int, minute: int, day: str = DAY) -> datetime:
    return datetime.fromisoformat(f"{day}T{hour:02}:{minute:02}:00+00:00")


def _put(policy: Policy, name: str, body: bytes = b"x") -> None:
    state_bucket(policy).put(f"{policy.vault_export.prefix}{name}", body, content_type="x/y", metadata={})


@pytest.mark.parametrize(
    ("now", "status"),
    [
        (at(7, 59), Status.PASS),
        (at(8, 0), Status.FAIL),
        (at(23, 59), Status.FAIL),
        (at(0, 1), Status.PASS),
    ],
)
def test_yesterdays_export_is_enough_until_todays_is_late(policy: Policy, now: datetime, status: Status) -> None:
    export(policy, day="2031-03-13")
    assert freshness_check(state_bucket(policy), policy.vault_export, now).status is status


def test_an_export_of_the_day_before_yesterday_is_late_at_once(policy: Policy) -> None:
    export(policy, day="2031-03-12")
    check = freshness_check(state_bucket(policy), policy.vault_export, at(0, 1))
    assert check.status is Status.FAIL
    assert "2031-03-13 is late: the last one is of 2031-03-12" in check.detail


def test_todays_export_is_fresh_all_day(policy: Policy) -> None:
    export(policy)
    assert freshness_check(state_bucket(policy), policy.vault_export, at(23, 59)).status is Status.PASS


def test_no_export_ever_is_late_and_not_unknown(policy: Policy) -> None:
    check = freshness_check(state_bucket(policy), policy.vault_export, at(12, 0))
    assert check.status is Status.FAIL
    assert "there has never been one" in check.detail


def test_a_bucket_that_may_not_be_read_is_never_fresh(policy: Policy) -> None:
    check = freshness_check(WriteOnlyBucket(policy.state_bucket.name), policy.vault_export, at(12, 0))
    assert check.status is Status.COULD_NOT_VERIFY


def test_an_object_without_its_manifest_is_not_fresh(policy: Policy) -> None:
    _put(policy, f"{DAY}.json.gpg")
    check = freshness_check(state_bucket(policy), policy.vault_export, at(12, 0))
    assert check.status is Status.FAIL
    assert "did not finish" in check.detail


def test_an_object_that_is_not_the_one_of_its_manifest_is_not_fresh(policy: Policy) -> None:
    export(policy)
    _put(policy, f"{DAY}.json.gpg", b"another object of another size")
    assert freshness_check(state_bucket(policy), policy.vault_export, at(12, 0)).status is Status.FAIL


def test_an_object_dated_in_the_future_does_not_make_today_fresh(policy: Policy) -> None:
    export(policy, day="2031-12-31")
    assert freshness_check(state_bucket(policy), policy.vault_export, at(12, 0)).status is Status.FAIL


def test_the_inventory_tells_gaps_from_days_before_the_first_export(policy: Policy) -> None:
    for day in ("2031-03-10", "2031-03-12"):
        export(policy, day=day)
    export(policy, day="2031-03-12")
    _put(policy, "2031-03-13.json.gpg")
    _put(policy, "notes.txt")
    inventory = take_inventory(state_bucket(policy), policy.vault_export, at(7, 30))
    days = {day.day: day for day in inventory.days}
    assert len(days) == policy.vault_export.inventory_days
    assert inventory.gaps == ("2031-03-11",)
    assert days["2031-03-14"].state is DayState.NOT_DUE
    assert days["2031-03-13"].state is DayState.NO_MANIFEST
    assert (days["2031-03-12"].state, days["2031-03-12"].versions) == (DayState.COMPLETE, 2)
    assert days["2031-03-10"].size_bytes > 1000
    assert days["2031-03-09"].state is DayState.MISSING
    assert len(inventory.stored) == 3


def test_todays_export_is_a_gap_once_it_is_late(policy: Policy) -> None:
    export(policy, day="2031-03-13")
    assert take_inventory(state_bucket(policy), policy.vault_export, at(8, 0)).gaps == (DAY,)
    assert take_inventory(state_bucket(policy), policy.vault_export, at(7, 59)).gaps == ()


def test_the_day_is_utcs_wherever_the_machine_is(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    inventory = take_inventory(state_bucket(policy), policy.vault_export, datetime(2031, 3, 14, 23, 59, tzinfo=UTC))
    assert inventory.days[0].day == DAY
