"""The snapshot's drill: chosen on a Lightsail stand-in, examined on a real stand-in vault; the instance is faked.

The last test makes a whole instance of the sandbox and goes through SSH.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from raxx_bcp.clients.infisical import Infisical
from raxx_bcp.clients.instances import Instances
from raxx_bcp.clients.lightsail import Snapshots
from raxx_bcp.drills.engine.drill import RESTORE_TIME, Drill
from raxx_bcp.drills.engine.record import entry_of
from raxx_bcp.drills.engine.run import FinishedDrill, run_drill
from raxx_bcp.drills.hosts.admission import Admission
from raxx_bcp.drills.hosts.isolation import ISOLATION, NotIsolatedError
from raxx_bcp.drills.hosts.silence import SILENT
from raxx_bcp.drills.kind import Asked
from raxx_bcp.drills.vault.host import STILL_ISOLATED
from raxx_bcp.drills.vault.kinds import SNAPSHOT
from raxx_bcp.drills.vault.snapshot_drill import (
    ANSWERS,
    COUNTED,
    EMPTIED,
    LOGIN,
    READABLE,
    SNAPSHOT_AGE,
    Connections,
    vault_snapshot,
)
from raxx_bcp.drills.vault.wanted import SnapshotWanted
from raxx_bcp.errors import BcpError, CouldNotVerifyError, PermanentError, TransientError
from raxx_bcp.evidence.row import CheckStatus, Verdict
from raxx_bcp.policy import Policy, ThrowawayInstances, VaultDrill
from raxx_bcp.vault import manifest as manifests
from raxx_bcp_sandbox.infisical.identities import Login
from raxx_bcp_sandbox.infisical.seed import OPS, empty_world
from raxx_bcp_sandbox.lightsail.seed import in_use, raxx
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.clients.vaults import WatchedVault, watched_vault
from raxx_bcp_tests.drills.engine.doubles import Memory, Shelf, StillClock
from raxx_bcp_tests.drills.hosts.known_guards import Known
from raxx_bcp_tests.drills.vault.exports import lay_export
from raxx_bcp_tests.sandbox.hosts.lab import IDENTITIES, HostLab, host_lab
from raxx_bcp_tests.sandbox.infisical.support import CREDENTIALS
from raxx_bcp_tests.sandbox.lightsail.lab import Lab, MakeLab, lightsail_server
from raxx_bcp_tests.vault.world import export, state_bucket

TAKEN = datetime(2031, 3, 13, 6, 30, tzinfo=UTC)
"""When the newest snapshot of ours in the lab was made."""
EXPORTED = TAKEN + timedelta(minutes=30)
NEWEST_NAME = "raxx-bcp-raxx-vault-2031-03-13"
RESTORED = "raxx-vault-restored"


@dataclass
class FakeInstance:
    """In place of a throwaway instance: its API is the stand-in vault itself."""

    vault: WatchedVault
    shelf: Shelf = field(default_factory=Shelf)
    made_from: list[tuple[str, str]] = field(default_factory=list)
    isolation: BcpError | None = None
    lost: BcpError | None = None

    @contextmanager
    def entered(
        self, drill: Drill, _instances: Instances, policy: Policy, snapshot: str, bundle: str, admission: Admission
    ) -> Iterator[FakeInstance]:
        assert admission.instance == policy.vault_snapshot.instance
        self.made_from.append((snapshot, bundle))
        name = policy.vault_drill.restored_instance
        drill.lease(self.shelf.lease(name, usd_per_hour=0.01), lambda: self.shelf.make(name))
        if self.isolation:
            raise self.isolation
        for name in (SILENT, ISOLATION, STILL_ISOLATED):
            drill.check(name, expected="asserted", actual="asserted")
        yield self

    @contextmanager
    def forward(self, port: int) -> Iterator[int]:
        assert port == 8080
        yield urlsplit(self.vault.address).port or 0

    def require_reachable(self) -> None:
        if self.lost:
            raise self.lost


@dataclass
class Stage:
    """An account with a week of snapshots, an export half an hour after the newest, and drills a day later."""

    policy: Policy
    lab: Lab
    instance: FakeInstance
    clock: StillClock = field(default_factory=lambda: StillClock(TAKEN + timedelta(hours=23, minutes=59)))
    memory: Memory = field(default_factory=Memory)
    told: list[str] = field(default_factory=list)
    login: Login = CREDENTIALS.exporter

    def connections(self) -> Connections:
        client = self.lab.client()
        return Connections(
            Instances(names=(RESTORED,), protected=("raxx-vault",), client=client),
            Snapshots(client=self.lab.client()),
            state_bucket(self.policy),
            Known(),
            self.login.client_id,
            self.login.client_secret,
        )

    def drill(self, wanted: SnapshotWanted | None = None, connections: Connections | None = None) -> FinishedDrill:
        chosen, given = wanted or SnapshotWanted(), connections or self.connections()
        return run_drill(
            SNAPSHOT.order(self.policy, Asked("alice"), chosen),
            lambda drill: vault_snapshot(drill, given, self.policy, chosen),
            self.memory,
            clock=self.clock,
            sleep=self.clock.sleep,
            progress=self.told.append,
        )

    def change_manifest(self, day: str, **fields: Any) -> None:
        bucket, key = state_bucket(self.policy), f"{self.policy.vault_export.prefix}{day}.manifest.json"
        read = manifests.decode(bucket.get(key))
        assert read is not None
        body = manifests.encode(msgspec.structs.replace(read, **fields))
        bucket.put(key, body, content_type="x/y", metadata={})


@pytest.fixture(scope="module")
def make_lab() -> Iterator[MakeLab]:
    with lightsail_server() as make:
        yield make


@pytest.fixture
def lab(make_lab: MakeLab) -> Iterator[Lab]:
    with make_lab(in_use) as served:
        yield served


@pytest.fixture
def vault() -> Iterator[WatchedVault]:
    with watched_vault() as served:
        yield served


@pytest.fixture
def stage(policy: Policy, sandbox: Sandbox, lab: Lab, vault: WatchedVault, monkeypatch: pytest.MonkeyPatch) -> Stage:
    lay_export(policy, sandbox, "2031-03-13", EXPORTED)
    drilled = policy.vault_drill.model_copy(update={"api_port": 8080})
    made = Stage(policy.model_copy(update={"vault_drill": drilled}), lab, FakeInstance(vault))
    monkeypatch.setattr("raxx_bcp.drills.vault.snapshot_drill.entered", made.instance.entered)
    return made


def status(done: FinishedDrill) -> dict[str, CheckStatus]:
    return {one.name: one.status for one in done.drill.results}


def failed(done: FinishedDrill) -> set[str]:
    return {name for name, found in status(done).items() if found is CheckStatus.FAIL}


def not_run(done: FinishedDrill) -> set[str]:
    return {name for name, found in status(done).items() if found is CheckStatus.NOT_RUN}


def said(done: FinishedDrill) -> str:
    reasons = [one.reason for one in done.drill.results if one.reason]
    return "\n".join([*done.drill.findings, *reasons])


# -- healthy ---------------------------------------------------------------------------------------------


def test_a_healthy_snapshot_passes_every_check_and_leaves_nothing(stage: Stage) -> None:
    done = stage.drill()
    assert done.verdict is Verdict.PASS, said(done)
    assert status(done) == dict.fromkeys(SNAPSHOT.checks, CheckStatus.PASS)
    source = done.drill.source_backup
    assert source is not None
    assert (source.backup_id, source.created_utc) == (NEWEST_NAME, TAKEN)
    assert source.selected_because == "the newest of 7 available snapshots of ours"
    assert stage.instance.made_from == [(NEWEST_NAME, "")]
    assert stage.instance.shelf.there == set()
    assert done.drill.newest_record_utc is not None
    found = {one.name: (one.expected, one.actual) for one in done.drill.results}
    assert found["secrets"] == ("335 ± 16 by the export of 2031-03-13", "335")
    assert found["projects"] == ("3 ± 0 by the export of 2031-03-13", "3")


def test_no_secret_value_is_told_or_recorded(stage: Stage) -> None:
    done = stage.drill()
    shown = "\n".join([str(entry_of(done.drill, stage.clock())), repr(done), repr(stage.connections()), *stage.told])
    assert "rxs_" not in shown
    assert CREDENTIALS.exporter.client_secret not in shown


def test_a_named_and_a_random_older_snapshot_are_compared_with_the_export_of_their_own_time(stage: Stage) -> None:
    export(stage.policy, day="2031-03-10", now=datetime(2031, 3, 10, 7, 0, tzinfo=UTC))
    done = stage.drill(SnapshotWanted("raxx-bcp-raxx-vault-2031-03-10", bundle="medium_3_0"))
    assert done.verdict is Verdict.PASS, said(done)
    assert stage.instance.made_from[-1] == ("raxx-bcp-raxx-vault-2031-03-10", "medium_3_0")
    assert {one.expected for one in done.drill.results if one.name == "projects"} == {
        "3 ± 0 by the export of 2031-03-10"
    }
    stage.drill(SnapshotWanted("random-older"))
    assert stage.instance.made_from[-1][0] != NEWEST_NAME


def test_infisical_may_take_its_time(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.instance.vault.watch.answer("/api/status", b"bad gateway", 502, "text/html")
    sleep = stage.clock.sleep

    def sleeps(seconds: float) -> None:
        sleep(seconds)
        if stage.clock.now > TAKEN + timedelta(hours=24, minutes=4):
            stage.instance.vault.watch.instead.clear()

    monkeypatch.setattr(stage.clock, "sleep", sleeps)
    done = stage.drill()
    assert done.verdict is Verdict.PASS, said(done)
    (answers,) = [one for one in done.drill.results if one.name == ANSWERS]
    assert answers.actual.startswith("200 after 30")


# -- which snapshot --------------------------------------------------------------------------------------


def test_a_stale_snapshot_is_caught(stage: Stage) -> None:
    stage.clock.now = TAKEN + timedelta(hours=25, seconds=1)
    done = stage.drill()
    assert (done.verdict, failed(done)) == (Verdict.FAIL, {SNAPSHOT_AGE})


def test_an_account_without_a_snapshot_of_ours_fails_and_makes_nothing(stage: Stage, make_lab: MakeLab) -> None:
    with make_lab(raxx) as lab:
        done = replace(stage, lab=lab).drill()
    assert done.verdict is Verdict.FAIL
    assert "no available snapshot of raxx-vault by us" in said(done)
    assert stage.instance.made_from == []


@pytest.mark.parametrize(
    ("state", "verdict", "words"),
    [("error", Verdict.FAIL, "ended in state error"), ("pending", Verdict.COULD_NOT_VERIFY, "is pending")],
)
def test_a_named_snapshot_that_is_not_available_is_no_pass(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, state: str, verdict: Verdict, words: str
) -> None:
    _in_state(monkeypatch, state)
    stage.clock.now = TAKEN + timedelta(minutes=30)
    done = stage.drill(SnapshotWanted(NEWEST_NAME))
    assert done.verdict is verdict
    assert words in said(done)
    assert stage.instance.made_from == []


@pytest.mark.parametrize("state", ["error", "pending"])
def test_a_newest_one_that_is_not_available_is_passed_over_and_said(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    _in_state(monkeypatch, state)
    done = stage.drill()
    assert failed(done) == {SNAPSHOT_AGE}
    assert done.drill.source_backup is not None
    assert done.drill.source_backup.selected_because.endswith(f"passed over: {NEWEST_NAME} ({state})")


def _in_state(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    real = Snapshots.all

    def changed(snapshots: Snapshots) -> Any:
        for one in real(snapshots):
            yield replace(one, state=state) if one.name == NEWEST_NAME else one

    monkeypatch.setattr(Snapshots, "all", changed)


def test_a_name_that_is_not_there_is_said_with_those_that_are(stage: Stage) -> None:
    done = stage.drill(SnapshotWanted("raxx-tickets-by-hand"))
    assert done.verdict is Verdict.COULD_NOT_VERIFY
    assert NEWEST_NAME in said(done)


def test_denied_at_lightsail_is_no_pass(stage: Stage) -> None:
    stage.lab.fault("lightsail-denied")
    done = stage.drill()
    assert done.verdict is Verdict.COULD_NOT_VERIFY
    assert stage.instance.made_from == []


# -- the instance ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (NotIsolatedError("It is not isolated.", "Look."), Verdict.FAIL),
        (CouldNotVerifyError("It never ran.", "Look."), Verdict.COULD_NOT_VERIFY),
    ],
    ids=["not isolated", "not up"],
)
def test_an_instance_that_is_not_up_or_not_isolated_is_asked_for_nothing(
    stage: Stage, error: BcpError, verdict: Verdict
) -> None:
    stage.instance.isolation = error
    done = stage.drill()
    assert done.verdict is verdict
    assert stage.instance.vault.watch.calls == []
    assert stage.instance.shelf.there == set()


@pytest.mark.parametrize(
    "answer",
    [(500, b'{"message":"database is away"}', "application/json"), (200, b"<html>welcome</html>", "text/html")],
    ids=["without its database", "something else answers"],
)
def test_an_infisical_that_never_answers_has_failed(stage: Stage, answer: tuple[int, bytes, str]) -> None:
    code, body, kind = answer
    stage.instance.vault.watch.answer("/api/status", body, code, kind)
    done = stage.drill()
    assert done.verdict is Verdict.FAIL
    assert failed(done) == {ANSWERS}
    assert "after 10 minutes" in said(done)
    assert "database is away" not in said(done), "what it says is not put on record"
    assert stage.instance.shelf.there == set()


def test_an_infisical_that_is_silent_because_the_instance_is_lost_is_unknown(stage: Stage) -> None:
    stage.instance.vault = replace(stage.instance.vault, address="http://127.0.0.1:9")
    stage.instance.lost = TransientError("The connection was lost.", "Again.")
    assert stage.drill().verdict is Verdict.COULD_NOT_VERIFY
    stage.instance.lost = None
    assert stage.drill().verdict is Verdict.FAIL, "the instance answers, and nothing listens on it"


# -- what is in it ---------------------------------------------------------------------------------------


def test_a_database_that_does_not_know_the_identity_is_another_one(stage: Stage) -> None:
    stage.login = Login("somebody", "else")
    done = stage.drill()
    assert (done.verdict, failed(done)) == (Verdict.FAIL, {LOGIN})


def test_an_empty_database_is_caught(stage: Stage) -> None:
    with watched_vault(empty_world(CREDENTIALS)) as empty:
        stage.instance.vault = empty
        done = stage.drill()
    assert done.verdict is Verdict.FAIL
    assert {*COUNTED, EMPTIED} <= failed(done)


@pytest.mark.parametrize(("change", "ok"), [(17, True), (18, False), (-15, True), (-16, False)])
def test_counts_are_compared_within_the_tolerance(stage: Stage, change: int, *, ok: bool) -> None:
    """Five per cent of what the export had: 17 of 352 and 353, 16 of 320, 15 of 319."""
    counts = list(_manifest(stage).environments)
    counts[0] = replace(counts[0], secrets=counts[0].secrets + change)
    stage.change_manifest("2031-03-13", environments=tuple(counts))
    assert failed(stage.drill()) == (set() if ok else {"secrets"})


def _manifest(stage: Stage) -> manifests.Manifest:
    read = manifests.decode(
        state_bucket(stage.policy).get(f"{stage.policy.vault_export.prefix}2031-03-13.manifest.json")
    )
    assert read is not None
    return read


def test_one_project_less_is_outside_of_any_tolerance(stage: Stage) -> None:
    world = stage.instance.vault.world
    project = world.project_by_slug(OPS)
    assert project is not None
    world.remove_project(project)
    done = stage.drill()
    assert {"projects", "secrets", EMPTIED} <= failed(done)
    assert f"{OPS}/prod" in said(done)


def test_an_environment_that_lost_everything_is_caught_within_the_tolerance(stage: Stage) -> None:
    other = replace(_manifest(stage).environments[0], project="raxx-platform", environment="gone", secrets=1)
    environments = (*_manifest(stage).environments, other)
    stage.change_manifest("2031-03-13", environments=environments)
    done = stage.drill()
    assert EMPTIED in failed(done)
    assert "raxx-platform/gone" in next(one.actual for one in done.drill.results if one.name == EMPTIED)


def test_values_that_are_hidden_are_caught(stage: Stage) -> None:
    stage.instance.vault.faults.switch("vault-hidden-values", on=True)
    done = stage.drill()
    assert READABLE in failed(done)


@pytest.mark.parametrize("step", ["projects", "own_roles", "secrets", "folders", "imports", "tags"])
@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (TransientError("It is away.", "Wait."), Verdict.COULD_NOT_VERIFY),
        (PermanentError("It answered with 500.", "Look."), Verdict.COULD_NOT_VERIFY),
    ],
    ids=["away", "broken"],
)
def test_an_error_at_any_read_is_no_pass_and_leaves_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, step: str, error: BcpError, verdict: Verdict
) -> None:
    def fails(*_arguments: object, **_named: object) -> object:
        raise error

    monkeypatch.setattr(Infisical, step, fails)
    done = stage.drill()
    assert done.verdict is verdict
    assert stage.instance.shelf.there == set()
    assert len(stage.memory.rows) == 1


# -- what it is compared with ----------------------------------------------------------------------------


def test_without_an_export_there_is_nothing_to_compare_with(stage: Stage) -> None:
    elsewhere = stage.policy.vault_export.model_copy(update={"prefix": "nothing-is-here/"})
    stage.policy = stage.policy.model_copy(update={"vault_export": elsewhere})
    done = stage.drill()
    assert done.verdict is Verdict.COULD_NOT_VERIFY
    assert not_run(done) == {*COUNTED, EMPTIED}
    assert status(done)[READABLE] is CheckStatus.PASS


def test_an_export_that_is_days_away_says_nothing(stage: Stage) -> None:
    done = stage.drill(SnapshotWanted("raxx-bcp-raxx-vault-2031-03-08"))
    assert done.verdict is Verdict.COULD_NOT_VERIFY
    assert "hours away from the snapshot" in said(done)


def test_the_nearest_of_several_exports_is_taken(stage: Stage) -> None:
    export(stage.policy, day="2031-03-12", now=TAKEN - timedelta(hours=3))
    export(stage.policy, day="2031-03-14", now=TAKEN + timedelta(hours=23))
    expected = {one.expected for one in stage.drill().drill.results if one.name == "projects"}
    assert expected == {"3 ± 0 by the export of 2031-03-13"}


def test_a_manifest_that_is_none_or_another_day_s_is_passed_over(stage: Stage) -> None:
    bucket, prefix = state_bucket(stage.policy), stage.policy.vault_export.prefix
    body, manifest = bucket.get(f"{prefix}2031-03-13.json.gpg"), bucket.get(f"{prefix}2031-03-13.manifest.json")
    for day, content in (("2031-03-12", b"{}"), ("2031-03-14", manifest)):
        bucket.put(f"{prefix}{day}.json.gpg", body, content_type="x/y", metadata={})
        bucket.put(f"{prefix}{day}.manifest.json", content, content_type="x/y", metadata={})
    assert stage.drill().verdict is Verdict.PASS


# -- the rest --------------------------------------------------------------------------------------------


def test_a_restore_that_takes_longer_than_promised_fails_its_check(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = stage.instance.forward

    def slow(port: int) -> Any:
        stage.clock.sleep(timedelta(minutes=61).total_seconds())
        return forward(port)

    monkeypatch.setattr(stage.instance, "forward", slow)
    assert failed(stage.drill()) == {RESTORE_TIME}


def test_an_instance_that_cannot_be_deleted_is_no_pass(stage: Stage) -> None:
    stage.instance.shelf.trouble[RESTORED] = PermanentError("Lightsail refused it.", "Ask.")
    done = stage.drill()
    assert done.verdict is Verdict.COULD_NOT_VERIFY
    assert failed(done) == set()
    assert f"{RESTORED} may still be there" in said(done)


# -- a whole instance of the sandbox, through SSH --------------------------------------------------------


@dataclass
class HurriedClock:
    """The lab's time: a wait passes at once but for a twentieth of it, in which real processes go on."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        time.sleep(seconds / 20)


