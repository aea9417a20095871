"""The door to Heroku, over real HTTP: what it asks, what it makes of the answers, and what it refuses to ask."""

from __future__ import annotations

import json
import pickle
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from raxx_bcp.clients.heroku import Heroku
from raxx_bcp.clients.heroku_errors import AbsentError, AppLimitError, DeniedError, NameTakenError
from raxx_bcp.clients.heroku_shapes import App, Database, Transfer, TransferState, WaitState
from raxx_bcp.clients.http import RateLimitedError
from raxx_bcp.errors import BcpError, CouldNotVerifyError, PermanentError, TransientError, UsageError
from raxx_bcp_tests.clients.leaks import everything_shown
from raxx_bcp_tests.clients.servers import Reply, Served, scripted

KEY = "rxs_heroku_api_key"
PASSWORD = "rxs_database_password"
SIGNATURE = "rxs_signature"
PREFIX = "raxx-drill-"
PRODUCTION = "raxx-app-prod"
DRILL = "raxx-drill-9f2c"
DATABASE_ID = "e552522a-0d0a-417b-a745-5aa3fab431a6"
APP_ID = "6e7eb984-7a03-4608-b6de-34d8d86f13d5"
UUID = "4156f98b-db78-4019-b859-f48378064c0a"
BACKUP_URL = SecretStr(f"https://s3.example.com/b002?sig={SIGNATURE}")
RESTORED_INTO = Database(DATABASE_ID, "postgresql-stub-1", APP_ID, DRILL)
HTML = Reply(b"<html>rxs_page</html>", 404, content_type="text/html")
LOST = Reply(hang_up=True)


def reply(body: Any, status: int = 200, **headers: str) -> Reply:
    return Reply(json.dumps(body).encode(), status, {name.replace("_", "-"): value for name, value in headers.items()})


def problem(status: int, identity: str, message: str = "said", **headers: str) -> Reply:
    return reply({"id": identity, "message": message}, status, **headers)


def an_app(name: str = DRILL) -> dict[str, Any]:
    return {"id": APP_ID, "name": name, "created_at": "2026-11-23T17:33:19Z", "region": {"name": "eu"}, "team": None}


def an_addon(app: str = DRILL, identity: str = DATABASE_ID) -> dict[str, Any]:
    owner = {"id": APP_ID, "name": app}
    return {
        "id": identity,
        "name": "postgresql-stub-1",
        "app": owner,
        "plan": {"name": "heroku-postgresql:essential-0"},
        "state": "provisioning",
    }


def attachments(*names: str, app: str = DRILL, identity: str = DATABASE_ID) -> Reply:
    there = {"id": APP_ID, "name": DRILL}
    return reply([{"name": name, "addon": an_addon(app, identity), "app": there} for name in names])


def a_transfer(**changed: Any) -> dict[str, Any]:
    """A transfer as recorded, finished and good unless ``changed``."""
    moment = "2026-11-23 17:45:51 +0000"
    return {
        "uuid": UUID,
        "num": 4,
        "from_name": "DATABASE",
        "from_type": "pg_dump",
        "from_url": f"postgres://u:{PASSWORD}@127.0.0.1/d",
        "to_name": "BACKUP",
        "to_type": "gof3r",
        "to_url": f"https://s3.amazonaws.com/xfrtu/2026/b001?sig={SIGNATURE}",
        "options": {},
        "source_bytes": 123456789,
        "processed_bytes": 1234567,
        "succeeded": True,
        "warnings": 0,
        "created_at": moment,
        "started_at": moment,
        "canceled_at": None,
        "updated_at": moment,
        "finished_at": moment,
        "deleted_at": None,
        "purged_at": None,
        "num_keep": 5,
        "schedule": None,
        **changed,
    }


RESTORE = {"from_type": "htcat", "to_type": "pg_restore", "from_name": "BACKUP", "to_name": "DATABASE"}
RUNNING = {"succeeded": None, "finished_at": None}


