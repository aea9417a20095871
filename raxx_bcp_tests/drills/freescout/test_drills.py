"""Both FreeScout drills, whole: real SSH, real MariaDB, a real S3 server, and Lightsail's stand-in with real hosts."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from raxx_bcp.clients.instances import Instances
from raxx_bcp.clients.lightsail import Snapshots
from raxx_bcp.drills.engine.drill import Drill, Order
from raxx_bcp.drills.engine.run import FinishedDrill, run_drill
from raxx_bcp.drills.freescout import compare, dump_drill, examine, site, snapshot_drill
from raxx_bcp.drills.freescout.connections import Connections
from raxx_bcp.drills.freescout.expected import LastDrill
from raxx_bcp.drills.freescout.kinds import DUMP, SNAPSHOT
from raxx_bcp.drills.freescout.wanted import NEWEST, RANDOM_OLDER, DumpWanted, SnapshotWanted
from raxx_bcp.drills.hosts.isolation import ISOLATION
from raxx_bcp.drills.hosts.silence import SILENT
from raxx_bcp.drills.kind import Asked
from raxx_bcp.errors import PermanentError
from raxx_bcp.evidence.row import Verdict
from raxx_bcp.policy import FreeScout, Policy, ThrowawayInstances
from raxx_bcp.policy_adopted import Adopted
from raxx_bcp_sandbox import freescout
from raxx_bcp_sandbox.freescout import dumps
from raxx_bcp_sandbox.hosts import quirks
from raxx_bcp_sandbox.mariadb import MariadbServer
from raxx_bcp_tests.drills.engine.doubles import Memory
from raxx_bcp_tests.drills.freescout.stage import Shelf, check, failed, not_run, passed, said
from raxx_bcp_tests.drills.freescout.test_adopted import DAY, KEY, LAYOUTS
from raxx_bcp_tests.drills.hosts.known_guards import Known
from raxx_bcp_tests.faults.freescout_dumps import HealthySet
from raxx_bcp_tests.faults.scanning import found_in_bytes
from raxx_bcp_tests.sandbox.hosts.lab import RESTORED, TICKETS, HostLab, host_lab
from raxx_bcp_tests.sandbox.lightsail.lab import lightsail_server

POLL_REAL_SECONDS = 0.05


@dataclass
class World:
    """An account with hosts, a bucket, and drills on them: recorded time passes while they wait."""

    lab: HostLab
    shelf: Shelf
    prefix: str
    poll_seconds: float = 0.5
    poll_real_seconds: float = POLL_REAL_SECONDS
    last: LastDrill | None = None
    sightings: Known = field(default_factory=Known)
    adopted: Adopted = field(default_factory=Adopted)
    private_key: bytes | None = None
    database_login: str = "socket"
    mails_sent: int = 0
    """What a test's copies may rightly have sent."""

    @property
    def policy(self) -> Policy:
        net = self.lab.net
        return Policy(
            freescout=FreeScout(
                site_directory="site",
                site_port=net.site,
                database_login=self.database_login,
                dump_prefix=self.prefix,
                adopted=self.adopted,
                version=freescout.VERSION if self.adopted.configured else "",
                rpo_hours=40,
            ),
            throwaway_instances=ThrowawayInstances(
                worker_cidr="127.0.0.1/32",
                ssh_port=net.ssh,
                egress_probes=(f"{net.sink}:{net.smtp}",),
                poll_seconds=self.poll_seconds,
            ),
        )

    @property
    def connections(self) -> Connections:
        policy = self.policy
        instances = Instances(
            names=(policy.freescout.restored_instance,),
            protected=(policy.freescout.instance,),
            client=self.lab.client(),
        )
        return Connections(instances, Snapshots(client=self.lab.client()), self.sightings, self.last, self.private_key)

    def sleep(self, seconds: float) -> None:
        self.lab.lab.advance(seconds)
        time.sleep(self.poll_real_seconds)  # real hosts boot meanwhile

    def run_drill(self, order: Order, body: Callable[[Drill], None]) -> FinishedDrill:
        return run_drill(order, body, Memory(), clock=self.lab.lab.now, sleep=self.sleep)

    def snapshot(self, wanted: SnapshotWanted | None = None) -> FinishedDrill:
        chosen, policy, connections = wanted or SnapshotWanted(), self.policy, self.connections
        order = SNAPSHOT.order(policy, Asked("alice"), chosen)
        return self.run_drill(
            order, lambda drill: snapshot_drill.freescout_snapshot(drill, connections, policy, chosen)
        )

    def dump(self, wanted: DumpWanted | None = None) -> FinishedDrill:
        chosen, policy, connections = wanted or DumpWanted(), self.policy, self.connections
        order = DUMP.order(policy, Asked("alice"), chosen)
        return self.run_drill(
            order, lambda drill: dump_drill.freescout_dump(drill, connections, self.shelf.bucket, policy, chosen)
        )

    def store(self, made: dumps.DumpSet) -> None:
        day = self.lab.lab.now().date()
        dumps.upload(self.shelf.client, self.shelf.bucket.name, self.prefix, day, made)

    def names(self) -> set[str]:
        return {one["name"] for one in self.lab.client().get_instances()["instances"]}


