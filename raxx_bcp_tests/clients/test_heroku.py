"""The client for Heroku, over real HTTP: what it asks, and what it makes of the answers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from raxx_bcp.clients.heroku_errors import AbsentError, DeniedError
from raxx_bcp.clients.heroku_shapes import App, Database, Transfer, TransferState, WaitState
from raxx_bcp.errors import CouldNotVerifyError
from raxx_bcp_tests.clients.herokus import (
    APP_ID,
    BACKUP_URL,
    DATABASE_ID,
    DRILL,
    HTML,
    KEY,
    PASSWORD,
    PRODUCTION,
    RESTORE,
    RUNNING,
    SIGNATURE,
    UUID,
    a_transfer,
    an_addon,
    an_app,
    asked,
    attachments,
    connect,
    failure,
    problem,
    reply,
)
from raxx_bcp_tests.clients.servers import Reply, scripted


def told(**changed: Any) -> Transfer:
    with scripted(reply(a_transfer(**changed))) as served, connect(served) as heroku:
        return heroku.transfer(PRODUCTION, 4)


def test_every_request_carries_the_key_and_the_version() -> None:
    with scripted(reply(an_app())) as served, connect(served) as heroku:
        app = heroku.app(DRILL)
    assert app == App(APP_ID, DRILL, datetime(2026, 11, 23, 17, 33, 19, tzinfo=UTC), "eu")
    (one,) = served.asked
    assert (one.method, one.path) == ("GET", f"/apps/{DRILL}")
    assert one.headers["authorization"] == f"Bearer {KEY}"
    assert one.headers["accept"] == "application/vnd.heroku+json; version=3"


def test_a_list_is_read_to_its_end() -> None:
    pages = [
        reply([an_app("raxx-app-prod")], 206, Next_Range="id ]abc..; max=200"),
        reply([an_app("raxx-drill-1")], 206, Next_Range="id ]def..; max=200"),
        reply([an_app("raxx-drill-2")]),
    ]
    with scripted(*pages) as served, connect(served) as heroku:
        names = [app.name for app in heroku.apps()]
    assert names == ["raxx-app-prod", "raxx-drill-1", "raxx-drill-2"]
    assert [one.headers.get("range") for one in served.asked] == [None, "id ]abc..; max=200", "id ]def..; max=200"]


@pytest.mark.parametrize("headers", [{}, {"Next_Range": "id ]abc..; max=200"}])
def test_half_a_list_is_no_list(headers: dict[str, str]) -> None:
    error = failure(lambda heroku: heroku.apps(), reply([an_app()], 206, **headers))
    assert type(error) is CouldNotVerifyError
    assert "to the end" in error.what


def test_leftovers_are_found_by_the_beginning_of_their_names() -> None:
    apps = [an_app(name) for name in ("raxx-app-prod", "raxx-drill-1", "my-raxx-drill-2")]
    with scripted(reply(apps)) as served, connect(served) as heroku:
        assert [app.name for app in heroku.apps_with_prefix()] == ["raxx-drill-1"]
        assert [app.name for app in heroku.apps_with_prefix("raxx-app")] == ["raxx-app-prod"]


def test_an_app_exists_or_not_and_denied_is_neither() -> None:
    with scripted(reply(an_app())) as served, connect(served) as heroku:
        assert heroku.app_exists(DRILL)
    with scripted(problem(404, "not_found")) as served, connect(served) as heroku:
        assert not heroku.app_exists(DRILL)
    assert isinstance(failure(lambda heroku: heroku.app_exists(DRILL), problem(403, "forbidden")), DeniedError)


@pytest.mark.parametrize(
    ("region", "team", "path", "body"),
    [
        ("", "", "/apps", {"name": DRILL}),
        ("eu", "", "/apps", {"name": DRILL, "region": "eu"}),
        ("us", "raxx", "/teams/apps", {"name": DRILL, "region": "us", "team": "raxx"}),
    ],
)
def test_an_app_is_created_as_the_cli_does(region: str, team: str, path: str, body: dict[str, str]) -> None:
    with scripted(reply(an_app(), 201)) as served, connect(served) as heroku:
        assert heroku.create_app(DRILL, region, team).name == DRILL
    (one,) = served.asked
    assert (one.method, one.path, json.loads(one.body)) == ("POST", path, body)


def test_a_database_is_added_as_the_cli_does() -> None:
    with scripted(reply(an_addon(), 201)) as served, connect(served) as heroku:
        made = heroku.create_database(DRILL, "essential-0", "17")
    assert made == Database(DATABASE_ID, "postgresql-stub-1", APP_ID, DRILL, "heroku-postgresql:essential-0")
    (one,) = served.asked
    assert (one.method, one.path) == ("POST", f"/apps/{DRILL}/addons")
    assert json.loads(one.body) == {
        "plan": {"name": "heroku-postgresql:essential-0"},
        "config": {"version": "17"},
        "attachment": {},
    }


def test_the_database_of_an_app_is_the_one_attached_as_database() -> None:
    with scripted(attachments("HEROKU_POSTGRESQL_ONYX", "DATABASE")) as served, connect(served) as heroku:
        assert heroku.database_of(DRILL).id == DATABASE_ID
    assert served.asked[0].headers["accept-inclusion"] == "addon:plan,config_vars"
    error = failure(lambda heroku: heroku.database_of(DRILL), attachments("HEROKU_POSTGRESQL_ONYX"))
    assert isinstance(error, AbsentError)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (reply({"message": "preparing", "waiting?": True, "error?": False}), WaitState.WAITING),
        (reply({"message": "available", "waiting?": False}), WaitState.READY),
        (reply({"message": "provisioning failed", "waiting?": False, "error?": True}), WaitState.ERROR),
        (reply({"message": "provisioning failed", "waiting?": True, "error?": True}), WaitState.ERROR),
        (problem(404, "not_found"), WaitState.WAITING),
        (HTML, WaitState.WAITING),
    ],
)
def test_waiting_for_a_database(answer: Reply, state: WaitState) -> None:
    with scripted(answer) as served, connect(served) as heroku:
        assert heroku.wait_status(DATABASE_ID).state is state
    assert asked(served) == [f"GET /client/v11/databases/{DATABASE_ID}/wait_status"]


@pytest.mark.parametrize(
    ("info", "said", "version"),
    [
        ([{"name": "PG Version", "values": ["17.4"]}], "", "17.4"),
        ([{"name": "Followers", "values": [{"name": "x"}]}, {"name": "Plan", "values": []}], "PostgreSQL 16.9", "16.9"),
        ([], "", ""),
    ],
)
def test_what_a_database_is(info: list[Any], said: str, version: str) -> None:
    body = {"plan": "standard-0", "num_bytes": 4096, "num_tables": 2, "postgres_version": said, "info": info}
    body["resource_url"] = f"postgres://u:{PASSWORD}@127.0.0.1:5432/d"
    with scripted(reply(body)) as served, connect(served) as heroku:
        found = heroku.database_info(DATABASE_ID)
    assert (found.plan, found.num_bytes, found.num_tables) == ("standard-0", 4096, 2)
    assert (found.postgres_version, found.postgres_major) == (version, version.partition(".")[0])
    assert PASSWORD not in repr(found)


def test_the_address_of_the_database_has_the_scheme_that_libpq_and_sqlalchemy_take() -> None:
    config = {"DATABASE_URL": f"postgres://u:{PASSWORD}@127.0.0.1:5432/d", "OTHER": PASSWORD}
    with scripted(reply(config)) as served, connect(served) as heroku:
        url = heroku.database_url(DRILL)
        shown = f"{url} {url!r} {heroku.config_vars(DRILL)} {heroku.config_vars(DRILL)!r}"
        assert heroku.config_vars(DRILL)["OTHER"] == PASSWORD
    assert url.get_secret_value() == f"postgresql://u:{PASSWORD}@127.0.0.1:5432/d"
    assert PASSWORD not in shown
    assert "OTHER" in shown
    assert isinstance(failure(lambda heroku: heroku.database_url(DRILL), reply({"A": "b"})), AbsentError)


def test_a_recorded_transfer() -> None:
    transfer = told()
    moment = datetime(2026, 11, 23, 17, 45, 51, tzinfo=UTC)
    assert (transfer.uuid, transfer.num, transfer.source_bytes) == (UUID, 4, 123456789)
    assert (transfer.created_utc, transfer.finished_utc, transfer.canceled_utc) == (moment, moment, None)
    assert (transfer.is_backup, transfer.is_restore, transfer.restorable) == (True, False, True)
    assert PASSWORD not in repr(transfer)
    assert SIGNATURE not in repr(transfer)


@pytest.mark.parametrize(
    ("changed", "state", "restorable"),
    [
        ({}, TransferState.SUCCEEDED, True),
        ({"warnings": 3}, TransferState.SUCCEEDED, True),
        (RUNNING, TransferState.RUNNING, False),
        ({**RUNNING, "started_at": None}, TransferState.RUNNING, False),
        ({"succeeded": False}, TransferState.FAILED, False),
        ({"succeeded": None}, TransferState.FAILED, False),
        ({"canceled_at": "2026-11-23 17:45:51 +0000", "succeeded": False}, TransferState.CANCELED, False),
        ({"canceled_at": "2026-11-23 17:45:51 +0000", **RUNNING}, TransferState.CANCELED, False),
        ({"deleted_at": "2026-11-23 17:45:51 +0000"}, TransferState.SUCCEEDED, False),
        ({"purged_at": "2026-11-23 17:45:51 +0000"}, TransferState.SUCCEEDED, False),
        (RESTORE, TransferState.SUCCEEDED, False),
    ],
)
def test_how_a_transfer_ended(changed: dict[str, Any], state: TransferState, restorable: bool) -> None:  # noqa: FBT001
    transfer = told(**changed)
    assert (transfer.state, transfer.restorable) == (state, restorable)


@pytest.mark.parametrize(
    ("changed", "label"),
    [
        ({}, "b004"),
        ({"schedule": {"uuid": UUID}}, "a004"),
        (RESTORE, "r004"),
        ({"to_type": "pg_restore"}, "c004"),
        ({"num": 1234}, "b1234"),
    ],
)
def test_a_transfer_is_called_what_the_cli_calls_it(changed: dict[str, Any], label: str) -> None:
    assert told(**changed).label == label


def test_a_poll_may_leave_most_fields_out() -> None:
    body = {"uuid": "u", "num": 7, "from_type": "htcat", "to_type": "pg_restore", "succeeded": True, "warnings": 3}
    body |= {"started_at": "2026-01-01 00:00:00 +0000", "finished_at": "2026-01-01 02:00:05 +0200"}
    with scripted(reply(body)) as served, connect(served) as heroku:
        transfer = heroku.transfer(APP_ID, UUID)
    assert (transfer.state, transfer.warnings) == (TransferState.SUCCEEDED, 3)
    assert transfer.finished_utc == datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC)
    assert asked(served) == [f"GET /client/v11/apps/{APP_ID}/transfers/{UUID}"]


def test_a_log_tells_known_reasons_and_is_not_shown() -> None:
    line = f"pg_restore: error: COPY users, line 7: {PASSWORD}: duplicate key value; permission denied"
    body = a_transfer(**RESTORE, succeeded=False, logs=[{"created_at": "t", "level": "error", "message": line}])
    with scripted(reply(body)) as served, connect(served) as heroku:
        transfer = heroku.transfer(APP_ID, UUID, verbose=True)
    assert transfer.reasons == ("permission denied", "duplicate key value")
    assert transfer.logs == (line,)
    assert PASSWORD not in repr(transfer)
    assert asked(served) == [f"GET /client/v11/apps/{APP_ID}/transfers/{UUID}?verbose=true"]


@pytest.mark.parametrize("status", [200, 201])
def test_a_signed_address_is_a_secret(status: int) -> None:
    body = {"expires_at": "2026-11-23 17:34:19 +0000", "url": BACKUP_URL.get_secret_value()}
    with scripted(reply(body, status)) as served, connect(served) as heroku:
        signed = heroku.signed_url(PRODUCTION, 2)
    assert signed.url.get_secret_value() == BACKUP_URL.get_secret_value()
    assert signed.expires_utc == datetime(2026, 11, 23, 17, 34, 19, tzinfo=UTC)
    assert SIGNATURE not in f"{signed} {signed!r}"
    assert asked(served) == [f"POST /client/v11/apps/{PRODUCTION}/transfers/2/actions/public-url"]


def test_transfers_and_a_capture() -> None:
    listed = reply([a_transfer(), a_transfer(num=5, **RESTORE)])
    with scripted(listed, reply(a_transfer(**RUNNING), 201)) as served, connect(served) as heroku:
        assert [one.label for one in heroku.transfers(PRODUCTION)] == ["b004", "r005"]
        assert heroku.capture(DATABASE_ID).state is TransferState.RUNNING
    assert asked(served) == [
        f"GET /client/v11/apps/{PRODUCTION}/transfers",
        f"POST /client/v11/databases/{DATABASE_ID}/backups",
    ]