def door(served: Served, slept: list[float] | None = None) -> Heroku:
    waits: list[float] = [] if slept is None else slept
    return Heroku(
        KEY,
        served.url,
        f"{served.url}/client/v11",
        throwaway_prefix=PREFIX,
        protected=[PRODUCTION],
        timeout_seconds=5,
        sleep=waits.append,
    )


def asked(served: Served) -> list[str]:
    return [f"{one.method} {one.path}" for one in served.asked]


def failure(call: Callable[[Heroku], object], *replies: Reply) -> BcpError:
    with scripted(*replies) as served, door(served) as heroku, pytest.raises(BcpError) as caught:
        call(heroku)
    return caught.value


def told(**changed: Any) -> Transfer:
    with scripted(reply(a_transfer(**changed))) as served, door(served) as heroku:
        return heroku.transfer(PRODUCTION, 4)


# What is asked, and what is made of it


def test_every_request_carries_the_key_and_the_version() -> None:
    with scripted(reply(an_app())) as served, door(served) as heroku:
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
    with scripted(*pages) as served, door(served) as heroku:
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
    with scripted(reply(apps)) as served, door(served) as heroku:
        assert [app.name for app in heroku.apps_with_prefix()] == ["raxx-drill-1"]
        assert [app.name for app in heroku.apps_with_prefix("raxx-app")] == ["raxx-app-prod"]


def test_an_app_exists_or_not_and_denied_is_neither() -> None:
    with scripted(reply(an_app())) as served, door(served) as heroku:
        assert heroku.app_exists(DRILL)
    with scripted(problem(404, "not_found")) as served, door(served) as heroku:
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
    with scripted(reply(an_app(), 201)) as served, door(served) as heroku:
        assert heroku.create_app(DRILL, region, team).name == DRILL
    (one,) = served.asked
    assert (one.method, one.path, json.loads(one.body)) == ("POST", path, body)


def test_a_database_is_added_as_the_cli_does() -> None:
    with scripted(reply(an_addon(), 201)) as served, door(served) as heroku:
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
    with scripted(attachments("HEROKU_POSTGRESQL_ONYX", "DATABASE")) as served, door(served) as heroku:
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
    with scripted(answer) as served, door(served) as heroku:
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
    with scripted(reply(body)) as served, door(served) as heroku:
        found = heroku.database_info(DATABASE_ID)
    assert (found.plan, found.num_bytes, found.num_tables) == ("standard-0", 4096, 2)
    assert (found.postgres_version, found.postgres_major) == (version, version.partition(".")[0])
    assert PASSWORD not in repr(found)


def test_the_address_of_the_database_has_the_scheme_that_libpq_and_sqlalchemy_take() -> None:
    config = {"DATABASE_URL": f"postgres://u:{PASSWORD}@127.0.0.1:5432/d", "OTHER": PASSWORD}
    with scripted(reply(config)) as served, door(served) as heroku:
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
    with scripted(reply(body)) as served, door(served) as heroku:
        transfer = heroku.transfer(APP_ID, UUID)
    assert (transfer.state, transfer.warnings) == (TransferState.SUCCEEDED, 3)
    assert transfer.finished_utc == datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC)
    assert asked(served) == [f"GET /client/v11/apps/{APP_ID}/transfers/{UUID}"]


def test_a_log_tells_known_reasons_and_is_not_shown() -> None:
    line = f"pg_restore: error: COPY users, line 7: {PASSWORD}: duplicate key value; permission denied"
    body = a_transfer(**RESTORE, succeeded=False, logs=[{"created_at": "t", "level": "error", "message": line}])
    with scripted(reply(body)) as served, door(served) as heroku:
        transfer = heroku.transfer(APP_ID, UUID, verbose=True)
    assert transfer.reasons == ("permission denied", "duplicate key value")
    assert transfer.logs == (line,)
    assert PASSWORD not in repr(transfer)
    assert asked(served) == [f"GET /client/v11/apps/{APP_ID}/transfers/{UUID}?verbose=true"]