@pytest.fixture(scope="module")
def hosts() -> Iterator[HostLab]:
    """Its time begins at this machine's own, which is what a host's ``uptime`` and its MariaDB tell."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with (
        lightsail_server() as serve,
        host_lab(make=functools.partial(serve, now=now), cron_seconds=0.2) as made,
    ):
        yield made


@pytest.fixture
def world(hosts: HostLab, shelf: Shelf, tmp_path: Path) -> Iterator[World]:
    """The production instance and its snapshots; nothing else."""
    made = World(hosts, shelf, f"{tmp_path.name}/")
    before, mails = made.names(), hosts.mails()
    try:
        yield made
        assert made.names() == before, "a throwaway instance is left, or production is gone"
        assert hosts.mails() == mails + made.mails_sent, "a restored copy has sent mail"
    finally:
        for name in quirks.KNOWN:
            hosts.lab.fault(name, on=False)


def test_tier_1_passes_and_leaves_nothing(world: World) -> None:
    done = world.snapshot()
    assert done.verdict is Verdict.PASS, said(done.drill)
    assert passed(done.drill) == set(SNAPSHOT.checks)
    assert check(done.drill, SILENT).actual == "0 s"
    assert any(line.startswith("silent before the network: 0 s (") for line in done.drill.isolation)
    assert [phase.name for phase in done.drill.phases] == ["select", "provision", "isolate", "verify", "teardown"]
    assert found_in_bytes(said(done.drill).encode(), freescout.planted()) == []


@pytest.fixture(scope="module")
def today(hosts: HostLab, short: Path) -> Iterator[HealthySet]:
    """A help desk and its dump set, taken an hour before the account's time begins."""
    taken = hosts.lab.now() - timedelta(hours=1)
    freescout.install(short / "today", taken)
    desk = short / "today" / freescout.SITE
    with MariadbServer(short / "today" / freescout.MARIADB) as server:
        yield HealthySet(server, desk, dumps.dump_set(server, desk, taken, short / "today" / "set"))


def test_tier_2_passes_and_leaves_nothing(world: World, today: HealthySet) -> None:
    world.store(today.dump_set)
    done = world.dump()
    assert done.verdict is Verdict.PASS, said(done.drill)
    assert passed(done.drill) == set(DUMP.checks)
    phases = ["select", "provision", "isolate", "restore", "verify", "teardown"]
    assert [phase.name for phase in done.drill.phases] == phases
    assert found_in_bytes(said(done.drill).encode(), freescout.planted()) == []


