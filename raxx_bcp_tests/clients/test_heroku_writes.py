"""What the client for Heroku refuses to ask, and what it does when an answer is lost or Heroku is busy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from raxx_bcp.clients.heroku import Heroku
from raxx_bcp.clients.heroku_errors import NameTakenError
from raxx_bcp.clients.heroku_shapes import Database, TransferState
from raxx_bcp.clients.retries import RateLimitedError
from raxx_bcp.errors import PermanentError, TransientError, UsageError
from raxx_bcp_tests.clients.herokus import (
    APP_ID,
    BACKUP_URL,
    DATABASE_ID,
    DRILL,
    HTML,
    KEY,
    LOST,
    PREFIX,
    PRODUCTION,
    RESTORE,
    RESTORED_INTO,
    RUNNING,
    UUID,
    a_transfer,
    an_app,
    asked,
    attachments,
    connect,
    failure,
    problem,
    reply,
)
from raxx_bcp_tests.clients.servers import Reply, scripted

CONTRACTS = Path(__file__).parents[1] / "contracts" / "heroku"


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
    with scripted(reply(an_app())) as served, connect(served) as heroku:
        for call in calls:
            with pytest.raises(PermanentError, match="Heroku was not asked to"):
                call(heroku)
    assert served.asked == []


def test_a_throwaway_app_is_deleted() -> None:
    with scripted(reply(an_app())) as served, connect(served) as heroku:
        heroku.delete_app(DRILL)
    assert asked(served) == [f"DELETE /apps/{DRILL}"]


@pytest.mark.parametrize(
    "found",
    [attachments("DATABASE", app=PRODUCTION), attachments("DATABASE", identity="b0d9a9a6-6b6e-4427-9028-f0dad7a8a0b6")],
)
def test_a_restore_over_a_database_that_belongs_elsewhere_is_refused(found: Reply) -> None:
    with (
        scripted(found) as served,
        connect(served) as heroku,
        pytest.raises(PermanentError, match="was not asked to"),
    ):
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
    with scripted(reply(an_app())) as served, connect(served) as heroku:
        for look in (heroku.app, heroku.config_vars, heroku.transfers, heroku.database_of, heroku.wait_status):
            with pytest.raises(UsageError, match="cannot be a name"):
                look(name)
        with pytest.raises(UsageError, match="cannot be a name"):
            heroku.transfer(PRODUCTION, name)
    assert served.asked == []


@pytest.mark.parametrize("lost", [LOST, Reply(b"<html>502</html>", 502, content_type="text/html")])
def test_an_app_whose_answer_was_lost_is_looked_for_before_it_is_made_again(lost: Reply) -> None:
    slept: list[float] = []
    with scripted(lost, reply(an_app())) as served, connect(served, slept) as heroku:
        assert heroku.create_app(DRILL).id == APP_ID
    assert asked(served) == ["POST /apps", f"GET /apps/{DRILL}"]
    assert slept == [1.0]


def test_an_app_that_was_not_made_is_made_again() -> None:
    with scripted(LOST, problem(404, "not_found"), reply(an_app(), 201)) as served, connect(served) as heroku:
        assert heroku.create_app(DRILL).id == APP_ID
    assert asked(served) == ["POST /apps", f"GET /apps/{DRILL}", "POST /apps"]


def test_a_name_that_is_taken_after_a_lost_answer_is_our_own() -> None:
    taken = problem(422, "invalid_params", f"Name {DRILL} is already taken")
    answers = [LOST, problem(404, "not_found"), taken, reply(an_app())]
    with scripted(*answers) as served, connect(served) as heroku:
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
    with scripted(*answers) as served, connect(served) as heroku, pytest.raises(TransientError):
        heroku.create_app(DRILL)
    assert len(served.asked) == 7


def test_a_database_whose_answer_was_lost_is_looked_for() -> None:
    with scripted(LOST, attachments("DATABASE")) as served, connect(served) as heroku:
        assert heroku.create_database(DRILL, "essential-0", "17").id == DATABASE_ID
    assert asked(served) == [f"POST /apps/{DRILL}/addons", f"GET /apps/{DRILL}/addon-attachments"]


def test_a_restore_is_asked_for_with_the_address_in_the_body_only() -> None:
    begun = reply(a_transfer(**RESTORE, **RUNNING), 201)
    with scripted(attachments("DATABASE"), reply([]), begun) as served, connect(served) as heroku:
        assert heroku.restore(RESTORED_INTO, BACKUP_URL).state is TransferState.RUNNING
    assert asked(served)[-1] == f"POST /client/v11/databases/{DATABASE_ID}/restores"
    assert json.loads(served.asked[-1].body) == {"backup_url": BACKUP_URL.get_secret_value()}


def test_a_restore_names_the_extensions_as_the_cli_does() -> None:
    begun = reply(a_transfer(**RESTORE, **RUNNING), 201)
    with scripted(attachments("DATABASE"), reply([]), begun) as served, connect(served) as heroku:
        heroku.restore(RESTORED_INTO, BACKUP_URL, ["hstore", "pg_stat_statements"])
    sent = json.loads(served.asked[-1].body)
    recorded = json.loads((CONTRACTS / "pg_backups_restore-url.json").read_text())
    (asked_by_cli,) = [one["body"] for one in recorded if one["path"].endswith("/restores")]
    assert (sent.keys(), sent["extensions"]) == (asked_by_cli.keys(), asked_by_cli["extensions"])


def test_a_restore_whose_answer_was_lost_is_found_and_not_begun_twice() -> None:
    old, new = a_transfer(**RESTORE, uuid="before"), a_transfer(**RESTORE, **RUNNING, uuid="begun")
    answers = [attachments("DATABASE"), reply([old]), LOST, reply([old]), reply([old, new])]
    with scripted(*answers) as served, connect(served) as heroku:
        assert heroku.restore(RESTORED_INTO, BACKUP_URL).uuid == "begun"
    assert [one.method for one in served.asked].count("POST") == 1


def test_a_restore_that_never_began_is_not_begun_again() -> None:
    answers = [attachments("DATABASE"), reply([]), LOST, reply([])]
    with scripted(*answers) as served, connect(served) as heroku, pytest.raises(TransientError):
        heroku.restore(RESTORED_INTO, BACKUP_URL)
    assert [one.method for one in served.asked].count("POST") == 1


def test_a_rate_limited_write_waits_as_long_as_it_is_asked_to() -> None:
    slept: list[float] = []
    busy = problem(429, "rate_limit", Retry_After="7")
    with scripted(busy, busy, reply(an_app(), 201)) as served, connect(served, slept) as heroku:
        assert heroku.create_app(DRILL).id == APP_ID
    assert slept == [7.0, 7.0]
    assert asked(served) == ["POST /apps"] * 3


def test_a_rate_limit_that_stays_is_given_up_without_a_flood() -> None:
    with scripted(problem(429, "rate_limit", Retry_After="1")) as served, connect(served) as heroku:
        for call in (lambda: heroku.create_app(DRILL), lambda: heroku.delete_app(DRILL), heroku.apps):
            served.asked.clear()
            with pytest.raises(RateLimitedError):
                call()
            assert len(served.asked) == 4


def test_a_deletion_is_repeated_and_what_is_gone_is_fine() -> None:
    with scripted(LOST, Reply(status=500), problem(404, "not_found")) as served, connect(served) as heroku:
        heroku.delete_app(DRILL)
    assert asked(served) == [f"DELETE /apps/{DRILL}"] * 3


@pytest.mark.parametrize("answer", [problem(404, "not_found"), problem(403, "forbidden"), HTML])
def test_an_app_that_is_gone_is_deleted(answer: Reply) -> None:
    with scripted(answer) as served, connect(served) as heroku:
        heroku.delete_app(DRILL)
    assert len(served.asked) == 1


@pytest.mark.parametrize("answer", [reply({}, 200), problem(404, "not_found"), problem(422, "invalid_params")])
def test_a_transfer_that_is_over_is_cancelled(answer: Reply) -> None:
    with scripted(answer) as served, connect(served) as heroku:
        heroku.cancel(DRILL, UUID)
    assert asked(served) == [f"POST /client/v11/apps/{DRILL}/transfers/{UUID}/actions/cancel"]


def test_a_refused_deletion_or_cancellation_is_told() -> None:
    for call in (lambda heroku: heroku.delete_app(DRILL), lambda heroku: heroku.cancel(DRILL, UUID)):
        assert type(failure(call, problem(401, "unauthorized"))) is PermanentError
