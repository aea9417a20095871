"""What Heroku's refusals mean at its client, and that nothing secret is shown in any of them."""

from __future__ import annotations

import pickle
import socket
from collections.abc import Callable

import pytest

from raxx_bcp.clients.heroku import Heroku
from raxx_bcp.clients.heroku_errors import AbsentError, AppLimitError, DeniedError
from raxx_bcp.errors import BcpError, PermanentError, TransientError, UnreadableAnswerError
from raxx_bcp_tests.clients.herokus import (
    BACKUP_URL,
    DATABASE_ID,
    DRILL,
    HTML,
    KEY,
    LOST,
    PASSWORD,
    PREFIX,
    PRODUCTION,
    RESTORED_INTO,
    SIGNATURE,
    a_transfer,
    attachments,
    connect,
    failure,
    problem,
    reply,
)
from raxx_bcp_tests.clients.leaks import everything_shown
from raxx_bcp_tests.clients.servers import Reply, scripted

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
        (Reply(b"<html>rxs_page</html>", 302, content_type="text/html"), UnreadableAnswerError, "error page"),
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
    assert type(error) is UnreadableAnswerError
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
        with connect(served) as heroku:
            for _ in range(3):
                heroku.apps()
            assert served.connections == 1
        heroku.apps()
        assert served.connections == 2