@pytest.mark.parametrize(
    ("name", "verdict"), [("everything, sealed", Verdict.PASS), ("gzip", Verdict.COULD_NOT_VERIFY)]
)
def test_tier_2_of_another_programs_backup_passes_only_where_all_of_it_was_proved(
    world: World, today: HealthySet, name: str, verdict: Verdict
) -> None:
    layout, day = LAYOUTS[name], f"{world.lab.lab.now():%Y-%m-%d}"
    for key, body in layout.objects(today).items():
        if DAY not in key:
            continue  # of the day before, which would be in this account's future
        moved = f"{world.prefix}{key.replace(DAY, day)}"
        world.shelf.client.put_object(Bucket=world.shelf.bucket.name, Key=moved, Body=body)
    world.adopted = Adopted(**{part: f"{world.prefix}{text}" for part, text in layout.patterns.items()})
    world.private_key = KEY.secret.encode()
    done = world.dump()
    assert done.verdict is verdict, said(done.drill)
    assert failed(done.drill) == set(), said(done.drill)
    assert not_run(done.drill) == layout.unproved
    assert done.drill.source_backup is not None
    assert day in done.drill.source_backup.backup_id
    assert "it has no manifest" in done.drill.source_backup.selected_because
    assert found_in_bytes(said(done.drill).encode(), freescout.planted()) == []


def test_a_second_drill_is_compared_with_the_first(world: World) -> None:
    """Another snapshot, earlier than the first: there is nothing as old to compare with; the same one: it is equal."""
    world.last = last_drill(world.snapshot())
    again = world.snapshot()
    assert again.verdict is Verdict.PASS, said(again.drill)
    assert world.last.drill_id in check(again.drill, compare.CONTENT).expected
    older = world.snapshot(SnapshotWanted(RANDOM_OLDER))
    assert older.verdict is Verdict.PASS, said(older.drill)
    assert "restored a later backup" in check(older.drill, compare.ROWS).expected


def last_drill(done: FinishedDrill) -> LastDrill:
    """As its evidence row tells it."""
    assert done.drill.source_backup is not None
    source, results = done.drill.source_backup, done.drill.results
    return LastDrill(done.drill.id, source.backup_id, source.created_utc, tuple((r.name, r.actual) for r in results))


@pytest.mark.parametrize(
    ("fault", "names", "skipped"),
    [
        (quirks.GUARD_LATE, {SILENT}, (ISOLATION, *examine.CHECKS)),
        (quirks.CRON_RUNNING, {ISOLATION}, examine.CHECKS),
        (quirks.EGRESS_OPEN, {ISOLATION}, examine.CHECKS),
        (quirks.DATABASE_DOWN, {examine.DATABASE, site.LOGIN}, compare.SQL_CHECKS),
        (quirks.APP_KEY_WRONG, {compare.APP_KEY}, ()),
        (quirks.APP_KEY_EMPTY, {compare.APP_KEY}, site.CHECKS),
        (quirks.ATTACHMENTS_MISSING, {compare.ATTACHMENTS}, ()),
    ],
)
def test_tier_1_fails_by_the_check_that_names_it(
    world: World, fault: str, names: set[str], skipped: tuple[str, ...]
) -> None:
    world.lab.lab.fault(fault)
    done = world.snapshot()
    assert done.verdict is Verdict.FAIL
    assert names <= failed(done.drill), said(done.drill)
    assert set(skipped) <= not_run(done.drill), said(done.drill)
    assert done.drill.leases.confirmed
    assert found_in_bytes(said(done.drill).encode(), freescout.planted()) == []


def test_a_root_with_a_password_is_not_judged_and_with_the_sites_own_login_tier_1_passes(world: World) -> None:
    """The password is read on the copy: over SSH goes where it is, and it comes back in nothing."""
    world.lab.lab.fault(quirks.DATABASE_LOCKED)
    refused = world.snapshot()
    assert refused.verdict is Verdict.COULD_NOT_VERIFY, said(refused.drill)
    assert "the queue could not be emptied" not in said(refused.drill)
    assert "does not let the drill in (error 1045" in " ".join(refused.drill.findings)
    world.database_login = "env"
    done = world.snapshot()
    assert done.verdict is Verdict.PASS, said(done.drill)
    assert found_in_bytes(said(done.drill).encode(), freescout.planted()) == []