@dataclass
class HostStage:
    """Drills on instances that have disks and processes."""

    lab: HostLab
    policy: Policy
    memory: Memory = field(default_factory=Memory)
    told: list[str] = field(default_factory=list)

    def drill(self) -> FinishedDrill:
        client, clock = self.lab.client, HurriedClock(TAKEN + timedelta(hours=23, minutes=59))
        connections = Connections(
            Instances(names=(RESTORED,), protected=("raxx-vault",), client=client()),
            Snapshots(client=client()),
            state_bucket(self.policy),
            Known(),
            IDENTITIES["RAXX_SANDBOX_CLIENT_ID"],
            IDENTITIES["RAXX_SANDBOX_CLIENT_SECRET"],
        )
        return run_drill(
            SNAPSHOT.order(self.policy, Asked("alice"), SnapshotWanted()),
            lambda drill: vault_snapshot(drill, connections, self.policy, SnapshotWanted()),
            self.memory,
            clock=clock,
            sleep=clock.sleep,
            progress=self.told.append,
        )


@pytest.fixture
def hosts(policy: Policy, sandbox: Sandbox, make_lab: MakeLab) -> Iterator[HostStage]:
    lay_export(policy, sandbox, "2031-03-13", EXPORTED)
    with host_lab(in_use, make=make_lab) as lab:
        net = lab.net
        throwaway = ThrowawayInstances(
            worker_cidr="127.0.0.1/32",
            ssh_port=net.ssh,
            egress_probes=(f"{net.sink}:{net.smtp}",),
            poll_seconds=4.0,
        )
        drill = VaultDrill(api_port=net.api, boot_deadline_minutes=5, start_units=("infisical.service",))
        yield HostStage(lab, policy.model_copy(update={"throwaway_instances": throwaway, "vault_drill": drill}))


