"""The Heroku drill against real PostgreSQL: the healthy backup passes, each broken one is caught by name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from raxx_bcp.clients.heroku import Heroku
from raxx_bcp.clients.heroku_shapes import Database, Transfer
from raxx_bcp.drills.engine.drill import RESTORE_TIME, Drill
from raxx_bcp.drills.engine.run import FinishedDrill, run_drill
from raxx_bcp.drills.heroku_postgres.kinds import RESTORE
from raxx_bcp.drills.heroku_postgres.leftovers import HerokuLeftovers
from raxx_bcp.drills.heroku_postgres.restore_drill import (
    BACKUP_AGE,
    TRANSFER,
    WARNINGS,
    expiry_of,
    heroku_postgres,
    throwaway_name,
)
from raxx_bcp.drills.heroku_postgres.stored_facts import FactsStore
from raxx_bcp.drills.heroku_postgres.wanted import Wanted
from raxx_bcp.drills.kind import Asked
from raxx_bcp.errors import PermanentError, TransientError
from raxx_bcp.evidence.row import CheckStatus, Verdict
from raxx_bcp.policy import HerokuPostgres, Policy
from raxx_bcp_tests.drills.engine.doubles import Memory
from raxx_bcp_tests.sandbox.heroku.lab import HEALTHY_WARNINGS, KEY, Lab, heroku_lab

POLICY = HerokuPostgres(rto_minutes=30)
POLL_REAL_SECONDS = 0.02


@dataclass
class Stage:
    """A lab, and drills on it: its recorded time passes while they wait, and pg_restore really runs."""

    lab: Lab
    policy: HerokuPostgres = POLICY
    memory: Memory | None = None
    facts: FactsStore | None = None

    def sleep(self, seconds: float) -> None:
        self.lab.advance(seconds)
        time.sleep(POLL_REAL_SECONDS)  # a real pg_restore is being waited for

    def heroku(self) -> Heroku:
        return Heroku(
            KEY,
            self.lab.url,
            self.lab.data_url,
            throwaway_prefix=self.policy.throwaway_prefix,
            protected=(self.policy.app,),
            timeout_seconds=10,
            sleep=self.sleep,
        )

    def drill(self, wanted: Wanted | None = None, *, keep: bool = False, heroku: Heroku | None = None) -> FinishedDrill:
        chosen = wanted or Wanted()
        self.memory = Memory()
        with heroku or self.heroku() as client:
            return run_drill(
                RESTORE.order(Policy(heroku_postgres=self.policy), Asked("alice", keep=keep), chosen),
                lambda drill: heroku_postgres(drill, client, self.policy, chosen, self.facts),
                self.memory,
                clock=self.lab.now,
                sleep=self.sleep,
            )

    def apps(self) -> list[str]:
        return [app.name for app in self.heroku().apps_with_prefix()]


@pytest.fixture(scope="module")
def module_lab() -> Iterator[Lab]:
    with heroku_lab(rows=4000) as made:
        yield made


@pytest.fixture
def stage(module_lab: Lab) -> Iterator[Stage]:
    made = Stage(module_lab)
    try:
        yield made
    finally:
        module_lab.mend_all()
        for name in made.apps():
            made.heroku().delete_app(name)


def status(done: FinishedDrill) -> dict[str, CheckStatus]:
    return {one.name: one.status for one in done.drill.results}


def failed(done: FinishedDrill) -> set[str]:
    return {name for name, found in status(done).items() if found is CheckStatus.FAIL}


def said(done: FinishedDrill) -> str:
    reasons = [one.reason for one in done.drill.results if one.reason]
    return "\n".join([*done.drill.findings, *reasons])


# -- healthy ---------------------------------------------------------------------------------------------


def test_a_healthy_backup_passes_every_check_and_leaves_nothing(stage: Stage) -> None:
    done = stage.drill()
    assert done.verdict is Verdict.PASS, said(done)
    assert status(done) == dict.fromkeys(RESTORE.checks, CheckStatus.PASS)
    drill = done.drill
    assert [phase.name for phase in drill.phases] == ["select", "provision", "restore", "verify", "teardown"]
    assert drill.source_backup is not None
    assert "the newest of" in drill.source_backup.selected_because
    assert drill.newest_record_utc is not None
    assert drill.leases.confirmed
    assert stage.apps() == []
    assert stage.lab.databases() == ["raxx-app-prod"], "also the database is really gone"


def test_an_older_backup_is_judged_by_its_own_time(stage: Stage) -> None:
    backups = [one for one in stage.heroku().transfers("raxx-app-prod") if one.restorable]
    second = sorted(backups, key=lambda one: str(one.finished_utc))[-2]
    done = stage.drill(Wanted(second.label))
    assert done.drill.source_backup is not None
    assert done.drill.source_backup.selected_because == "named by the operator"
    assert status(done)["row counts"] is CheckStatus.PASS, said(done)


def test_a_random_older_one_is_never_the_newest(stage: Stage) -> None:
    newest = max((one for one in stage.heroku().transfers("raxx-app-prod") if one.restorable), key=_finished)
    done = stage.drill(Wanted("random-older"))
    assert done.drill.source_backup is not None
    assert done.drill.source_backup.backup_id != f"raxx-app-prod {newest.label}"
    assert "older good backups" in done.drill.source_backup.selected_because


def _finished(transfer: Transfer) -> datetime:
    return transfer.finished_utc or datetime.min.replace(tzinfo=UTC)


def test_kept_for_inspection_it_stands_until_its_lease_ends_and_closes_no_card(stage: Stage) -> None:
    done = stage.drill(keep=True)
    (name,) = stage.apps()
    assert expiry_of(name, "raxx-drill-") is not None
    assert done.verdict is Verdict.COULD_NOT_VERIFY
    assert failed(done) == set()


# -- the corpus of broken backups ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "verdict", "names"),
    [
        ("heroku-backup-empty", Verdict.FAIL, {TRANSFER}),
        ("heroku-backup-truncated", Verdict.FAIL, {TRANSFER}),
        ("heroku-backup-wrong-version", Verdict.FAIL, {TRANSFER}),
        ("heroku-backup-wrong-database", Verdict.FAIL, {"alembic revision", "tables"}),
        ("heroku-backup-old-revision", Verdict.FAIL, {"alembic revision"}),
        ("heroku-backup-missing-table", Verdict.FAIL, {"tables"}),
        ("heroku-backup-half-rows", Verdict.FAIL, {"row counts"}),
        ("heroku-backup-owner-errors", Verdict.FAIL, {WARNINGS, "tables"}),
        ("heroku-backup-names-blanked", Verdict.FAIL, {"null and empty values", "row content"}),
        ("heroku-backup-cent-off", Verdict.FAIL, {"row content"}),
        ("heroku-backup-no-row-security", Verdict.FAIL, {"row security"}),
        ("heroku-backup-lookup-short", Verdict.FAIL, {"row counts", "row content"}),
        ("heroku-backup-partition-lost", Verdict.FAIL, {"partitions"}),
        ("heroku-backup-large-objects-lost", Verdict.FAIL, {"large objects"}),
        ("heroku-backup-stale", Verdict.FAIL, {BACKUP_AGE}),
        ("heroku-restore-warns", Verdict.FAIL, {WARNINGS, "row counts"}),
        ("heroku-restore-fails", Verdict.FAIL, {TRANSFER}),
        ("heroku-restore-lacks-extensions", Verdict.FAIL, {WARNINGS, "extensions", "tables"}),
        ("heroku-no-backups", Verdict.FAIL, {"completed"}),
    ],
)
def test_each_broken_backup_is_caught_by_its_check_and_the_healthy_one_passes(
    stage: Stage, fault: str, verdict: Verdict, names: set[str]
) -> None:
    stage.lab.fault(fault)
    broken = stage.drill()
    assert broken.verdict is verdict
    assert names <= failed(broken), said(broken)
    assert stage.apps() == []
    stage.lab.fault(fault, on=False)
    assert stage.drill().verdict is Verdict.PASS


# -- the warnings of a restore ---------------------------------------------------------------------------


def test_a_healthy_restore_has_warnings_and_each_is_shown_to_be_harmless(stage: Stage) -> None:
    done = stage.drill()
    (found,) = [one for one in done.drill.results if one.name == WARNINGS]
    assert (done.verdict, found.status) == (Verdict.PASS, CheckStatus.PASS)
    assert found.actual.startswith(f"{HEALTHY_WARNINGS}, {HEALTHY_WARNINGS} of them known: ")
    for one in (
        "SCHEMA heroku_ext (is there)",
        "COMMENT SCHEMA public (is there)",
        "COMMENT EXTENSION hstore (1.8 is in heroku_ext)",
        "EVENT TRIGGER log_create_ext (is there)",
    ):
        assert one in found.actual
    assert stage.memory is not None
    (row,) = stage.memory.rows
    assert found in row.results


@pytest.mark.parametrize(
    ("fault", "check", "lost", "warned"),
    [
        (
            "heroku-restore-lacks-type",
            "functions, triggers and types",
            "type invoice_status",
            "TYPE public.invoice_status (permission denied), TABLE public.invoices (type public.invoice_status",
        ),
        ("heroku-restore-skips-table", "tables", "invoice_lines", "TABLE public.invoice_lines (permission denied)"),
        (
            "heroku-backup-index-fails",
            "indexes",
            "invoices_unpaid_idx",
            "INDEX public.invoices_unpaid_idx (function folded does not exist)",
        ),
        (
            "heroku-backup-constraint-fails",
            "constraints",
            "invoice_lines.invoice_lines_invoice_id_fkey",
            "FK CONSTRAINT public.invoice_lines invoice_lines_invoice_id_fkey (violates foreign key constraint)",
        ),
        (
            "heroku-restore-other-extension",
            "extensions",
            "pg_trgm is 1.5 instead of 1.6",
            "COMMENT EXTENSION pg_trgm (must be owner), and pg_trgm is 1.5 instead of 1.6",
        ),
        (
            "heroku-backup-function-refused",
            "functions, triggers and types",
            "function touch_updated_at()",
            "FUNCTION public.touch_updated_at() (permission denied)",
        ),
    ],
)
def test_each_harmful_warning_fails_by_its_name_and_so_does_what_it_cost(
    stage: Stage, fault: str, check: str, lost: str, warned: str
) -> None:
    stage.lab.fault(fault)
    done = stage.drill()
    reasons = {one.name: one.reason for one in done.drill.results if one.status is CheckStatus.FAIL}
    assert done.verdict is Verdict.FAIL
    assert lost in reasons[check]
    assert reasons[WARNINGS].startswith(f"pg_restore went on after errors that are not harmless: {warned}")
    stage.lab.fault(fault, on=False)
    assert stage.drill().verdict is Verdict.PASS


@pytest.mark.parametrize("logged", [0, HEALTHY_WARNINGS - 1])
def test_warnings_that_the_log_does_not_name_are_no_pass_and_no_failure(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, logged: int
) -> None:
    heroku = stage.heroku()
    look = heroku.transfer

    def shortened(app: str, number_or_uuid: int | str, *, verbose: bool = False) -> Transfer:
        told = look(app, number_or_uuid, verbose=verbose)
        errors = [place for place, line in enumerate(told.logs) if line.startswith("pg_restore: error:")]
        return replace(told, logs=told.logs[: errors[logged]]) if errors else told

    monkeypatch.setattr(heroku, "transfer", shortened)
    done = stage.drill(heroku=heroku)
    assert (done.verdict, failed(done)) == (Verdict.COULD_NOT_VERIFY, set())
    assert f"pg_restore went on after 7 errors, and its log names {logged} of them" in said(done)


def test_a_restore_names_productions_extensions_where_production_has_them(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    heroku = stage.heroku()
    asked: list[list[str]] = []
    begin = heroku.restore

    def restore(database: Database, url: SecretStr, extensions: Sequence[str] = ()) -> Transfer:
        asked.append(list(extensions))
        return begin(database, url, extensions)

    monkeypatch.setattr(heroku, "restore", restore)
    assert stage.drill(heroku=heroku).verdict is Verdict.PASS
    assert asked == [["heroku_ext.citext", "heroku_ext.hstore", "heroku_ext.pg_stat_statements", "heroku_ext.pg_trgm"]]


# -- Heroku in trouble -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "verdict", "words"),
    [
        ("heroku-provision-stuck", Verdict.COULD_NOT_VERIFY, "was not ready after 15 minutes"),
        ("heroku-provision-fails", Verdict.COULD_NOT_VERIFY, "could not provide the throwaway database"),
        ("heroku-restore-hangs", Verdict.COULD_NOT_VERIFY, "was not over after 30 minutes, and was cancelled"),
        ("heroku-down", Verdict.COULD_NOT_VERIFY, "answered"),
        ("heroku-denied", Verdict.COULD_NOT_VERIFY, "Give the key's account access"),
        ("heroku-data-html-404", Verdict.COULD_NOT_VERIFY, "Check the name in bcp.toml"),
        ("heroku-app-cap", Verdict.COULD_NOT_VERIFY, "raxx-drill-"),
    ],
)
def test_heroku_in_trouble_is_no_pass_says_what_it_is_and_leaves_nothing(
    stage: Stage, fault: str, verdict: Verdict, words: str
) -> None:
    """Not even an app that is not there (404) says anything about its backups: its name may be wrong."""
    stage.lab.fault(fault)
    done = stage.drill()
    assert done.verdict is verdict, said(done)
    assert words in said(done)
    stage.lab.fault(fault, on=False)
    assert stage.apps() == []


def test_being_rate_limited_at_every_step_is_ridden_out(stage: Stage) -> None:
    stage.lab.fault("heroku-rate-limited")
    assert stage.drill().verdict is Verdict.PASS


@pytest.mark.parametrize("fault", ["heroku-delete-refused", "heroku-delete-lies"])
def test_an_app_that_cannot_be_deleted_is_no_pass_and_the_sweeper_gets_it_later(stage: Stage, fault: str) -> None:
    stage.lab.fault(fault)
    done = stage.drill()
    assert done.verdict is Verdict.COULD_NOT_VERIFY
    assert failed(done) == set(), "the restore itself was good"
    (name,) = stage.apps()
    assert f"heroku app {name} may still be there" in said(done)
    stage.lab.fault(fault, on=False)
    (leftover,) = HerokuLeftovers(stage.heroku()).leftovers()
    assert leftover.lease.name == name
    leftover.lease.release()
    assert leftover.lease.gone()


STEPS = (
    "database_of",
    "database_info",
    "transfers",
    "create_app",
    "create_database",
    "wait_status",
    "signed_url",
    "restore",
    "database_url",
)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("error", [TransientError("Heroku is away.", "Wait."), PermanentError("Refused.", "Ask.")])
def test_an_error_at_any_step_is_no_pass_leaves_no_app_and_has_its_row(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, step: str, error: Exception
) -> None:
    def fails(*_arguments: object, **_named: object) -> object:
        raise error

    heroku = stage.heroku()
    monkeypatch.setattr(heroku, step, fails)
    done = stage.drill(heroku=heroku)
    assert done.verdict is not Verdict.PASS
    assert stage.apps() == []
    assert stage.memory is not None
    assert len(stage.memory.rows) == 1


def test_an_app_whose_creation_was_answered_by_a_time_out_is_deleted(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    heroku = stage.heroku()
    create: Callable[..., object] = heroku.create_app

    def lost(name: str, **named: str) -> object:
        create(name, **named)
        raise TransientError("The answer was lost.", "Wait.")

    monkeypatch.setattr(heroku, "create_app", lost)
    assert stage.drill(heroku=heroku).verdict is Verdict.COULD_NOT_VERIFY
    assert stage.apps() == []


# -- production ------------------------------------------------------------------------------------------


def test_production_cannot_be_deleted_or_restored_over_by_any_path(stage: Stage) -> None:
    heroku = stage.heroku()
    database = heroku.database_of("raxx-app-prod")
    url = heroku.signed_url("raxx-app-prod", 1).url
    for attempt in (
        lambda: heroku.delete_app("raxx-app-prod"),
        lambda: heroku.delete_app(heroku.app("raxx-app-prod").id),
        lambda: heroku.restore(database, url),
        lambda: heroku.restore(replace(database, app_name="raxx-drill-2611242045-a1b2c3"), url),
        lambda: heroku.create_database("raxx-app-prod", "essential-0", "18"),
    ):
        with pytest.raises(PermanentError):
            attempt()
    assert heroku.app_exists("raxx-app-prod")


def test_production_is_only_read(stage: Stage) -> None:
    with stage.lab.connect() as connection:
        before = connection.execute("SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables").fetchone()
    assert stage.drill().verdict is Verdict.PASS
    with stage.lab.connect() as connection:
        after = connection.execute("SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables").fetchone()
    assert before == after


# -- config ----------------------------------------------------------------------------------------------


def test_an_expected_revision_is_what_counts(stage: Stage) -> None:
    done = stage.drill(Wanted(revision="0000deadbeef"))
    assert failed(done) == {"alembic revision"}


@pytest.mark.parametrize(("wanted", "words"), [(Wanted("b999"), "b999"), (Wanted(plan="gold"), "essential-0")])
def test_a_choice_that_does_not_exist_is_said_with_those_that_do(stage: Stage, wanted: Wanted, words: str) -> None:
    done = stage.drill(wanted)
    assert done.verdict is Verdict.COULD_NOT_VERIFY, "an operator's mistake shuts no gate"
    assert words in said(done)
    assert stage.apps() == []


def test_a_restore_that_takes_longer_than_promised_fails_its_check(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    heroku = stage.heroku()
    begin = heroku.signed_url

    def slow(app: str, number: int) -> object:
        stage.lab.advance(timedelta(minutes=31))
        return begin(app, number)

    monkeypatch.setattr(heroku, "signed_url", slow)
    monkeypatch.setattr("raxx_bcp.drills.heroku_postgres.restore_drill.Deadline.left", True)
    done = stage.drill(heroku=heroku)
    assert done.verdict is Verdict.FAIL
    assert failed(done) == {RESTORE_TIME}


@pytest.mark.parametrize(
    ("expires", "name"),
    [
        (datetime(2026, 11, 24, 20, 45, tzinfo=UTC), "raxx-drill-2611242045-a1b2c3"),
        (datetime(2026, 11, 24, 20, 45, 1, tzinfo=UTC), "raxx-drill-2611242046-a1b2c3"),
    ],
)
def test_the_name_says_until_when(expires: datetime, name: str) -> None:
    made = throwaway_name("raxx-drill-", expires, "a1b2c3")
    assert made == name
    assert len(made) <= 30
    read = expiry_of(made, "raxx-drill-")
    assert read is not None
    assert timedelta(0) <= read - expires < timedelta(minutes=1)


@pytest.mark.parametrize(
    "name",
    ["raxx-drill-", "raxx-drill-2613242045-a1b2c3", "raxx-drill-mine", "other-2611242045-a1b2c3", "raxx-app-prod"],
)
def test_a_name_without_a_legal_expiry_is_none_of_ours(name: str) -> None:
    assert expiry_of(name, "raxx-drill-") is None


def test_the_drill_object_is_given_the_names_it_promises(stage: Stage) -> None:
    drill = Drill(
        RESTORE.order(Policy(heroku_postgres=stage.policy), Asked("alice"), Wanted()),
        stage.lab.now,
        stage.sleep,
        lambda _message: None,
    )
    assert drill.order.checks == RESTORE.checks
