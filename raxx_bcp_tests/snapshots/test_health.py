"""Each promise of D1 as a check: fires on the broken case, silent on the healthy one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from raxx_bcp.checks import Check, Status
from raxx_bcp.clients.lightsail import AutomaticSnapshot, InstanceSnapshot
from raxx_bcp.policy import FreeScout, Policy, VaultSnapshot
from raxx_bcp.snapshots import health
from raxx_bcp.snapshots.freescout import BackupState, FreeScoutBackup, backup_of
from raxx_bcp.snapshots.inventory import Kind, Row, SnapshotInventory
from raxx_bcp.snapshots.names import snapshot_name

NOW = datetime(2031, 3, 14, 7, 30, tzinfo=UTC)
POLICY = Policy()
TICKETS = "raxx-tickets"


def row(days_ago: int, *, at: str = "06:30", state: str = "available", tag: str = "complete, begun 05:12") -> Row:
    day = (NOW - timedelta(days=days_ago)).date().isoformat()
    made = datetime.fromisoformat(f"{day}T{at}:05+00:00")
    name = snapshot_name("raxx-vault", day)
    return Row(name, "raxx-vault", Kind.MANUAL, state, made, 40, True, state == "available", "us-east-1", tag)


def inventory(*rows: Row, policy: Policy = POLICY, now: datetime = NOW, addon: str | None = None) -> SnapshotInventory:
    backup = FreeScoutBackup("2031-03-14", BackupState.COMPLETE, datetime(2031, 3, 14, 5, 12, tzinfo=UTC))
    return SnapshotInventory(now, policy, rows, backup, addon, "us-east-1")


HEALTHY = inventory(*(row(back) for back in range(7)))


def check(name: str, there: SnapshotInventory) -> Check:
    (found,) = [one for one in health.checks_of(there) if one.name == name]
    return found


def test_a_healthy_week_passes_every_check() -> None:
    checks = health.checks_of(HEALTHY)
    assert [one.name for one in checks] == list(health.CHECK_NAMES)
    assert {one.status for one in checks} == {Status.PASS}, checks
    assert HEALTHY.gaps == ()


@pytest.mark.parametrize(
    ("now", "status"),
    [
        ("2031-03-14T07:29:59", Status.PASS),
        ("2031-03-14T07:30:00", Status.FAIL),
        ("2031-03-14T23:59:00", Status.FAIL),
        ("2031-03-14T00:01:00", Status.PASS),
        ("2031-03-15T00:01:00", Status.FAIL),
    ],
)
def test_yesterdays_is_enough_until_todays_is_late(now: str, status: Status) -> None:
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)
    there = inventory(*(row(back) for back in range(1, 8)), now=at)
    assert check(health.FRESH, there).status is status


def test_an_old_snapshot_under_todays_name_is_not_todays() -> None:
    old = replace(row(0), created_utc=NOW - timedelta(days=3))
    found = check(health.FRESH, inventory(old))
    assert found.status is Status.FAIL
    assert "of 2031-03-14 is late" in found.detail


def test_none_at_all_is_a_failure_and_not_unknown() -> None:
    assert check(health.FRESH, inventory()).status is Status.FAIL
    assert check(health.ENOUGH, inventory()).status is Status.FAIL


def test_one_from_the_future_means_that_a_clock_is_wrong() -> None:
    found = check(health.FRESH, inventory(replace(row(0), created_utc=NOW + timedelta(hours=3))))
    assert found.status is Status.COULD_NOT_VERIFY
    assert "clock" in found.remedy


def test_fewer_than_seven_warn_in_the_first_week_and_fail_when_old_ones_are_there() -> None:
    young = check(health.ENOUGH, inventory(row(0), row(1)))
    assert (young.status, "2 good ones" in young.detail) == (Status.WARN, True)
    thinned = check(health.ENOUGH, inventory(row(0), row(1), row(12)))
    assert thinned.status is Status.FAIL
    assert "who deleted them" in thinned.remedy


def test_those_that_are_not_available_do_not_count() -> None:
    there = inventory(*(row(back) for back in range(6)), row(9, state="error"))
    assert check(health.ENOUGH, there).status is not Status.PASS


@pytest.mark.parametrize(("minutes", "status"), [(29, Status.PASS), (31, Status.FAIL)])
def test_one_that_is_pending_for_longer_than_the_deadline_is_stuck(minutes: int, status: Status) -> None:
    pending = replace(row(0, state="pending"), created_utc=NOW - timedelta(minutes=minutes))
    found = check(health.STUCK, inventory(pending, *HEALTHY.rows))
    assert found.status is status


def test_one_that_ended_in_error_is_a_warning_with_its_name() -> None:
    found = check(health.STUCK, inventory(row(8, state="error"), *HEALTHY.rows))
    assert found.status is Status.WARN
    assert row(8).name in found.detail


def test_more_than_are_kept_means_that_pruning_does_not_work() -> None:
    assert check(health.RETENTION, inventory(*(row(back) for back in range(8)))).status is Status.WARN


def test_foreign_ones_count_for_nothing() -> None:
    foreign = replace(row(3), name="by-hand", ours=False)
    there = inventory(*HEALTHY.rows, foreign, foreign)
    assert check(health.RETENTION, there).status is Status.PASS
    assert check(health.FRESH, inventory(replace(row(0), ours=False))).status is Status.FAIL


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (BackupState.ABSENT, Status.FAIL),
        (BackupState.FAILED, Status.FAIL),
        (BackupState.RUNNING, Status.FAIL),
        (BackupState.UNKNOWN, Status.COULD_NOT_VERIFY),
        (BackupState.COMPLETE, Status.PASS),
    ],
)
def test_freescouts_own_backup_must_be_there_and_complete(state: BackupState, status: Status) -> None:
    begun = None if state is BackupState.ABSENT else datetime(2031, 3, 14, 5, 12, tzinfo=UTC)
    there = replace(HEALTHY, freescout=FreeScoutBackup("2031-03-14", state, begun))
    assert check(health.FREESCOUT, there).status is status


def test_freescouts_backup_that_began_after_ours_did_not_end_before_it() -> None:
    late = FreeScoutBackup("2031-03-14", BackupState.COMPLETE, datetime(2031, 3, 14, 6, 31, tzinfo=UTC))
    found = check(health.FREESCOUT, replace(HEALTHY, freescout=late))
    assert found.status is Status.FAIL
    assert "did not end before 06:30" in found.detail


def test_freescouts_backup_that_still_ran_when_ours_began_is_a_warning_although_it_is_complete_now() -> None:
    there = inventory(row(0, tag="running, begun 05:12"), *(row(back) for back in range(1, 7)))
    found = check(health.FREESCOUT, there)
    assert found.status is Status.WARN
    assert "it was running, begun 05:12" in found.detail


def test_the_add_on_must_be_as_the_policy_says() -> None:
    wanted = Policy(vault_snapshot=VaultSnapshot(addon="18:00"))
    assert check(health.ADDON, inventory(row(0), policy=wanted, addon="18:00")).status is Status.PASS
    for policy, there in ((wanted, None), (wanted, "17:00"), (POLICY, "18:00")):
        found = check(health.ADDON, inventory(row(0), policy=policy, addon=there))
        assert found.status is Status.WARN
        assert "snapshot addon --apply" in found.remedy


def test_a_promised_copy_must_be_fresh() -> None:
    wanted = Policy(vault_snapshot=VaultSnapshot(copy_region="eu-west-1"))
    copies = [replace(row(back), kind=Kind.COPY, region="eu-west-1") for back in (1, 2)]
    assert check(health.COPIES, inventory(row(0), *copies, policy=wanted)).status is Status.PASS
    for stale in ([], copies[1:], [replace(copies[0], good=False)], [replace(copies[0], ours=False)]):
        assert check(health.COPIES, inventory(row(0), *stale, policy=wanted)).status is Status.FAIL


def test_gaps_are_the_days_without_a_good_one_since_the_oldest() -> None:
    there = inventory(row(0), row(1), row(3, state="error"), row(4), row(6))
    assert there.gaps == ("2031-03-12", "2031-03-11", "2031-03-09")
    assert inventory(row(0)).gaps == ()
    assert inventory(*(row(back) for back in range(1, 3)), now=NOW.replace(hour=5)).gaps == ()


def test_the_next_one_is_due_at_half_past_six() -> None:
    assert HEALTHY.next_due == datetime(2031, 3, 15, 6, 30, tzinfo=UTC)
    assert replace(HEALTHY, now=NOW.replace(hour=6, minute=29)).next_due == datetime(2031, 3, 14, 6, 30, tzinfo=UTC)


def test_the_cost_is_the_adrs_for_seven_of_forty_gigabytes() -> None:
    assert HEALTHY.monthly_cost_usd == pytest.approx(14.0)


# -- FreeScout's backup, read from Lightsail's own times -------------------------------------------------


def automatic(day: str, status: str, at: str = "05:12", named: str | None = None) -> AutomaticSnapshot:
    return AutomaticSnapshot(named or day, datetime.fromisoformat(f"{day}T{at}:00+00:00"), status)


def test_todays_automatic_snapshot_is_the_backup() -> None:
    found = backup_of(
        "2031-03-14", [automatic("2031-03-14", "Success"), automatic("2031-03-13", "Failed")], [], TICKETS
    )
    assert (found.state, found.words) == (BackupState.COMPLETE, "complete, begun 05:12")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("InProgress", BackupState.RUNNING),
        ("Failed", BackupState.FAILED),
        ("NotFound", BackupState.UNKNOWN),
        ("Brand-New", BackupState.UNKNOWN),
    ],
)
def test_what_lightsail_says_of_it(status: str, state: BackupState) -> None:
    assert backup_of("2031-03-14", [automatic("2031-03-14", status)], [], TICKETS).state is state


def test_an_old_backup_dated_today_is_not_todays() -> None:
    old = automatic("2031-03-10", "Success", named="2031-03-14")
    assert backup_of("2031-03-14", [old], [], TICKETS).state is BackupState.ABSENT


def test_a_manual_snapshot_of_that_instance_counts_too_and_anothers_does_not() -> None:
    made = datetime(2031, 3, 14, 5, 50, tzinfo=UTC)
    by_hand = InstanceSnapshot("daily", "available", made, 40, TICKETS)
    failed = automatic("2031-03-14", "Failed")
    assert backup_of("2031-03-14", [failed], [by_hand], TICKETS).state is BackupState.COMPLETE
    other = replace(by_hand, instance_name="raxx-vault")
    assert backup_of("2031-03-14", [failed], [other], TICKETS).state is BackupState.FAILED


def test_the_names_of_both_instances_come_from_the_policy() -> None:
    assert (POLICY.vault_snapshot.instance, POLICY.freescout) == ("raxx-vault", FreeScout())