def test_a_copy_that_has_lost_its_guard_mails_before_anybody_can_stop_it_and_is_a_fail(
    world: World, hosts: HostLab
) -> None:
    """The guard was seen on production, and is not on the snapshot's disk: somebody removed it by hand."""
    mails = hosts.mails()
    world.lab.lab.fault(quirks.GUARD_GONE)
    done = world.snapshot()
    assert done.verdict is Verdict.FAIL
    assert check(done.drill, SILENT).actual == "unknown"
    assert "left no marks" in check(done.drill, SILENT).reason
    assert {ISOLATION, *examine.CHECKS} <= not_run(done.drill)
    assert done.drill.leases.confirmed
    world.mails_sent = hosts.mails() - mails


@pytest.mark.parametrize("wanted", [NEWEST, RANDOM_OLDER])
def test_nothing_is_made_of_an_unguarded_snapshot(world: World, wanted: str) -> None:
    world.sightings = Known([])
    done = world.snapshot(SnapshotWanted(wanted))
    assert done.verdict is Verdict.COULD_NOT_VERIFY
    assert "no copy guard was ever seen on raxx-tickets" in " ".join(done.drill.findings)
    assert done.drill.leases.returned == []
    assert "isolate" not in [phase.name for phase in done.drill.phases]


def test_an_accepted_one_is_restored_is_on_record_and_never_passes(world: World) -> None:
    world.sightings = Known([])
    done = world.snapshot(SnapshotWanted(accept_unguarded="its queue was emptied before"))
    assert done.verdict is Verdict.COULD_NOT_VERIFY, said(done.drill)
    assert not_run(done.drill) == {SILENT}
    assert "accepted by alice: its queue was emptied before" in " ".join(done.drill.findings)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (quirks.NEVER_BOOTS, RESTORED),
        (quirks.SSH_REFUSED, RESTORED),
        (quirks.LOGIN_REFUSED, "does not take the login"),
    ],
)
def test_tier_1_could_not_verify_what_it_could_not_enter(world: World, fault: str, words: str) -> None:
    """Failure 18: a hard timeout, and neither a pass nor a failure of the backup."""
    world.lab.lab.fault(fault)
    world.poll_seconds, world.poll_real_seconds = 60.0, 0.2
    done = world.snapshot()
    assert done.verdict is Verdict.COULD_NOT_VERIFY, said(done.drill)
    assert words in "".join(done.drill.findings)
    assert done.drill.leases.confirmed


def test_tier_1_says_nothing_to_another_host_and_nothing_of_the_backup(world: World) -> None:
    world.lab.lab.fault(quirks.WRONG_KEY)
    done = world.snapshot()
    assert done.verdict is Verdict.COULD_NOT_VERIFY, said(done.drill)
    assert "wrong host key" in "".join(done.drill.findings)
    assert {ISOLATION, *examine.CHECKS} <= not_run(done.drill), said(done.drill)
    assert done.drill.leases.confirmed


def test_tier_2_with_its_way_out_open_ends_before_anything_is_restored(world: World, today: HealthySet) -> None:
    world.store(today.dump_set)
    world.lab.lab.fault(quirks.EGRESS_OPEN)
    done = world.dump()
    assert done.verdict is Verdict.FAIL
    assert failed(done.drill) == {ISOLATION, "completed"}
    assert "restore" not in [phase.name for phase in done.drill.phases]


def test_production_is_only_looked_at(world: World) -> None:
    """The clients refuse before a byte is sent; the lease refuses as well."""
    connections = world.connections
    with pytest.raises(PermanentError, match="refused"):
        connections.instances.delete_throwaway(TICKETS, "anything")
    assert TICKETS in world.names()
