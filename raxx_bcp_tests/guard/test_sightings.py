"""Since when a host is guarded follows from looks alone, and what nobody saw is not guarded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from raxx_bcp.clients.s3 import Bucket
from raxx_bcp.environment import state_bucket
from raxx_bcp.errors import CouldNotVerifyError
from raxx_bcp.guard.sightings import Period, Sighting, Sightings, periods_of
from raxx_bcp.policy import Policy

NOON = datetime(2031, 3, 14, 12, tzinfo=UTC)
HOST = "raxx-tickets"


def seen(hours: float, *, guarded: bool = True, identity: str = "a") -> Sighting:
    return Sighting(
        instance=HOST, seen_utc=NOON + timedelta(hours=hours), guarded=guarded, by="alice", identity_sha256=identity
    )


def at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


def test_guarded_begins_when_it_was_seen_and_lasts() -> None:
    assert list(periods_of([seen(0), seen(24), seen(48)])) == [Period(at(0), at(48))]


def test_a_host_without_it_ends_it_when_it_was_last_seen() -> None:
    """Between the two looks it went: nobody knows when."""
    (period,) = periods_of([seen(0), seen(24), seen(48, guarded=False)])
    assert period == Period(at(0), at(24), at(24))
    assert period.covers(at(24))
    assert not period.covers(at(30))


def test_it_begins_anew_when_it_is_seen_again() -> None:
    looks = [seen(0), seen(10, guarded=False), seen(20, guarded=False), seen(30)]
    assert list(periods_of(looks)) == [Period(at(0), at(0), at(0)), Period(at(30), at(30))]


def test_another_machine_is_another_period() -> None:
    looks = [seen(0), seen(10, identity="b"), seen(20, identity="b")]
    assert list(periods_of(looks)) == [Period(at(0), at(0), at(0)), Period(at(10), at(20))]


def test_what_was_taken_before_it_was_seen_is_not_covered() -> None:
    period = Period(at(0), at(0))
    assert not period.covers(at(-1))
    assert not period.covers(at(0))
    assert period.covers(at(0.01))


@pytest.mark.parametrize("looks", [[], [seen(0, guarded=False)]])
def test_a_host_that_was_never_guarded_has_no_period(looks: list[Sighting]) -> None:
    assert list(periods_of(looks)) == []


@pytest.fixture
def bucket(policy: Policy) -> Bucket:
    return state_bucket(policy)


def test_looks_are_kept_once_a_day_and_at_once_when_they_differ(bucket: Bucket, policy: Policy) -> None:
    sightings = Sightings(bucket, policy.vault_export.prefix)
    assert sightings.add(seen(0))
    assert not sightings.add(seen(1))
    assert sightings.add(seen(2, guarded=False))
    assert sightings.add(seen(3))
    assert sightings.add(seen(24))
    assert [one.guarded for one in sightings.of(HOST)] == [True, False, True, True]
    assert sightings.of("raxx-vault") == []
    assert sightings.periods(HOST) == [Period(at(0), at(0), at(0)), Period(at(3), at(24))]


def test_a_record_that_cannot_be_read_is_no_record(bucket: Bucket, policy: Policy) -> None:
    prefix = policy.vault_export.prefix
    bucket.put(f"{prefix}{HOST}/x.json", b"{}", content_type="application/json", metadata={})
    with pytest.raises(CouldNotVerifyError, match="cannot be read as what was seen"):
        Sightings(bucket, prefix).periods(HOST)
    assert msgspec.json.decode(msgspec.json.encode(seen(0)), type=Sighting) == seen(0)