@pytest.mark.parametrize("status", [200, 201])
def test_a_signed_address_is_a_secret(status: int) -> None:
    body = {"expires_at": "2026-11-23 17:34:19 +0000", "url": BACKUP_URL.get_secret_value()}
    with scripted(reply(body, status)) as served, door(served) as heroku:
        signed = heroku.signed_url(PRODUCTION, 2)
    assert signed.url.get_secret_value() == BACKUP_URL.get_secret_value()
    assert signed.expires_utc == datetime(2026, 11, 23, 17, 34, 19, tzinfo=UTC)
    assert SIGNATURE not in f"{signed} {signed!r}"
    assert asked(served) == [f"POST /client/v11/apps/{PRODUCTION}/transfers/2/actions/public-url"]


def test_transfers_and_a_capture() -> None:
    listed = reply([a_transfer(), a_transfer(num=5, **RESTORE)])
    with scripted(listed, reply(a_transfer(**RUNNING), 201)) as served, door(served) as heroku:
        assert [one.label for one in heroku.transfers(PRODUCTION)] == ["b004", "r005"]
        assert heroku.capture(DATABASE_ID).state is TransferState.RUNNING
    assert asked(served) == [
        f"GET /client/v11/apps/{PRODUCTION}/transfers",
        f"POST /client/v11/databases/{DATABASE_ID}/backups",
    ]


# What it refuses to ask


@pytest.mark.parametrize(
    "name",
    [
        PRODUCTION,
        "",
        "raxx",
        APP_ID,
        "xraxx-drill-1",
        "RAXX-DRILL-1",
        PREFIX,
        f"{PREFIX}/../{PRODUCTION}",
        f"{PREFIX}..%2f{PRODUCTION}",
        f"{PREFIX}1/addons/x",
        f"{PREFIX}1?x=",
        f"{PREFIX}1\n",
        f"{PREFIX}{'a' * 40}",
    ],
)
def test_nothing_but_a_throwaway_app_can_be_written_to(name: str) -> None:
    database = Database(DATABASE_ID, "postgresql-prod-1", APP_ID, name)
    calls: list[Callable[[Heroku], object]] = [
        lambda heroku: heroku.delete_app(name),
        lambda heroku: heroku.create_app(name),
        lambda heroku: heroku.create_database(name, "essential-0", "17"),
        lambda heroku: heroku.restore(database, BACKUP_URL),
        lambda heroku: heroku.cancel(name, UUID),
    ]
    with scripted(reply(an_app())) as served, door(served) as heroku:
        for call in calls:
            with pytest.raises(PermanentError, match="Heroku was not asked to"):
                call(heroku)
    assert served.asked == []


def test_a_throwaway_app_is_deleted() -> None:
    with scripted(reply(an_app())) as served, door(served) as heroku:
        heroku.delete_app(DRILL)
    assert asked(served) == [f"DELETE /apps/{DRILL}"]


@pytest.mark.parametrize(
    "found",
    [attachments("DATABASE", app=PRODUCTION), attachments("DATABASE", identity="b0d9a9a6-6b6e-4427-9028-f0dad7a8a0b6")],
)
def test_a_restore_over_a_database_that_belongs_elsewhere_is_refused(found: Reply) -> None:
    with scripted(found) as served, door(served) as heroku, pytest.raises(PermanentError, match="was not asked to"):
        heroku.restore(RESTORED_INTO, BACKUP_URL)
    assert asked(served) == [f"GET /apps/{DRILL}/addon-attachments"]


@pytest.mark.parametrize("prefix", ["", "raxx", "raxx-", "a-", "Raxx-drill-", "raxx-drill", "raxx drill-"])
def test_a_prefix_that_marks_nothing_is_refused(prefix: str) -> None:
    if prefix == "raxx-":
        with pytest.raises(UsageError, match="is protected"):
            Heroku(KEY, throwaway_prefix=prefix, protected=[PRODUCTION])
        return
    with pytest.raises(UsageError, match="cannot mark throwaway apps"):
        Heroku(KEY, throwaway_prefix=prefix)


