"""The client for Heroku against the sandbox's Heroku: a whole restore, and what happens when Heroku is not well."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from raxx_bcp.clients.heroku import Heroku
from raxx_bcp.clients.heroku_errors import AbsentError, AppLimitError, DeniedError
from raxx_bcp.clients.heroku_shapes import Database, Transfer, TransferState, WaitState
from raxx_bcp.drills.heroku_postgres.database import Allowance, actual_from, compare, expected_from
from raxx_bcp.errors import BcpError, PermanentError, TransientError
from raxx_bcp.evidence.row import CheckStatus
from raxx_bcp.policy import HerokuPostgres
from raxx_bcp_sandbox.heroku.world import PRODUCTION
from raxx_bcp_tests.clients.leaks import everything_shown
from raxx_bcp_tests.sandbox.heroku.lab import EXTENSIONS, HEALTHY_WARNINGS, KEY, Lab, heroku_lab

PREFIX = "raxx-drill-"
DRILL = "raxx-drill-2611242045-a1b2c3"
PROVISION_SECONDS = 60.0
"""On the stand-in's clock, which the tests put forward: longer than any of them really takes."""


@pytest.fixture(scope="module")
def running() -> Iterator[Lab]:
    with heroku_lab(rows=10_000, provision_seconds=PROVISION_SECONDS) as lab:
        yield lab


@pytest.fixture
def lab(running: Lab) -> Iterator[Lab]:
    """The stand-in, healthy and without throwaway apps, before and after each test."""
    try:
        yield running
    finally:
        running.mend_all()
        with door(running) as heroku:
            for app in heroku.apps_with_prefix():
                heroku.delete_app(app.name)


@contextlib.contextmanager
def door(lab: Lab, slept: list[float] | None = None) -> Iterator[Heroku]:
    waits: list[float] = [] if slept is None else slept
    with Heroku(
        KEY, lab.url, lab.data_url, throwaway_prefix=PREFIX, protected=[PRODUCTION], sleep=waits.append
    ) as heroku:
        yield heroku


def newest(heroku: Heroku) -> Transfer:
    good = [one for one in heroku.transfers(PRODUCTION) if one.restorable]
    return max(good, key=lambda one: str(one.finished_utc))


def throwaway(lab: Lab, heroku: Heroku) -> Database:
    """A throwaway app with a database that is ready."""
    heroku.create_app(DRILL)
    production = heroku.database_info(heroku.database_of(PRODUCTION).id)
    database = heroku.create_database(DRILL, "essential-0", production.postgres_major)
    assert heroku.wait_status(database.id).state is WaitState.WAITING
    lab.advance(PROVISION_SECONDS)
    assert heroku.wait_status(database.id).state is WaitState.READY
    return database


def restore(lab: Lab, heroku: Heroku, database: Database) -> Transfer:
    begun = heroku.restore(database, heroku.signed_url(PRODUCTION, newest(heroku).num).url, EXTENSIONS)
    lab.world.jobs.wait(begun.uuid)
    return heroku.transfer(database.app_id, begun.uuid, verbose=True)


def test_a_backup_is_restored_proved_and_cleared_away(lab: Lab) -> None:
    with door(lab) as heroku:
        backup = newest(heroku)
        assert backup.started_utc is not None
        assert backup.finished_utc is not None
        database = throwaway(lab, heroku)
        transfer = restore(lab, heroku, database)
        assert (transfer.state, transfer.warnings) == (TransferState.SUCCEEDED, HEALTHY_WARNINGS)
        expected = expected_from(heroku.database_url(PRODUCTION), backup_created=backup.started_utc)
        actual = actual_from(heroku.database_url(DRILL), backup_finished=backup.finished_utc)
        # What happened since (events only say when they occurred, not when they were written) is an ordinary day's.
        ordinary = Allowance(HerokuPostgres().changes_per_day_ratio)
        results = compare(expected, actual, tolerance_ratio=0.05, allowance=ordinary)
        assert [(one.name, one.reason) for one in results if one.status is not CheckStatus.PASS] == []
        assert [app.name for app in heroku.apps_with_prefix()] == [DRILL]
        heroku.delete_app(DRILL)
        heroku.delete_app(DRILL)
        assert heroku.apps_with_prefix() == []
        assert not heroku.app_exists(DRILL)
    assert lab.databases() == [PRODUCTION]


def test_what_production_is(lab: Lab) -> None:
    with door(lab) as heroku:
        database = heroku.database_of(PRODUCTION)
        info = heroku.database_info(database.id)
        assert (database.app_name, info.plan) == (PRODUCTION, "essential-0")
        assert info.postgres_version == lab.server.version
        assert info.num_bytes > 1_000_000
        assert heroku.database_url(PRODUCTION).get_secret_value().startswith("postgresql://")
        labels = [one.label for one in heroku.transfers(PRODUCTION)]
        assert len(labels) == len(set(labels)) > 4


