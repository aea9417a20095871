"""The one place to HTTP: bounded retries, no redirects, no clear text, no half answers, no leaks."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from raxx_bcp.clients.http import Answer, Door
from raxx_bcp.clients.retries import LONGEST_WAIT_SECONDS, PATIENCE_SECONDS, RateLimitedError
from raxx_bcp.errors import TransientError, UsageError
from raxx_bcp_tests.clients.leaks import everything_shown
from raxx_bcp_tests.clients.servers import Reply, Served, scripted

BUSY = Reply(b"{}", 429, {"retry-after": "7"})
TOKEN = "rxs_bearer_token"


def client(url: str, slept: list[float] | None = None, *, attempts: int = 4) -> Door:
    waits: list[float] = [] if slept is None else slept
    return Door("The vault", url, timeout_seconds=5, attempts=attempts, sleep=waits.append)


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_an_answer_is_given_as_it_came() -> None:
    with scripted(Reply(b'{"a":1}', 201)) as served:
        answer = client(served.url).send("GET", "/x", params={"q": "ä b"}, headers={"authorization": f"Bearer {TOKEN}"})
    assert (answer.status, answer.body, answer.content_type, answer.ok) == (201, b'{"a":1}', "application/json", True)
    (asked,) = served.asked
    assert asked.path == "/x?q=%C3%A4+b"
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"


def test_a_json_body_is_sent() -> None:
    with scripted() as served:
        client(served.url).send("POST", "/x", json={"a": 1})
    assert served.asked[0].body == b'{"a": 1}'
    assert served.asked[0].headers["content-type"] == "application/json"


def test_a_busy_service_is_waited_for_as_long_as_it_asks() -> None:
    slept: list[float] = []
    with scripted(BUSY, BUSY, Reply(b'{"ok":1}')) as served:
        answer = client(served.url, slept).send("GET", "/x")
    assert answer.body == b'{"ok":1}'
    assert slept == [7.0, 7.0]
    assert len(served.asked) == 3


def test_a_healthy_service_is_not_waited_for() -> None:
    slept: list[float] = []
    with scripted() as served:
        client(served.url, slept).send("GET", "/x")
    assert slept == []
    assert len(served.asked) == 1


@pytest.mark.parametrize(
    ("header", "longest"), [("86400", LONGEST_WAIT_SECONDS), ("inf", LONGEST_WAIT_SECONDS), ("-5", 0.0), ("nan", 0.0)]
)
def test_an_absurd_retry_after_is_bounded(header: str, longest: float) -> None:
    slept: list[float] = []
    with scripted(Reply(status=429, headers={"retry-after": header}), Reply()) as served:
        client(served.url, slept).send("GET", "/x")
    assert slept == [longest]


def test_a_service_that_asks_for_more_than_our_patience_is_looked_at_once_more_at_its_end() -> None:
    slept: list[float] = []
    with scripted(Reply(status=503, headers={"retry-after": "86400"})) as served, pytest.raises(TransientError):
        client(served.url, slept).send("GET", "/x")
    assert len(served.asked) == 2
    assert slept == [pytest.approx(PATIENCE_SECONDS, abs=5)]


@pytest.mark.parametrize("headers", [{}, {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}])
def test_without_a_number_to_go_by_the_waits_grow_and_stay_short(headers: dict[str, str]) -> None:
    slept: list[float] = []
    with scripted(Reply(status=500, headers=headers)) as served, pytest.raises(TransientError):
        client(served.url, slept).send("GET", "/x")
    assert len(slept) == 3
    for number, wait in enumerate(slept):
        assert 0.5 * 2**number <= wait <= 0.5 * 2**number + 1


@pytest.mark.parametrize("status", [429, 500])
def test_a_service_that_stays_busy_is_given_up_after_the_attempts(status: int) -> None:
    with scripted(Reply(b"<html>rxs_body</html>", status, content_type="text/html")) as served:
        with pytest.raises(TransientError) as caught:
            client(served.url, attempts=3).send("GET", "/x", headers={"authorization": TOKEN})
        assert len(served.asked) == 3
    assert f"The vault answered GET /x with {status}." in caught.value.what
    assert "rxs_" not in everything_shown(caught.value)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_service_that_stays_away_is_given_up_after_our_patience(status: int) -> None:
    slept: list[float] = []
    with scripted(Reply(b"<html>rxs_body</html>", status, content_type="text/html")) as served:
        with pytest.raises(TransientError) as caught:
            client(served.url, slept, attempts=3).send("GET", "/x", headers={"authorization": TOKEN})
        assert len(served.asked) == len(slept) + 1 > 10
    assert PATIENCE_SECONDS - 5 < sum(slept) <= PATIENCE_SECONDS
    assert f"The vault answered GET /x with {status}." in caught.value.what
    assert "rxs_" not in everything_shown(caught.value)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 501])
def test_a_refusal_is_handed_over_at_once(status: int) -> None:
    slept: list[float] = []
    with scripted(Reply(b'{"error":"X"}', status)) as served:
        answer = client(served.url, slept).send("GET", "/x")
    assert (answer.status, answer.ok, len(served.asked), slept) == (status, False, 1, [])


@pytest.mark.parametrize("reply", [BUSY, Reply(status=503), Reply(hang_up=True), Reply(b"12345", missing=1)])
def test_a_post_is_not_repeated(reply: Reply) -> None:
    with scripted(reply) as served:
        with pytest.raises(TransientError):
            client(served.url).send("POST", "/login", json={"clientSecret": TOKEN})
        assert len(served.asked) == 1


def test_a_post_is_repeated_only_when_asked_to() -> None:
    with scripted(BUSY, Reply()) as served:
        assert client(served.url).send("POST", "/x", json={}, retry=True).ok
        assert len(served.asked) == 2


def test_a_rate_limit_alone_is_waited_out_when_asked_to() -> None:
    slept: list[float] = []
    with scripted(BUSY, Reply()) as served:
        assert client(served.url, slept).send("POST", "/x", json={}, retry_undone=True).ok
    assert (len(served.asked), slept) == (2, [7.0])
    for lost in (Reply(status=503), Reply(hang_up=True)):
        with scripted(lost) as served, pytest.raises(TransientError) as caught:
            client(served.url).send("POST", "/x", json={}, retry_undone=True)
        assert len(served.asked) == 1
        assert not isinstance(caught.value, RateLimitedError)


def test_a_rate_limit_that_stays_says_so() -> None:
    with scripted(BUSY) as served, pytest.raises(RateLimitedError, match="with 429"):
        client(served.url).send("GET", "/x")
    assert len(served.asked) == 4


def test_headers_come_along_and_are_not_shown() -> None:
    with scripted(Reply(headers={"Next-Range": "id ]rxs_range..; max=200"})) as served:
        answer = client(served.url).send("GET", "/x")
    assert answer.headers["next-range"] == "id ]rxs_range..; max=200"
    assert "rxs_" not in repr(answer)


def test_a_get_is_not_repeated_when_asked_not_to() -> None:
    with scripted(BUSY, Reply()) as served:
        with pytest.raises(TransientError):
            client(served.url).send("GET", "/x", retry=False)
        assert len(served.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status: int) -> None:
    with scripted(Reply()) as thief, scripted(Reply(b"", status, {"location": f"{thief.url}/steal"})) as served:
        answer = client(served.url).send("GET", "/x", headers={"authorization": TOKEN})
    assert (answer.status, answer.ok) == (status, False)
    assert len(served.asked) == 1
    assert thief.asked == []


def test_a_refused_connection_is_transient_and_tells_nothing_of_the_request() -> None:
    slept: list[float] = []
    url = f"http://127.0.0.1:{closed_port()}"
    with pytest.raises(TransientError) as caught:
        client(url, slept).send("GET", "/x", params={"q": TOKEN}, headers={"authorization": TOKEN})
    assert caught.value.what == f"The vault at {url} cannot be reached (ConnectionRefusedError)."
    assert "rxs_" not in everything_shown(caught.value)
    assert PATIENCE_SECONDS - 5 < sum(slept) <= PATIENCE_SECONDS


def test_a_write_is_sent_once_a_service_takes_connections_again() -> None:
    """A refused connection sent nothing, so that even a write may be repeated after it; and only by one who asks."""
    port = closed_port()
    with ExitStack() as stack:
        served: list[Served] = []

        def it_starts(_seconds: float) -> None:
            if not served:
                served.append(stack.enter_context(scripted(Reply(b'{"ok":1}'), port=port)))

        url = f"http://127.0.0.1:{port}"
        with pytest.raises(TransientError):
            Door("The vault", url, timeout_seconds=5, sleep=it_starts).send("POST", "/x", json={})
        assert served == []
        answer = Door("The vault", url, timeout_seconds=5, sleep=it_starts).send(
            "POST", "/x", json={}, retry_undone=True
        )
        assert answer.body == b'{"ok":1}'
        assert len(served[0].asked) == 1


def test_a_service_that_comes_back_between_two_attempts_is_reached() -> None:
    with scripted(Reply(hang_up=True), Reply(b'{"ok":1}')) as served:
        assert client(served.url).send("GET", "/x").body == b'{"ok":1}'


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("missing", [1, 4_000, 100_000])
def test_a_body_that_stops_early_is_never_given_as_a_short_body(chunked: bool, missing: int) -> None:  # noqa: FBT001
    body = b"x" * 100_000
    with scripted(Reply(body, missing=missing, chunked=chunked)) as served, pytest.raises(TransientError) as caught:
        client(served.url, attempts=2).send("GET", "/x")
    assert len(served.asked) == 2
    assert "cannot be reached" in caught.value.what


@pytest.mark.parametrize("chunked", [False, True])
def test_a_whole_body_is_given_whole(chunked: bool) -> None:  # noqa: FBT001
    body = bytes(range(256)) * 4_000
    with scripted(Reply(body, chunked=chunked)) as served:
        assert client(served.url).send("GET", "/x").body == body


def test_a_silent_service_times_out() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen(1)
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(TransientError, match="cannot be reached"):
            Door("The vault", url, timeout_seconds=0.05, attempts=1).send("GET", "/x")


@pytest.mark.parametrize("url", ["http://vault.raxx.example", "http://10.0.0.7:8080", "http://127.0.0.1.evil.example"])
def test_clear_text_to_another_machine_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="plain http://"):
        client(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "https://vault.example"])
def test_loopback_and_https_are_accepted(url: str) -> None:
    assert client(url + "/").base_url == url


@pytest.mark.parametrize("url", ["", "vault.raxx.example", "ftp://vault.raxx.example", "https://", "file:///etc"])
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="is not an http"):
        client(url)


@pytest.mark.parametrize("userinfo", ["rxs_user:rxs_password", "rxs_user", ":rxs_password"])
def test_credentials_in_the_address_are_refused_without_repeating_them(userinfo: str) -> None:
    with pytest.raises(UsageError, match="holds a user name or password") as caught:
        client(f"https://{userinfo}@vault.raxx.example")
    assert "rxs_" not in everything_shown(caught.value)


def test_the_parts_of_an_error_are_read() -> None:
    error = Answer(403, b'{"reqId":"r","message":["a"],"error":"TokenError","new":1}').error()
    assert (error.reqId, error.message, error.error) == ("r", ["a"], "TokenError")


@pytest.mark.parametrize("body", [b"", b"<html>502 Bad Gateway</html>", b"[]", b'{"error":{"a":1}}', b'"text"', b"{"])
def test_any_other_error_body_has_no_parts_and_is_no_crash(body: bytes) -> None:
    error = Answer(502, body).error()
    assert (error.message, error.error, error.reqId) == ("", "", None)


def test_an_answer_does_not_show_its_body() -> None:
    assert "rxs_" not in repr(Answer(200, b"rxs_value"))


def test_one_connection_serves_many_requests() -> None:
    with scripted(Reply(b"x" * 50_000)) as served:
        one = client(served.url)
        for _ in range(20):
            one.send("GET", "/x")
    assert (len(served.asked), served.connections) == (20, 1)


def test_a_connection_survives_error_answers() -> None:
    with scripted(Reply(status=503), Reply(status=404), Reply()) as served:
        one = client(served.url)
        one.send("GET", "/x")
        one.send("GET", "/x")
    assert (len(served.asked), served.connections) == (3, 1)


def test_each_thread_has_a_connection_of_its_own() -> None:
    together = threading.Barrier(3)

    def ask(one: Door) -> None:
        together.wait(timeout=10)
        for _ in range(5):
            one.send("GET", "/x")

    with scripted() as served:
        one = client(served.url)
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(ask, [one] * 3))
    assert (len(served.asked), served.connections) == (15, 3)


def test_a_closed_door_opens_again() -> None:
    with scripted() as served:
        one = client(served.url)
        one.send("GET", "/x")
        one.close()
        assert one.send("GET", "/x").ok
    assert served.connections == 2


def test_json_that_the_caller_has_encoded_is_sent_as_it_is() -> None:
    with scripted() as served:
        client(served.url).send("POST", "/x", body='{"a":"ä"}'.encode())
    assert served.asked[0].body == '{"a":"ä"}'.encode()
    assert served.asked[0].headers["content-type"] == "application/json"


def test_a_netrc_never_takes_the_place_of_our_own_authorization(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    with scripted() as served:
        client(served.url).send("GET", "/x", headers={"authorization": f"Bearer {TOKEN}"})
    assert served.asked[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_proxy_of_the_environment_is_used_and_its_exceptions_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with scripted(Reply(b'{"by":"proxy"}')) as proxy, scripted(Reply(b'{"by":"itself"}')) as served:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert client(served.url).send("GET", "/x").body == b'{"by":"proxy"}'
        assert proxy.asked[0].path == f"{served.url}/x"
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert client(served.url).send("GET", "/x").body == b'{"by":"itself"}'


def test_the_authorities_of_the_environment_are_the_ones_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/authority.pem")
    with pytest.raises(TransientError, match="OSError"):
        client(f"https://127.0.0.1:{closed_port()}", attempts=1).send("GET", "/x")