@pytest.mark.parametrize("name", ["..", "a/b", "", "a b", "%2e%2e", "-x"])
def test_no_name_leads_to_another_path(name: str) -> None:
    with scripted(reply(an_app())) as served, door(served) as heroku:
        for look in (heroku.app, heroku.config_vars, heroku.transfers, heroku.database_of, heroku.wait_status):
            with pytest.raises(UsageError, match="cannot be a name"):
                look(name)
        with pytest.raises(UsageError, match="cannot be a name"):
            heroku.transfer(PRODUCTION, name)
    assert served.asked == []


# Lost answers, and busy days


@pytest.mark.parametrize("lost", [LOST, Reply(b"<html>502</html>", 502, content_type="text/html")])
def test_an_app_whose_answer_was_lost_is_looked_for_before_it_is_made_again(lost: Reply) -> None:
    slept: list[float] = []
    with scripted(lost, reply(an_app())) as served, door(served, slept) as heroku:
        assert heroku.create_app(DRILL).id == APP_ID
    assert asked(served) == ["POST /apps", f"GET /apps/{DRILL}"]
    assert slept == [1.0]


def test_an_app_that_was_not_made_is_made_again() -> None:
    with scripted(LOST, problem(404, "not_found"), reply(an_app(), 201)) as served, door(served) as heroku:
        assert heroku.create_app(DRILL).id == APP_ID
    assert asked(served) == ["POST /apps", f"GET /apps/{DRILL}", "POST /apps"]


def test_a_name_that_is_taken_after_a_lost_answer_is_our_own() -> None:
    taken = problem(422, "invalid_params", f"Name {DRILL} is already taken")
    answers = [LOST, problem(404, "not_found"), taken, reply(an_app())]
    with scripted(*answers) as served, door(served) as heroku:
        assert heroku.create_app(DRILL).id == APP_ID
    assert asked(served) == ["POST /apps", f"GET /apps/{DRILL}", "POST /apps", f"GET /apps/{DRILL}"]


def test_a_name_that_is_taken_at_once_is_somebody_elses() -> None:
    error = failure(
        lambda heroku: heroku.create_app(DRILL), problem(422, "invalid_params", f"Name {DRILL} is already taken")
    )
    assert type(error) is NameTakenError


def test_creating_is_given_up_when_every_answer_is_lost() -> None:
    gone = problem(404, "not_found")
    answers = [LOST, gone, LOST, gone, LOST, gone, LOST]
    with scripted(*answers) as served, door(served) as heroku, pytest.raises(TransientError):
        heroku.create_app(DRILL)
    assert len(served.asked) == 7


def test_a_database_whose_answer_was_lost_is_looked_for() -> None:
    with scripted(LOST, attachments("DATABASE")) as served, door(served) as heroku:
        assert heroku.create_database(DRILL, "essential-0", "17").id == DATABASE_ID
    assert asked(served) == [f"POST /apps/{DRILL}/addons", f"GET /apps/{DRILL}/addon-attachments"]


def test_a_restore_is_asked_for_with_the_address_in_the_body_only() -> None:
    begun = reply(a_transfer(**RESTORE, **RUNNING), 201)
    with scripted(attachments("DATABASE"), reply([]), begun) as served, door(served) as heroku:
        assert heroku.restore(RESTORED_INTO, BACKUP_URL).state is TransferState.RUNNING
    assert asked(served)[-1] == f"POST /client/v11/databases/{DATABASE_ID}/restores"
    assert json.loads(served.asked[-1].body) == {"backup_url": BACKUP_URL.get_secret_value()}


def test_a_restore_whose_answer_was_lost_is_found_and_not_begun_twice() -> None:
    old, new = a_transfer(**RESTORE, uuid="before"), a_transfer(**RESTORE, **RUNNING, uuid="begun")
    answers = [attachments("DATABASE"), reply([old]), LOST, reply([old]), reply([old, new])]
    with scripted(*answers) as served, door(served) as heroku:
        assert heroku.restore(RESTORED_INTO, BACKUP_URL).uuid == "begun"
    assert [one.method for one in served.asked].count("POST") == 1


