"""What pruning may delete, over every mix of snapshots: the plan is pure, so all of it can be tried."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raxx_bcp.clients.lightsail import InstanceSnapshot
from raxx_bcp.snapshots.names import is_ours, our_tags, read_name, snapshot_name
from raxx_bcp.snapshots.prune import plan

VAULT = "raxx-vault"
TODAY = datetime(2031, 3, 14, 6, 30, tzinfo=UTC)


def ours(days_ago: int, state: str = "available", attempt: int = 1) -> InstanceSnapshot:
    made = TODAY - timedelta(days=days_ago) + timedelta(minutes=attempt)
    day = made.date().isoformat()
    return InstanceSnapshot(snapshot_name(VAULT, day, attempt), state, made, 40, VAULT, our_tags(VAULT, day))


FOREIGN = [
    replace(ours(20), tags={}),
    replace(ours(21), tags={"raxx-bcp-kind": "daily-snapshot"}),
    replace(ours(22), name="raxx-vault-before-upgrade"),
    replace(ours(23), instance_name="raxx-tickets"),
    replace(ours(24), instance_name=""),
    replace(ours(25), from_automatic=True),
    replace(ours(26), tags=our_tags("raxx-tickets", "2031-02-16")),
    replace(ours(27), name="raxx-bcp-raxx-vault-2031-02-15-manual"),
    replace(ours(28), name="raxx-bcp-raxx-vault-old-2031-02-14"),
]


def names(snapshots: tuple[InstanceSnapshot, ...]) -> list[str]:
    return [one.name for one in snapshots]


def test_seven_stay_and_the_older_ones_go() -> None:
    decided = plan([ours(back) for back in range(10)], VAULT, 7, ours(0).name)
    assert names(decided.keep) == [ours(back).name for back in range(7)]
    assert names(decided.delete) == [ours(back).name for back in (7, 8, 9)]


def test_seven_or_fewer_all_stay() -> None:
    assert plan([ours(back) for back in range(7)], VAULT, 7, ours(0).name).delete == ()


@pytest.mark.parametrize("stranger", FOREIGN, ids=lambda one: one.name)
def test_what_is_not_ours_in_every_respect_never_goes_and_never_counts(stranger: InstanceSnapshot) -> None:
    assert not is_ours(stranger, VAULT)
    decided = plan([*(ours(back) for back in range(8)), stranger], VAULT, 7, ours(0).name)
    assert stranger not in decided.delete
    assert names(decided.delete) == [ours(7).name]


@pytest.mark.parametrize("state", ["pending", "error", "Unheard-Of"])
def test_nothing_goes_while_todays_is_not_available(state: str) -> None:
    there = [ours(0, state), *(ours(back) for back in range(1, 12))]
    decided = plan(there, VAULT, 7, ours(0).name)
    assert decided.delete == ()
    assert "is not the newest available snapshot of ours" in decided.why_not
    assert decided.lines() == [f"nothing is pruned: {decided.why_not}"]


def test_nothing_goes_when_the_list_does_not_hold_todays() -> None:
    assert plan([ours(back) for back in range(1, 12)], VAULT, 7, ours(0).name).delete == ()
    assert plan([], VAULT, 7, ours(0).name).delete == ()


def test_those_in_error_do_not_count_as_good_and_go_once_a_newer_good_one_exists() -> None:
    there = [ours(0), ours(0, "error", attempt=2), *(ours(back, "error") for back in (1, 2)), ours(3)]
    decided = plan(there, VAULT, 7, ours(0).name)
    assert names(decided.delete) == [ours(1).name, ours(2).name], "the one of today is newer than the good one"
    assert names(decided.keep) == [ours(0).name, ours(3).name]


def test_what_is_pending_never_goes() -> None:
    there = [*(ours(back) for back in range(8)), ours(9, "pending")]
    assert names(plan(there, VAULT, 7, ours(0).name).delete) == [ours(7).name]


def test_the_plan_says_what_goes_before_it_goes() -> None:
    lines = plan([ours(back) for back in range(9)], VAULT, 7, ours(0).name).lines()
    assert lines[0] == "7 good ones stay, 2 go"
    assert lines[1].startswith(f"goes: {ours(7).name} (available, 2031-03-07")


snapshots = st.builds(
    ours,
    days_ago=st.integers(0, 40),
    state=st.sampled_from(["available", "available", "pending", "error", "odd"]),
    attempt=st.integers(1, 3),
)
anything = st.lists(st.one_of(snapshots, st.sampled_from(FOREIGN)), max_size=40, unique_by=lambda one: one.name)


@given(there=anything, keep=st.integers(7, 12))
def test_whatever_there_is_pruning_cannot_hurt(there: list[InstanceSnapshot], keep: int) -> None:
    newest = max(there, key=lambda one: one.created_utc, default=ours(0))
    decided = plan(there, VAULT, keep, newest.name)
    left = [one for one in there if one not in decided.delete]
    good_before = [one for one in there if is_ours(one, VAULT) and one.state == "available"]
    good_after = [one for one in left if is_ours(one, VAULT) and one.state == "available"]
    assert len(good_after) >= min(keep, len(good_before)), "never below the promised number of good ones"
    assert all(is_ours(one, VAULT) for one in decided.delete)
    assert all(one.state in ("available", "error") for one in decided.delete)
    assert not decided.delete or newest in good_after, "nothing goes unless the newest is good, and it stays"
    if decided.delete:
        assert len(good_after) == min(keep, len(good_before))


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("raxx-bcp-raxx-vault-2031-03-14", ("2031-03-14", 1)),
        ("raxx-bcp-raxx-vault-2031-03-14-r2", ("2031-03-14", 2)),
        ("raxx-bcp-raxx-vault-2031-03-14-r1", None),
        ("raxx-bcp-raxx-vault-2031-3-14", None),
        ("raxx-bcp-raxx-vault2-2031-03-14", None),
        ("x-raxx-bcp-raxx-vault-2031-03-14", None),
        ("raxx-bcp-raxx-vault-2031-03-14\n", None),
        ("raxx-bcp-raxxxvault-2031-03-14", None),
    ],
)
def test_names_are_read_whole(name: str, read: tuple[str, int] | None) -> None:
    found = read_name(name, VAULT)
    assert (found and (found.day, found.attempt)) == read


@given(day=st.dates(), attempt=st.integers(1, 9))
def test_a_name_that_we_make_is_read_back(day: datetime, attempt: int) -> None:
    found = read_name(snapshot_name(VAULT, day.isoformat(), attempt), VAULT)
    assert found is not None
    assert (found.day, found.attempt) == (day.isoformat(), attempt)
