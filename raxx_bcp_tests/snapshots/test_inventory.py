"""The inventory of a real account, and what it says when something is missing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from raxx_bcp.checks import Check, Status
from raxx_bcp.clients.lightsail_errors import AbsentError
from raxx_bcp.errors import CouldNotVerifyError, TransientError
from raxx_bcp.snapshots import addon, health
from raxx_bcp.snapshots.inventory import Kind
from raxx_bcp_tests.snapshots.world import World, world


@pytest.fixture
def week() -> Iterator[World]:
    """Seven good days, and it is 07:30 of the last one: 2031-03-14."""
    with world("2031-03-08T06:30:00Z") as made:
        for day in range(8, 15):
            made.lab.set_now(f"2031-03-{day:02}T06:30:00Z")
            made.take(f"2031-03-{day:02}")
        made.lab.set_now("2031-03-14T07:30:00Z")
        yield made


def check(made: World, name: str) -> Check:
    (found,) = [one for one in health.checks_of(made.inventory()) if one.name == name]
    return found


def test_a_good_week_passes_and_shows_every_kind(week: World) -> None:
    found = week.inventory()
    assert {one.name: one.status for one in health.checks_of(found)} == dict.fromkeys(health.CHECK_NAMES, Status.PASS)
    assert [row.kind for row in found.rows].count(Kind.AUTOMATIC) == 7
    by_hand = [row.name for row in found.rows if row.kind is Kind.MANUAL and not row.ours]
    assert by_hand == ["raxx-vault-before-ubuntu-22", "raxx-tickets-before-upgrade"]
    assert found.newest_age_hours == pytest.approx(1.0, abs=0.01)
    assert found.next_due.isoformat() == "2031-03-15T06:30:00+00:00"
    shown = found.as_dict()
    assert (shown["snapshot_count"], shown["gaps"], shown["addon"]) == (7, [], "off")
    assert shown["monthly_cost_usd"] == round(0.05 * (8 * 40 + 8 * 60), 2)
    assert "had ended when raxx-bcp-raxx-vault-2031-03-14 was begun" in check(week, health.FREESCOUT).detail


@pytest.mark.parametrize(
    ("fault", "name", "status"),
    [
        ("freescout-backup-missing", health.FREESCOUT, Status.FAIL),
        ("freescout-backup-late", health.FREESCOUT, Status.FAIL),
        ("freescout-backup-failed", health.FREESCOUT, Status.FAIL),
    ],
)
def test_freescouts_backup_is_watched(week: World, fault: str, name: str, status: Status) -> None:
    week.lab.fault(fault)
    assert check(week, name).status is status
    week.lab.fault(fault, on=False)
    assert check(week, name).status is Status.PASS


def test_a_backup_that_still_ran_when_ours_was_begun_shows_although_both_are_good_now(week: World) -> None:
    week.lab.set_now("2031-03-15T06:30:00Z")
    week.lab.fault("freescout-backup-late")
    week.take("2031-03-15")
    week.lab.fault("freescout-backup-late", on=False)
    found = check(week, health.FREESCOUT)
    assert found.status is Status.WARN
    assert "it was running" in found.detail


def test_a_missed_day_is_late_from_half_past_seven_and_a_gap_afterwards(week: World) -> None:
    week.lab.set_now("2031-03-15T07:29:59Z")
    assert check(week, health.FRESH).status is Status.PASS
    week.lab.set_now("2031-03-15T07:30:00Z")
    assert check(week, health.FRESH).status is Status.FAIL
    week.lab.set_now("2031-03-16T06:30:00Z")
    week.take("2031-03-16")
    week.lab.advance(3600)
    assert week.inventory().gaps == ("2031-03-15",)
    assert check(week, health.FRESH).status is Status.PASS


def test_a_stuck_one_is_seen_an_hour_later(week: World) -> None:
    week.lab.set_now("2031-03-15T06:30:00Z")
    week.lab.fault("lightsail-snapshot-stuck")
    with pytest.raises(CouldNotVerifyError):
        week.take("2031-03-15")
    week.lab.set_now("2031-03-15T07:30:00Z")
    found = check(week, health.STUCK)
    assert found.status is Status.FAIL
    assert "raxx-bcp-raxx-vault-2031-03-15 (pending for 1.0 hours)" in found.detail


def test_good_ones_that_somebody_deleted_are_missed(week: World) -> None:
    home = week.connections().home
    for name in week.ours()[1:6]:
        home.delete_snapshot(name)
    assert check(week, health.ENOUGH).status is not Status.PASS


@pytest.mark.parametrize("fault", ["lightsail-down", "lightsail-throttled"])
def test_lightsail_being_away_is_an_error_and_not_an_empty_inventory(week: World, fault: str) -> None:
    week.lab.fault(fault)
    with pytest.raises(TransientError):
        week.inventory()
    with pytest.raises(TransientError):
        health.is_there(week.connections().home, week.policy.vault_snapshot, week.clock())


def test_denied_is_could_not_verify_and_never_fresh(week: World) -> None:
    week.lab.fault("lightsail-denied")
    with pytest.raises(CouldNotVerifyError):
        week.inventory()
    found = health.is_there(week.connections().home, week.policy.vault_snapshot, week.clock())
    assert found.status is Status.COULD_NOT_VERIFY
    week.lab.fault("lightsail-denied", on=False)
    assert health.is_there(week.connections().home, week.policy.vault_snapshot, week.clock()).status is Status.PASS


def test_an_instance_that_is_not_there_is_named(week: World) -> None:
    week.lab.fault("lightsail-instance-missing")
    with pytest.raises(AbsentError, match="raxx-vault"):
        week.inventory()


def test_a_list_of_many_pages_that_breaks_off_is_an_error(week: World) -> None:
    home = week.connections().home
    for number in range(60):
        home.create(f"many-{number}", "raxx-tickets", {})
    assert len(week.inventory().rows) > 60
    week.lab.fault("lightsail-list-cut")
    with pytest.raises(TransientError):
        week.inventory()


def test_the_hourly_check_reads_lightsails_time_and_not_the_name(week: World) -> None:
    policy, home = week.policy.vault_snapshot, week.connections().home
    home.create("raxx-bcp-raxx-vault-2031-03-15", "raxx-vault", {"raxx-bcp-kind": "daily-snapshot"})
    week.lab.set_now("2031-03-15T09:00:00Z")
    assert health.is_there(home, policy, week.clock()).status is Status.FAIL


# -- the add-on ------------------------------------------------------------------------------------------


def test_the_belt_is_put_on_and_off_as_the_policy_says_and_tells_its_cost() -> None:
    with world(addon="18:00") as made:
        home, policy = made.connections().home, made.policy.vault_snapshot
        before = addon.look(home, policy)
        assert (before.found, before.in_line) == ("off", False)
        assert [before.extra_usd, before.adr_estimate_usd] == pytest.approx([14.0, 14.0])
        assert "up to $14.00 a month on top of the ADR's estimate of $14.00" in before.text()
        after = addon.apply(home, policy)
        assert (after.found, after.in_line, after.changed) == ("18:00", True, True)
        assert not addon.apply(home, policy).changed, "nothing is done twice"
        off = addon.apply(home, policy.model_copy(update={"addon": "off"}))
        assert (off.found, off.changed) == ("off", True)


def test_the_inventory_warns_while_belt_and_policy_differ() -> None:
    with world(addon="18:00") as made:
        made.take()
        assert check(made, health.ADDON).status is Status.WARN
        addon.apply(made.connections().home, made.policy.vault_snapshot)
        assert check(made, health.ADDON).status is Status.PASS


def test_automatic_snapshots_of_the_vault_are_inventoried_and_never_pruned() -> None:
    with world(addon="18:00") as made:
        addon.apply(made.connections().home, made.policy.vault_snapshot)
        for _day in range(10):
            made.take(made.clock().date().isoformat())
            made.lab.advance(timedelta(days=1))
        automatic = [
            row for row in made.inventory().rows if row.kind is Kind.AUTOMATIC and row.instance == "raxx-vault"
        ]
        assert len(automatic) == 7
        assert len(made.ours()) == 7