def test_a_restore_that_never_began_is_not_begun_again() -> None:
    answers = [attachments("DATABASE"), reply([]), LOST, reply([])]
    with scripted(*answers) as served, door(served) as heroku, pytest.raises(TransientError):
        heroku.restore(RESTORED_INTO, BACKUP_URL)
    assert [one.method for one in served.asked].count("POST") == 1


def test_a_rate_limited_write_waits_as_long_as_it_is_asked_to() -> None:
    slept: list[float] = []
    busy = problem(429, "rate_limit", Retry_After="7")
    with scripted(busy, busy, reply(an_app(), 201)) as served, door(served, slept) as heroku:
        assert heroku.create_app(DRILL).id == APP_ID
    assert slept == [7.0, 7.0]
    assert asked(served) == ["POST /apps"] * 3


def test_a_rate_limit_that_stays_is_given_up_without_a_flood() -> None:
    with scripted(problem(429, "rate_limit", Retry_After="1")) as served, door(served) as heroku:
        for call in (lambda: heroku.create_app(DRILL), lambda: heroku.delete_app(DRILL), heroku.apps):
            served.asked.clear()
            with pytest.raises(RateLimitedError):
                call()
            assert len(served.asked) == 4


def test_a_deletion_is_repeated_and_what_is_gone_is_fine() -> None:
    with scripted(LOST, Reply(status=500), problem(404, "not_found")) as served, door(served) as heroku:
        heroku.delete_app(DRILL)
    assert asked(served) == [f"DELETE /apps/{DRILL}"] * 3


@pytest.mark.parametrize("answer", [problem(404, "not_found"), problem(403, "forbidden"), HTML])
def test_an_app_that_is_gone_is_deleted(answer: Reply) -> None:
    with scripted(answer) as served, door(served) as heroku:
        heroku.delete_app(DRILL)
    assert len(served.asked) == 1


@pytest.mark.parametrize("answer", [reply({}, 200), problem(404, "not_found"), problem(422, "invalid_params")])
def test_a_transfer_that_is_over_is_cancelled(answer: Reply) -> None:
    with scripted(answer) as served, door(served) as heroku:
        heroku.cancel(DRILL, UUID)
    assert asked(served) == [f"POST /client/v11/apps/{DRILL}/transfers/{UUID}/actions/cancel"]


def test_a_refused_deletion_or_cancellation_is_told() -> None:
    for call in (lambda heroku: heroku.delete_app(DRILL), lambda heroku: heroku.cancel(DRILL, UUID)):
        assert type(failure(call, problem(401, "unauthorized"))) is PermanentError


# Refusals


READS: list[Callable[[Heroku], object]] = [
    lambda heroku: heroku.app(PRODUCTION),
    lambda heroku: heroku.apps(),
    lambda heroku: heroku.database_of(PRODUCTION),
    lambda heroku: heroku.database_url(PRODUCTION),
    lambda heroku: heroku.database_info(DATABASE_ID),
    lambda heroku: heroku.transfers(PRODUCTION),
    lambda heroku: heroku.transfer(PRODUCTION, 1),
]
WRITES: list[Callable[[Heroku], object]] = [
    lambda heroku: heroku.create_app(DRILL),
    lambda heroku: heroku.create_database(DRILL, "essential-0", "17"),
    lambda heroku: heroku.capture(DATABASE_ID),
    lambda heroku: heroku.signed_url(PRODUCTION, 1),
]


@pytest.mark.parametrize("call", [*READS, *WRITES])
def test_a_refused_key_says_which_variable_to_set(call: Callable[[Heroku], object]) -> None:
    error = failure(call, problem(401, "unauthorized", "Invalid credentials provided."))
    assert type(error) is PermanentError
    assert "HEROKU_API_KEY" in error.remedy


@pytest.mark.parametrize("call", READS)
def test_a_denied_look_is_unknown(call: Callable[[Heroku], object]) -> None:
    assert isinstance(failure(call, problem(403, "forbidden")), DeniedError)


@pytest.mark.parametrize("call", WRITES)
def test_a_denied_write_has_failed(call: Callable[[Heroku], object]) -> None:
    assert type(failure(call, problem(403, "forbidden"))) is PermanentError


