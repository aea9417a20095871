"""Which snapshot Tier 1 takes, and what it says of snapshots that it cannot take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from raxx_bcp.clients.lightsail import AutomaticSnapshot, InstanceSnapshot
from raxx_bcp.drills.engine.drill import Drill
from raxx_bcp.drills.freescout.connections import Connections
from raxx_bcp.drills.freescout.kinds import SNAPSHOT
from raxx_bcp.drills.freescout.snapshot_drill import BACKUP_AGE, candidates, freescout_snapshot
from raxx_bcp.drills.freescout.wanted import SnapshotWanted
from raxx_bcp.drills.kind import Asked
from raxx_bcp.errors import CouldNotVerifyError, PermanentError, UsageError
from raxx_bcp.policy import Policy
from raxx_bcp.waiting import silent
from raxx_bcp_tests.drills.engine.doubles import START, StillClock
from raxx_bcp_tests.drills.hosts.known_guards import Known

POLICY = Policy()
TICKETS = POLICY.freescout.instance


@dataclass
class Shown:
    """What Lightsail lists."""

    automatics: list[AutomaticSnapshot] = field(default_factory=list)
    manuals: list[InstanceSnapshot] = field(default_factory=list)

    def automatic(self, instance: str) -> list[AutomaticSnapshot]:
        return self.automatics if instance == TICKETS else []

    def all(self) -> Iterator[InstanceSnapshot]:
        return iter(self.manuals)


def automatic(hours: float, status: str = "Success") -> AutomaticSnapshot:
    created = START - timedelta(hours=hours)
    return AutomaticSnapshot(f"{created:%Y-%m-%d}", created, status)


def manual(name: str, hours: float, state: str = "available", instance: str = TICKETS) -> InstanceSnapshot:
    return InstanceSnapshot(name, state, START - timedelta(hours=hours), 20, instance)


def select(shown: Shown, wanted: str = "newest") -> Drill:
    """The drill until it would make an instance."""
    clock = StillClock()
    chosen = SnapshotWanted(wanted)
    drill = Drill(SNAPSHOT.order(POLICY, Asked("alice"), chosen), clock, clock.sleep, silent)
    nobody: Any = None
    lister: Any = shown
    try:
        freescout_snapshot(drill, Connections(nobody, lister, Known()), POLICY, chosen)
    except UsageError as error:
        if "worker_cidr" not in error.remedy:  # the first thing that making an instance asks for
            raise
    return drill


def source(drill: Drill) -> tuple[str, str]:
    assert drill.source_backup is not None
    return drill.source_backup.backup_id, drill.source_backup.selected_because


def test_the_newest_of_both_kinds_is_taken() -> None:
    shown = Shown([automatic(3), automatic(27)], [manual("before-upgrade", 12)])
    assert source(select(shown)) == (f"{TICKETS} 2031-03-14", "the newest of 3 available snapshots")
    shown.manuals.append(manual("just-now", 1))
    assert source(select(shown))[0] == "just-now"


def test_of_another_instance_is_none_of_ours() -> None:
    shown = Shown([automatic(3)], [manual("vault", 1, instance="raxx-vault"), manual("nobodys", 1, instance="")])
    assert [one.name for one in candidates(shown, TICKETS)] == [f"{TICKETS} 2031-03-14"]  # type: ignore[arg-type]


def test_one_is_named_by_its_name_or_by_its_day() -> None:
    shown = Shown([automatic(3), automatic(27)], [manual("before-upgrade", 12)])
    assert source(select(shown, "before-upgrade")) == ("before-upgrade", "named by the operator")
    assert source(select(shown, "2031-03-13"))[0] == f"{TICKETS} 2031-03-13"
    with pytest.raises(UsageError, match="There is no snapshot nothing"):
        select(shown, "nothing")


def test_a_random_older_one_is_never_the_newest() -> None:
    shown = Shown([automatic(3), automatic(27), automatic(51)])
    assert {source(select(shown, "random-older"))[0] for _try in range(40)} == {
        f"{TICKETS} 2031-03-13",
        f"{TICKETS} 2031-03-12",
    }
    with pytest.raises(UsageError, match="only one"):
        select(Shown([automatic(3)]), "random-older")


@pytest.mark.parametrize(("hours", "good"), [(24.9, True), (25.1, False)])
def test_the_newest_must_be_young_enough_whichever_is_restored(hours: float, good: bool) -> None:  # noqa: FBT001
    drill = select(Shown([automatic(hours), automatic(60)]), "2031-03-11")
    (age,) = [one for one in drill.results if one.name == BACKUP_AGE]
    assert (age.status.value == "PASS") is good


@pytest.mark.parametrize("wanted", ["newest", "taken"])
def test_in_error_is_a_failed_backup_and_pending_was_not_judged(wanted: str) -> None:
    """Failure 18: a snapshot that stays pending for ever is COULD_NOT_VERIFY."""
    with pytest.raises(PermanentError, match="taken is in error"):
        select(Shown([], [manual("taken", 1, "error")]), wanted)
    with pytest.raises(CouldNotVerifyError, match="taken is pending"):
        select(Shown([], [manual("taken", 1, "pending")]), wanted)
    assert source(select(Shown([], [manual("taken", 1)]), wanted))[0] == "taken"


def test_one_that_is_not_there_yet_is_passed_over_for_one_that_is() -> None:
    shown = Shown([automatic(0.1, "InProgress"), automatic(3, "Failed"), automatic(27)])
    assert source(select(shown))[0] == f"{TICKETS} 2031-03-13"


def test_no_snapshot_at_all_is_a_failure() -> None:
    with pytest.raises(PermanentError, match="There is no snapshot of raxx-tickets"):
        select(Shown())


def test_the_order_promises_every_check() -> None:
    made = SNAPSHOT.order(POLICY, Asked("alice", trigger="schedule", run_id="r", keep=True), SnapshotWanted())
    assert (made.kind, made.system, made.tier) == ("freescout_snapshot", "freescout", "Tier 1")
    assert made.checks == SNAPSHOT.checks
    assert len(set(made.checks)) == len(made.checks)
    assert made.lease == timedelta(hours=POLICY.throwaway_instances.lease_hours)
