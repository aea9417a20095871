"""Today's snapshot against a Lightsail that can go wrong in every way: what the operator sees of each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from raxx_bcp.checks import Status
from raxx_bcp.clients.lightsail import InstanceSnapshot, Snapshots
from raxx_bcp.clients.lightsail_errors import AbsentError
from raxx_bcp.errors import BcpError, CouldNotVerifyError, PermanentError, TransientError
from raxx_bcp.snapshots.names import our_tags, snapshot_name
from raxx_bcp.snapshots.run import SnapshotConnections
from raxx_bcp_tests.snapshots.world import DAY, VAULT, World, world

TODAY = snapshot_name(VAULT, DAY)
BY_HAND = ["raxx-tickets-before-upgrade", "raxx-vault-before-ubuntu-22"]


@pytest.fixture
def lightsail() -> Iterator[World]:
    with world() as made:
        yield made


def checks(made: World) -> dict[str, Status]:
    return {check.name: check.status for check in made.take().checks}


# -- the healthy day -------------------------------------------------------------------------------------


def test_a_snapshot_is_taken_tagged_waited_for_and_told(lightsail: World) -> None:
    receipt = lightsail.take()
    assert receipt.taken.created
    assert receipt.taken.snapshot.state == "available"
    assert {check.status for check in receipt.checks} == {Status.PASS}
    assert dict(receipt.taken.snapshot.tags) == {
        **our_tags(VAULT, DAY),
        "raxx-bcp-freescout": "complete, begun 05:12",
    }
    assert f"began {TODAY}" in lightsail.said
    assert any(line.startswith(f"{TODAY} is pending") for line in lightsail.said)
    assert receipt.as_dict()["ok"] is True
    assert receipt.as_dict()["snapshot"] == TODAY


def test_running_it_twice_on_a_day_does_not_make_two(lightsail: World) -> None:
    lightsail.take()
    lightsail.lab.advance(timedelta(hours=9))
    again = lightsail.take()
    assert not again.taken.created
    assert lightsail.ours() == [TODAY]


def test_one_that_an_earlier_run_began_and_lost_is_waited_for(lightsail: World) -> None:
    lightsail.connections().home.create(TODAY, VAULT, our_tags(VAULT, DAY))
    receipt = lightsail.take()
    assert (receipt.taken.created, receipt.taken.snapshot.state) == (False, "available")
    assert lightsail.ours() == [TODAY]


def test_of_two_runs_at_once_one_begins_and_both_see_it_available(lightsail: World) -> None:
    class Raced(Snapshots):
        """The other run begins its snapshot between our look and our call."""

        def create(self, name: str, instance: str, tags: object) -> None:
            lightsail.connections().home.create(name, instance, our_tags(VAULT, DAY))
            super().create(name, instance, tags)  # type: ignore[arg-type]

    receipt = lightsail.take(connections=SnapshotConnections(Raced(client=lightsail.lab.client())))
    assert (receipt.taken.created, receipt.taken.snapshot.state) == (False, "available")
    assert lightsail.ours() == [TODAY]


# -- ten days --------------------------------------------------------------------------------------------


def test_after_ten_days_exactly_seven_of_ours_remain_and_foreign_ones_are_untouched(lightsail: World) -> None:
    home = lightsail.connections().home
    home.create("raxx-bcp-raxx-vault-2031-03-01", VAULT, {})  # our name without our tag
    home.create("somebody-elses", VAULT, our_tags(VAULT, "2031-03-01"))  # our tag without our name
    lightsail.lab.advance(10)
    strangers = sorted([*BY_HAND, "raxx-bcp-raxx-vault-2031-03-01", "somebody-elses"])
    for _day in range(10):
        receipt = lightsail.take(lightsail.clock().date().isoformat())
        assert {check.status for check in receipt.checks} == {Status.PASS}
        lightsail.lab.advance(timedelta(days=1))
    expected = [snapshot_name(VAULT, f"2031-03-{day}") for day in range(17, 24)]
    assert sorted(lightsail.ours()) == expected
    assert sorted(set(lightsail.names()) - set(expected)) == strangers
    assert home.instance(VAULT).state == "running"


def test_a_dry_run_takes_the_snapshot_and_deletes_nothing(lightsail: World) -> None:
    for _day in range(8):
        lightsail.take(lightsail.clock().date().isoformat(), dry_run=True)
        lightsail.lab.advance(timedelta(days=1))
    assert len(lightsail.ours()) == 8
    assert f"goes: {TODAY} (available, 2031-03-14 06:30 UTC)" in lightsail.said
    assert "dry run: nothing was deleted" in lightsail.said


def test_the_plan_is_said_before_anything_goes(lightsail: World) -> None:
    for _day in range(8):
        lightsail.take(lightsail.clock().date().isoformat())
        lightsail.lab.advance(timedelta(days=1))
    plan, done = lightsail.said.index("7 good ones stay, 1 go"), lightsail.said.index(f"{TODAY}: deleted")
    assert plan < done


# -- what goes wrong -------------------------------------------------------------------------------------


def fails(made: World, kind: type[BcpError], *words: str) -> BcpError:
    with pytest.raises(kind) as caught:
        made.take()
    for word in words:
        assert word in str(caught.value), caught.value
    return caught.value


def test_stuck_pending_is_could_not_verify_at_the_deadline_and_prunes_nothing(lightsail: World) -> None:
    _a_week_and_a_day(lightsail)
    lightsail.lab.fault("lightsail-snapshot-stuck")
    day = lightsail.clock().date().isoformat()
    before = lightsail.clock()
    with pytest.raises(CouldNotVerifyError, match="was still pending") as caught:
        lightsail.take(day)
    assert timedelta(minutes=30) <= lightsail.clock() - before < timedelta(minutes=31)
    assert "start the job again" in caught.value.remedy
    assert len(lightsail.ours()) == 7 + 1, "seven good ones, and the one that hangs"


def test_one_that_is_finished_after_all_is_taken_as_it_is(lightsail: World) -> None:
    lightsail.lab.fault("lightsail-snapshot-stuck")
    fails(lightsail, CouldNotVerifyError)
    lightsail.lab.fault("lightsail-snapshot-stuck", on=False)
    lightsail.lab.advance(5)
    receipt = lightsail.take()
    assert (receipt.taken.created, receipt.taken.snapshot.name) == (False, TODAY)


def test_one_that_hangs_for_good_does_not_stop_the_second_attempt(lightsail: World) -> None:
    hanging = InstanceSnapshot(
        TODAY, "pending", lightsail.clock() - timedelta(minutes=31), 40, VAULT, our_tags(VAULT, DAY)
    )

    class Hanging(Snapshots):
        def all(self) -> Iterator[InstanceSnapshot]:
            yield hanging
            yield from super().all()

    lightsail.lab.set_now("2031-03-14T07:01:00Z")
    receipt = lightsail.take(connections=SnapshotConnections(Hanging(client=lightsail.lab.client())))
    assert receipt.taken.snapshot.name == f"{TODAY}-r2"


def test_an_error_state_fails_with_what_to_do_and_the_next_run_makes_a_second_attempt(lightsail: World) -> None:
    lightsail.lab.fault("lightsail-snapshot-error")
    fails(lightsail, PermanentError, f"Snapshot {TODAY} ended in state error", "second attempt")
    lightsail.lab.fault("lightsail-snapshot-error", on=False)
    lightsail.lab.advance(60)
    receipt = lightsail.take()
    assert receipt.taken.snapshot.name == f"{TODAY}-r2"
    assert lightsail.ours() == [f"{TODAY}-r2"], "the broken one went, once a newer good one existed"


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("lightsail-down", TransientError, "try again later"),
        ("lightsail-throttled", TransientError, "slow down"),
        ("lightsail-denied", CouldNotVerifyError, "deploy/iam"),
        ("lightsail-instance-missing", AbsentError, "Check the name in bcp.toml"),
        ("lightsail-name-taken", PermanentError, "is taken by something that is not a snapshot of ours"),
    ],
)
def test_what_the_operator_is_told(lightsail: World, fault: str, kind: type[BcpError], words: str) -> None:
    lightsail.lab.fault(fault)
    error = fails(lightsail, kind, words)
    assert type(error) is kind
    lightsail.lab.fault(fault, on=False)
    assert lightsail.ours() == []
    assert lightsail.take().taken.created, "and the healthy one works"


def test_a_name_that_a_foreign_snapshot_has_is_not_touched(lightsail: World) -> None:
    lightsail.connections().home.create(TODAY, VAULT, {})
    lightsail.lab.advance(10)
    fails(lightsail, PermanentError, f"The name {TODAY} is taken")
    assert TODAY in lightsail.names()


def test_being_throttled_twice_is_ridden_out(lightsail: World) -> None:
    lightsail.lab.fault("lightsail-throttled-twice")
    patient = SnapshotConnections(Snapshots(client=lightsail.lab.client(attempts=4)))
    assert lightsail.take(connections=patient).taken.created


def test_lightsail_going_away_while_we_wait_does_not_end_the_wait(lightsail: World) -> None:
    class Shaky(Snapshots):
        """Every look but the third fails."""

        looks = 0

        def get(self, name: str) -> InstanceSnapshot | None:
            self.looks += 1
            if self.looks < 3:
                raise TransientError("Lightsail could not be reached.", "Wait.")
            return super().get(name)

    receipt = lightsail.take(connections=SnapshotConnections(Shaky(client=lightsail.lab.client())))
    assert receipt.taken.created
    assert sum("is not seen" in line for line in lightsail.said) == 2


def test_an_automatic_snapshot_in_the_way_is_waited_out() -> None:
    with world("2031-03-14T18:13:00Z", addon="18:00") as belted:
        belted.connections().home.enable_automatic(VAULT, "18:00")
        belted.lab.set_now("2031-03-15T18:12:30Z")
        receipt = belted.take("2031-03-15")
        assert receipt.taken.created
        assert any("an automatic snapshot of raxx-vault is being made" in line for line in belted.said)


def test_an_automatic_snapshot_that_never_ends_is_could_not_verify(lightsail: World) -> None:
    lightsail.lab.fault("lightsail-auto-snapshot-running")
    fails(lightsail, CouldNotVerifyError, "automatic snapshot of raxx-vault until the deadline", "vault_snapshot.addon")


def test_one_that_somebody_deletes_while_we_wait_is_said(lightsail: World) -> None:
    class Gone(Snapshots):
        def get(self, name: str) -> InstanceSnapshot | None:
            self.delete_snapshot(name)
            return super().get(name)

    with pytest.raises(PermanentError, match="is gone again"):
        lightsail.take(connections=SnapshotConnections(Gone(client=lightsail.lab.client())))


def test_an_old_snapshot_under_todays_name_is_not_adopted(lightsail: World) -> None:
    lightsail.lab.set_now("2031-03-10T06:30:00Z")
    lightsail.connections().home.create(TODAY, VAULT, our_tags(VAULT, DAY))
    lightsail.lab.set_now("2031-03-14T06:30:00Z")
    assert lightsail.take().taken.snapshot.name == f"{TODAY}-r2"


# -- pruning ---------------------------------------------------------------------------------------------


def _a_week_and_a_day(made: World, days: int = 7) -> None:
    for _day in range(days):
        made.take(made.clock().date().isoformat())
        made.lab.advance(timedelta(days=1))


def test_a_refused_deletion_is_reported_and_the_snapshot_stands(lightsail: World) -> None:
    _a_week_and_a_day(lightsail)
    lightsail.lab.fault("lightsail-delete-refused")
    receipt = lightsail.take(lightsail.clock().date().isoformat())
    status = {check.name: check for check in receipt.checks}
    assert status["available"].status is Status.PASS
    assert status["retention"].status is Status.WARN
    assert TODAY in status["retention"].detail
    assert status["retention"].warning_id, "Slack is told"
    assert receipt.as_dict()["ok"] is True
    lightsail.lab.fault("lightsail-delete-refused", on=False)
    lightsail.take(lightsail.clock().date().isoformat())
    assert len(lightsail.ours()) == 7


def test_a_list_that_breaks_off_prunes_nothing(lightsail: World) -> None:
    _a_week_and_a_day(lightsail, 8)

    class Cut(Snapshots):
        """Breaks off in the middle of the second whole list, which is the one for pruning."""

        lists = 0

        def all(self) -> Iterator[InstanceSnapshot]:
            self.lists += 1
            found = super().all()
            yield next(found)
            if self.lists == 2:
                raise TransientError("The list broke off.", "Again.")
            yield from found

    receipt = lightsail.take(
        lightsail.clock().date().isoformat(), connections=SnapshotConnections(Cut(client=lightsail.lab.client()))
    )
    (retention,) = [check for check in receipt.checks if check.name == "retention"]
    assert (retention.status, "The list broke off." in retention.detail) == (Status.WARN, True)
    assert len(lightsail.ours()) == 8


def test_what_changed_hands_between_plan_and_deletion_is_left_alone(lightsail: World) -> None:
    _a_week_and_a_day(lightsail)

    class Retagged(Snapshots):
        """Somebody takes our tag off a snapshot, after the list was read."""

        def get(self, name: str) -> InstanceSnapshot | None:
            found = super().get(name)
            if found is not None and name == TODAY:
                return InstanceSnapshot(name, found.state, found.created_utc, 40, VAULT, {"keep": "please"})
            return found

    receipt = lightsail.take(
        lightsail.clock().date().isoformat(), connections=SnapshotConnections(Retagged(client=lightsail.lab.client()))
    )
    assert receipt.pruned.refused == ((TODAY, "it is no longer the snapshot that was planned for: left alone"),)
    assert TODAY in lightsail.ours()


# -- copies ----------------------------------------------------------------------------------------------


def test_a_copy_goes_to_the_other_region_is_tagged_and_kept_to_seven() -> None:
    with world(copy_region="eu-west-1") as made:
        for _day in range(10):
            receipt = made.take(made.clock().date().isoformat())
            assert {check.status for check in receipt.checks} == {Status.PASS}
            made.lab.advance(timedelta(days=1))
        made.take(made.clock().date().isoformat())
        assert len(made.names("eu-west-1")) == 7 + 1, "seven good ones, and the one that is being copied"
        copies = [row for row in made.inventory().rows if row.kind == "copy"]
        assert {(row.region, row.ours) for row in copies} == {("eu-west-1", True)}


def test_a_copy_into_the_same_region_is_refused_and_the_snapshot_stands() -> None:
    with world(copy_region="us-east-1") as made:
        status = checks(made)
        assert (status["available"], status["copy"]) == (Status.PASS, Status.FAIL)


def test_a_copy_that_fails_is_a_failed_check_and_the_snapshot_stands() -> None:
    with world(copy_region="eu-west-1") as made:

        class Refusing(Snapshots):
            def copy_here(self, name: str, source_region: str) -> None:
                raise PermanentError(f"Lightsail could not copy {name} from {source_region}.", "Grant it.")

        connections = SnapshotConnections(made.connections().home, Refusing(client=made.lab.client("eu-west-1")))
        receipt = made.take(connections=connections)
        (copy,) = [check for check in receipt.checks if check.name == "copy"]
        assert (copy.status, copy.remedy) == (Status.FAIL, "Grant it.")
        assert made.ours() == [TODAY]


# -- the clock -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "day", "begun"),
    [
        ("2031-03-14T23:59:58Z", "2031-03-14", "2031-03-14"),
        ("2031-03-15T00:00:01Z", "2031-03-14", "2031-03-14"),
        ("2031-03-15T00:00:01Z", "2031-03-15", "2031-03-15"),
        ("2031-03-30T01:30:00Z", "2031-03-30", "2031-03-30"),
    ],
)
def test_around_midnight_and_summer_time_the_runs_day_names_it(now: str, day: str, begun: str) -> None:
    with world(now) as made:
        receipt = made.take(day)
        assert receipt.taken.snapshot.name == snapshot_name(VAULT, begun)
        made.lab.advance(60)
        assert not made.take(day).taken.created


def test_yesterdays_run_that_ends_after_midnight_does_not_stand_for_today() -> None:
    with world("2031-03-15T00:00:01Z") as made:
        made.take("2031-03-14")
        made.lab.set_now("2031-03-15T06:30:00Z")
        assert made.take("2031-03-15").taken.created
