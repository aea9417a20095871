"""No drill vanishes and nothing is left behind: the record on a real S3 server, and the sweeper over it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from raxx_bcp.clients.s3 import Bucket
from raxx_bcp.drills.engine.drill import Drill, Source
from raxx_bcp.drills.engine.journal import Journal
from raxx_bcp.drills.engine.record_stores import Record
from raxx_bcp.drills.engine.run import run_drill
from raxx_bcp.drills.engine.sweeper import Leftover, Swept, sweep
from raxx_bcp.errors import BackupWrongError, BcpError, CouldNotVerifyError, PermanentError, TransientError
from raxx_bcp.evidence.ledger import Ledger
from raxx_bcp.evidence.row import DrillEntry, EvidenceRow, Verdict
from raxx_bcp.evidence.spool import Spool
from raxx_bcp.policy import Policy
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.drills.engine.doubles import START, Shelf, StillClock, order


@dataclass
class Desk:
    """A record of this test's own, and a clock."""

    record: Record
    clock: StillClock

    def rows(self) -> list[EvidenceRow]:
        return list(self.record.ledger.rows())

    def entries(self) -> list[DrillEntry]:
        return [row.entry for row in self.rows() if isinstance(row.entry, DrillEntry)]

    def sweep(self, *places: ShelfPlace) -> Swept:
        record = self.record
        return sweep(places, record.journal, record.ledger, record.spool, clock=self.clock, sleep=self.clock.sleep)


@dataclass
class ShelfPlace:
    """A shelf on which some things carry our mark."""

    shelf: Shelf
    marked: dict[str, datetime]
    name: str = "shelf"
    trouble: BcpError | None = None
    drill_id: str = ""

    def leftovers(self) -> Iterable[Leftover]:
        if self.trouble:
            raise self.trouble
        for name, expires in self.marked.items():
            if name in self.shelf.there:
                yield Leftover(self.shelf.lease(name, usd_per_hour=0.5), START, expires, self.drill_id)


class BrokenOff(ShelfPlace):
    """A list whose second page fails."""

    def leftovers(self) -> Iterable[Leftover]:
        yield from super().leftovers()
        raise TransientError("The shelf did not give its second page.", "Try again.")


@pytest.fixture
def desk(policy: Policy, tmp_path: Path) -> Desk:
    bucket, prefix = Bucket(policy.state_bucket.name), f"test-{uuid.uuid4().hex[:12]}"
    clock = StillClock()
    ledger = Ledger(bucket, f"{prefix}/", clock=clock, sleep=clock.sleep)
    return Desk(Record(Journal(bucket, f"{prefix}-started/"), Spool(tmp_path / "spool"), ledger), clock)


def good(drill: Drill) -> None:
    drill.source(Source("b001", START - timedelta(hours=2), "the newest", size_bytes=7))
    drill.target = {"resource": "thing-1", "region": "us", "engine": "18.1"}
    with drill.phase("verify"):
        drill.check("revision", expected="abc", actual="abc")


def run(desk: Desk, body: Callable[[Drill], None] = good) -> Drill:
    done = run_drill(
        order("revision"),
        body,
        desk.record.recorder(),
        clock=desk.clock,
        sleep=desk.clock.sleep,
    )
    return done.drill


def killed(desk: Desk) -> str:
    """A drill that began, and whose process then was killed."""
    drill = Drill(order("revision"), desk.clock, desk.clock.sleep, lambda _message: None)
    desk.record.journal.begin(drill)
    return drill.id


# -- the row ---------------------------------------------------------------------------------------------


def test_a_drill_that_passed_is_a_row_an_auditor_can_read(desk: Desk) -> None:
    drill = run(desk)
    (row,) = desk.rows()
    entry = row.entry
    assert isinstance(entry, DrillEntry)
    assert (row.sequence, entry.verdict, entry.identity.drill_id) == (1, Verdict.PASS, drill.id)
    assert (entry.people.operator, entry.identity.trigger) == ("alice", "manual")
    assert entry.source is not None
    assert (entry.source.backup_id, entry.source.age_seconds) == ("b001", 7200)
    assert entry.timing.rpo.met is True
    assert entry.target is not None
    assert (entry.target.resource_id, entry.target.versions) == ("thing-1", {"engine": "18.1"})
    assert [phase.name for phase in entry.timing.phases] == ["verify", "teardown"]
    assert desk.record.ledger.verify().problems == ()
    assert desk.record.spool.files() == []


def test_a_secret_in_an_error_does_not_get_into_the_row(desk: Desk) -> None:
    def leaking(drill: Drill) -> None:
        raise BackupWrongError("It could not be restored to postgres://u:rxs_secret@h/d.", "Look.")

    run(desk, leaking)
    (entry,) = desk.entries()
    assert "rxs_secret" not in str(entry)
    assert entry.verdict is Verdict.FAIL


# -- S3 is away ------------------------------------------------------------------------------------------