def test_production_is_out_of_reach_of_every_write(lab: Lab) -> None:
    with door(lab) as heroku:
        production = heroku.database_of(PRODUCTION)
        url = heroku.signed_url(PRODUCTION, newest(heroku).num).url
        before = lab.get(f"/client/v11/apps/{PRODUCTION}/transfers")
        disguised = Database(production.id, production.name, production.app_id, DRILL)
        heroku.create_app(DRILL)
        for call in (
            lambda: heroku.delete_app(PRODUCTION),
            lambda: heroku.create_database(PRODUCTION, "essential-0", "17"),
            lambda: heroku.restore(production, url),
            lambda: heroku.cancel(PRODUCTION, newest(heroku).uuid),
        ):
            with pytest.raises(PermanentError, match="was not asked to"):
                call()
        with pytest.raises(BcpError):
            heroku.restore(disguised, url)
        assert heroku.app_exists(PRODUCTION)
    assert lab.get(f"/client/v11/apps/{PRODUCTION}/transfers") == before


def test_a_running_restore_is_cancelled(lab: Lab) -> None:
    with door(lab) as heroku:
        database = throwaway(lab, heroku)
        lab.fault("heroku-restore-hangs")
        begun = heroku.restore(database, heroku.signed_url(PRODUCTION, newest(heroku).num).url)
        assert heroku.transfer(database.app_id, begun.uuid).state is TransferState.RUNNING
        heroku.cancel(DRILL, begun.uuid)
        lab.world.jobs.wait(begun.uuid)
        assert heroku.transfer(database.app_id, begun.uuid).state is TransferState.CANCELED
        heroku.cancel(DRILL, begun.uuid)


def test_a_truncated_backup_fails_and_says_why_without_its_log(lab: Lab) -> None:
    lab.fault("heroku-backup-truncated")
    with door(lab) as heroku:
        transfer = restore(lab, heroku, throwaway(lab, heroku))
    assert transfer.state is TransferState.FAILED
    assert transfer.reasons
    assert not any(line in repr(transfer) for line in transfer.logs)


def test_rate_limits_are_waited_out(lab: Lab) -> None:
    slept: list[float] = []
    lab.fault("heroku-rate-limited")
    with door(lab, slept) as heroku:
        throwaway(lab, heroku)
    assert slept
    assert all(wait > 0 for wait in slept)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("heroku-down", TransientError), ("heroku-denied", DeniedError)],
)
def test_a_heroku_that_is_not_well_is_not_believed(lab: Lab, fault: str, kind: type[BcpError]) -> None:
    lab.fault(fault)
    with door(lab) as heroku:
        for look in (heroku.apps, lambda: heroku.transfers(PRODUCTION), lambda: heroku.app_exists(PRODUCTION)):
            with pytest.raises(kind) as caught:
                look()
            assert KEY not in everything_shown(caught.value)


def test_a_page_instead_of_json_is_absent(lab: Lab) -> None:
    with door(lab) as heroku:
        database = heroku.database_of(PRODUCTION)
        lab.fault("heroku-data-html-404")
        assert heroku.wait_status(database.id).state is WaitState.WAITING
        with pytest.raises(AbsentError) as caught:
            heroku.transfers(PRODUCTION)
        assert "<" not in caught.value.what


def test_a_full_account_names_what_to_clear_away(lab: Lab) -> None:
    lab.fault("heroku-app-cap")
    with door(lab) as heroku, pytest.raises(AppLimitError) as caught:
        heroku.create_app(DRILL)
    assert PREFIX in caught.value.remedy


def test_a_deletion_that_fails_or_lies_is_seen_in_the_list(lab: Lab) -> None:
    with door(lab) as heroku:
        heroku.create_app(DRILL)
        lab.fault("heroku-delete-refused")
        with pytest.raises(TransientError):
            heroku.delete_app(DRILL)
        lab.mend_all()
        lab.fault("heroku-delete-lies")
        heroku.delete_app(DRILL)
        assert [app.name for app in heroku.apps_with_prefix()] == [DRILL]


def test_a_database_that_fails_to_come_is_told(lab: Lab) -> None:
    lab.fault("heroku-provision-fails")
    with door(lab) as heroku:
        heroku.create_app(DRILL)
        database = heroku.create_database(DRILL, "essential-0", lab.server.major)
        lab.advance(PROVISION_SECONDS)
        assert heroku.wait_status(database.id).state is WaitState.ERROR


def test_a_wrong_key_is_refused(lab: Lab) -> None:
    with (
        Heroku("wrong", lab.url, lab.data_url, throwaway_prefix=PREFIX) as heroku,
        pytest.raises(PermanentError, match="refused the API key"),
    ):
        heroku.apps()