def test_a_real_instance_is_made_isolated_entered_examined_and_deleted(hosts: HostStage) -> None:
    done = hosts.drill()
    assert done.verdict is Verdict.PASS, said(done)
    assert status(done) == dict.fromkeys(SNAPSHOT.checks, CheckStatus.PASS)
    names = ["select", "provision", "isolate", "boot", "verify", "teardown"]
    assert [phase.name for phase in done.drill.phases] == names
    assert done.drill.isolation
    assert done.drill.target["resource"] == RESTORED
    (made,) = done.drill.leases.returned
    assert (made.kind, made.name) == ("lightsail instance", RESTORED)
    assert made.usd > 0
    names_left = {one["name"] for one in hosts.lab.client().get_instances()["instances"]}
    assert names_left == {"raxx-vault", "raxx-tickets"}
    assert "rxs_" not in "\n".join([str(entry_of(done.drill, TAKEN)), *hosts.told])


@pytest.mark.parametrize(
    ("fault", "verdict", "names", "words"),
    [
        ("host-vault-database-down", Verdict.FAIL, {ANSWERS}, "after 5 minutes"),
        ("host-egress-open", Verdict.FAIL, {ISOLATION}, "not isolated"),
        ("host-cron-running", Verdict.FAIL, {ISOLATION}, "cron"),
        ("host-wrong-key", Verdict.COULD_NOT_VERIFY, set(), "wrong host key"),
        ("host-login-refused", Verdict.COULD_NOT_VERIFY, set(), ""),
    ],
    ids=["database down", "egress open", "cron running", "wrong host", "login refused"],
)
def test_each_broken_instance_is_no_pass_and_is_deleted(
    hosts: HostStage, fault: str, verdict: Verdict, names: set[str], words: str
) -> None:
    hosts.lab.lab.fault(fault)
    done = hosts.drill()
    assert done.verdict is verdict, said(done)
    assert names <= failed(done), said(done)
    assert words in said(done)
    names_left = {one["name"] for one in hosts.lab.client().get_instances()["instances"]}
    assert names_left == {"raxx-vault", "raxx-tickets"}