def test_s3_down_at_the_moment_of_writing_loses_no_row(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    put = Bucket.put

    def away(bucket: Bucket, key: str, *arguments: object, **named: object) -> object:
        if "-started/" in key:
            return put(bucket, key, *arguments, **named)  # type: ignore[arg-type]
        raise TransientError("S3 could not be reached.", "Wait.")

    monkeypatch.setattr(Bucket, "put", away)
    with pytest.raises(TransientError):
        run(desk)
    monkeypatch.setattr(Bucket, "put", put)
    assert desk.rows() == []
    assert len(desk.record.spool.files()) == 1
    swept = desk.sweep()
    assert swept.rows_written == [1]
    assert desk.entries()[0].verdict is Verdict.PASS
    assert desk.sweep().rows_written == [], "nothing is written twice"


def test_a_drill_that_cannot_be_put_on_record_does_not_begin(desk: Desk, breakable_sandbox: Sandbox) -> None:
    shelf = Shelf()

    def body(drill: Drill) -> None:
        drill.lease(shelf.lease("app"), lambda: shelf.make("app"))

    patient = Bucket(desk.record.ledger.bucket.name)
    breakable_sandbox.break_("s3-down")
    desk.record = replace(desk.record, journal=Journal(patient, "x-started/"))
    with pytest.raises(TransientError):
        run(desk, body)
    assert (shelf.there, shelf.released) == (set(), [])


# -- kill -9 ---------------------------------------------------------------------------------------------


def test_a_killed_drill_gets_its_row_once_its_lease_is_over(desk: Desk) -> None:
    drill_id = killed(desk)
    assert desk.sweep().crashed == [], "it may still be running"
    desk.clock.now = START + timedelta(hours=4)
    assert desk.sweep().crashed == [drill_id]
    (entry,) = desk.entries()
    assert (entry.verdict, entry.identity.drill_id) == (Verdict.COULD_NOT_VERIFY, drill_id)
    assert entry.people.operator == "alice"
    assert "killed" in entry.findings[0]
    assert entry.timing.started_utc == START
    assert desk.sweep().crashed == [], "once is enough"


def test_a_drill_that_ended_is_never_taken_for_a_killed_one(desk: Desk) -> None:
    run(desk)
    desk.clock.now = START + timedelta(days=1)
    assert desk.sweep().crashed == []
    assert len(desk.rows()) == 1


def test_what_a_killed_drill_left_is_deleted_and_in_its_row_with_its_cost(desk: Desk) -> None:
    drill_id = killed(desk)
    name = f"thing-{drill_id.rpartition('-')[2]}"
    shelf = Shelf({name})
    desk.clock.now = START + timedelta(hours=6)
    swept = desk.sweep(ShelfPlace(shelf, {name: START + timedelta(hours=4)}))
    assert shelf.there == set()
    assert swept.cost_usd == pytest.approx(3.0, rel=0.01)
    (entry,) = desk.entries()
    (resource,) = entry.teardown.resources
    assert (resource.name, resource.gone_utc is not None) == (name, True)
    assert resource.cost_micro_usd == pytest.approx(3_000_000, rel=0.01)


def test_a_resource_that_says_whose_it_is_is_in_that_drills_row_whatever_its_name(desk: Desk) -> None:
    """An instance has a name that the ADR fixes; its tag says which drill made it."""
    mine, other = killed(desk), killed(desk)
    shelf = Shelf({"restored"})
    desk.clock.now = START + timedelta(hours=6)
    desk.sweep(ShelfPlace(shelf, {"restored": START + timedelta(hours=4)}, drill_id=mine))
    made = {entry.identity.drill_id: [one.name for one in entry.teardown.resources] for entry in desk.entries()}
    assert made == {mine: ["restored"], other: []}


def test_what_was_seen_before_the_looking_ended_is_swept(desk: Desk) -> None:
    shelf = Shelf({"seen"})
    desk.clock.now = START + timedelta(hours=6)
    swept = desk.sweep(BrokenOff(shelf, {"seen": START + timedelta(hours=4)}))
    assert shelf.there == set()
    assert "its second page" in swept.problems[0]


def test_what_is_inside_its_lease_or_carries_no_mark_is_left_alone(desk: Desk) -> None:
    shelf = Shelf({"running", "production", "expired"})
    marked = {"running": START + timedelta(hours=4), "expired": START}
    swept = desk.sweep(ShelfPlace(shelf, marked))
    assert shelf.there == {"running", "production"}
    assert shelf.released == ["expired"]
    assert [one.lease.name for one in swept.not_yet] == ["running"]
    assert swept.clean


def test_one_that_cannot_be_deleted_is_said_and_the_others_still_go(desk: Desk) -> None:
    shelf = Shelf({"a", "b"}, trouble={"a": PermanentError("The delete was refused.", "Ask.")})
    swept = desk.sweep(ShelfPlace(shelf, {"a": START, "b": START}))
    assert shelf.there == {"a"}
    assert not swept.clean
    assert "STILL THERE: thing a: The delete was refused." in swept.text()


def test_a_place_that_cannot_be_seen_is_said_and_the_others_are_swept(desk: Desk) -> None:
    shelf = Shelf({"b"})
    blind = ShelfPlace(Shelf(), {}, name="heroku", trouble=CouldNotVerifyError("Heroku denied it.", "Ask."))
    swept = desk.sweep(blind, ShelfPlace(shelf, {"b": START}))
    assert shelf.there == set()
    assert swept.problems == ["heroku: Heroku denied it."]
    assert swept.as_dict()["ok"] is False


def test_nothing_left_behind_is_silent(desk: Desk) -> None:
    swept = desk.sweep(ShelfPlace(Shelf(), {}))
    assert (swept.clean, swept.text()) == (True, "nothing was left behind")


def test_an_object_that_is_no_start_is_said_and_not_taken_for_one(desk: Desk) -> None:
    bucket, journal = desk.record.ledger.bucket, desk.record.journal
    bucket.put(f"{journal._prefix}stranger.json", b"{}", content_type="application/json", metadata={})
    swept = desk.sweep()
    assert "is not the start of a drill" in swept.problems[0]