@pytest.mark.parametrize(
    ("answer", "kind", "word"),
    [
        (problem(402, "delinquent"), PermanentError, "payment"),
        (problem(403, "two_factor"), PermanentError, "second factor"),
        (problem(403, "suspended"), PermanentError, "suspended"),
        (problem(404, "not_found"), AbsentError, "bcp.toml"),
        (HTML, AbsentError, "bcp.toml"),
        (problem(422, "invalid_params", "You've reached your app limit of 100 apps"), AppLimitError, PREFIX),
        (problem(422, "invalid_params", "Region is invalid"), PermanentError, "region"),
        (problem(423, "confirmation_required"), PermanentError, "changed nothing"),
        (Reply(b"<html>rxs_page</html>", 302, content_type="text/html"), PermanentError, "status.heroku.com"),
    ],
)
def test_refusals_say_what_to_do(answer: Reply, kind: type[BcpError], word: str) -> None:
    error = failure(lambda heroku: heroku.create_app(DRILL), answer)
    assert type(error) is kind
    assert word in error.remedy
    assert "rxs_" not in everything_shown(error)


@pytest.mark.parametrize(
    "answer",
    [
        Reply(b"<html>rxs_page</html>", 200, content_type="text/html"),
        reply([1, 2]),
        reply(a_transfer(finished_at="yesterday")),
        reply(a_transfer(created_at="2026-11-23 17:45:51")),
        reply({**a_transfer(), "num": "four"}),
    ],
)
def test_an_answer_that_is_not_the_apis_is_refused(answer: Reply) -> None:
    error = failure(lambda heroku: heroku.transfer(PRODUCTION, 4), answer)
    assert type(error) is PermanentError
    assert "not the API's" in error.what
    assert "rxs_" not in everything_shown(error)


@pytest.mark.parametrize("status", [500, 503])
def test_a_heroku_that_stays_busy_is_transient(status: int) -> None:
    answer = Reply(HTML.body, status, content_type="text/html")
    error = failure(lambda heroku: heroku.apps(), answer)
    assert isinstance(error, TransientError)
    assert "rxs_" not in everything_shown(error)


def test_a_heroku_that_is_away_is_transient() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    slept: list[float] = []
    heroku = Heroku(KEY, url, url, throwaway_prefix=PREFIX, sleep=slept.append)
    with pytest.raises(TransientError, match="cannot be reached"):
        heroku.apps()


# Nothing leaks


def test_the_door_does_not_show_its_key() -> None:
    assert KEY not in repr(Heroku(KEY, throwaway_prefix=PREFIX))


@pytest.mark.parametrize(
    "message",
    [
        f"Invalid backup_url https://s3.example.com/b?sig={SIGNATURE} given",
        f"cannot connect to postgres://u:{PASSWORD}@ec2-1.example.com:5432/d.",
        f"bad login u:{PASSWORD}@host",
        f"x{SIGNATURE}://y",
    ],
)
def test_what_heroku_says_is_shown_without_addresses(message: str) -> None:
    answers = [attachments("DATABASE"), reply([]), problem(422, "invalid_params", message)]
    error = failure(lambda heroku: heroku.restore(RESTORED_INTO, BACKUP_URL), *answers)
    assert "(address)" in error.what
    for secret in (SIGNATURE, PASSWORD, KEY):
        assert secret not in everything_shown(error)


@pytest.mark.parametrize("answer", [LOST, Reply(status=500), problem(401, "unauthorized"), HTML, Reply(b"<", 200)])
def test_no_failure_shows_a_secret(answer: Reply, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0, logger="raxx_bcp")
    for call in (*READS, *WRITES):
        error = failure(call, answer)
        assert KEY not in everything_shown(error)
        assert type(pickle.loads(pickle.dumps(error))) is type(error)  # noqa: S301
    assert KEY not in caplog.text


def test_leaving_closes_the_connections() -> None:
    with scripted(reply([])) as served:
        with door(served) as heroku:
            for _ in range(3):
                heroku.apps()
            assert served.connections == 1
        heroku.apps()
        assert served.connections == 2
