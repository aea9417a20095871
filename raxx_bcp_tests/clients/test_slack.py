"""The client for Slack, over real HTTP: only ``ok: true`` is accepted, and the token is never shown."""

from __future__ import annotations

import json
import socket
from typing import Any
from urllib.parse import parse_qs

import pytest

from raxx_bcp.clients.slack import TEXT_LIMIT, Message, Slack
from raxx_bcp.errors import BcpError, PermanentError, TransientError
from raxx_bcp_tests.clients.leaks import everything_shown
from raxx_bcp_tests.clients.servers import Asked, Reply, Served, scripted

TOKEN = "xoxb-rxs-token"
CHANNEL = "D0AJ7K184TV"
ACCEPTED = Reply(b'{"ok":true,"ts":"1769999999.000100","channel":"D0AJ7K184TV"}')


def slack(served: Served) -> Slack:
    return Slack(TOKEN, f"{served.url}/api/")


def post(served: Served, message: Message | None = None) -> str:
    return slack(served).post(CHANNEL, message or Message("The export failed", "*The export failed*"))


def sent(asked: Asked) -> dict[str, Any]:
    if asked.headers["content-type"].startswith("application/json"):
        fields: dict[str, Any] = json.loads(asked.body)
        return fields
    form = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
    return {**form, "blocks": json.loads(form.get("blocks", "[]"))}


def failure(reply: Reply) -> BcpError:
    with scripted(reply) as served, pytest.raises(BcpError) as caught:
        post(served)
    assert len(served.asked) == 1
    return caught.value


def test_an_accepted_message_gives_slacks_own_timestamp() -> None:
    with scripted(ACCEPTED) as served:
        assert post(served) == "1769999999.000100"
    (asked,) = served.asked
    assert (asked.method, asked.path) == ("POST", "/api/chat.postMessage")
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"
    fields = sent(asked)
    assert (fields["channel"], fields["text"]) == (CHANNEL, "The export failed")
    assert fields["blocks"] == [{"type": "section", "text": {"type": "mrkdwn", "text": "*The export failed*"}}]


def test_the_address_may_lack_its_last_slash() -> None:
    with scripted(ACCEPTED) as served:
        Slack(TOKEN, f"{served.url}/api").post(CHANNEL, Message("t", "b"))
    assert served.asked[0].path == "/api/chat.postMessage"


@pytest.mark.parametrize(("length", "cut"), [(TEXT_LIMIT, False), (TEXT_LIMIT + 1, True), (20_000, True)])
def test_long_text_is_cut_to_slacks_limit_and_says_so(length: int, cut: bool) -> None:  # noqa: FBT001
    with scripted(ACCEPTED) as served:
        post(served, Message("n" * length, "ü" * length))
    fields = sent(served.asked[0])
    body = fields["blocks"][0]["text"]["text"]
    assert len(body) == TEXT_LIMIT
    assert body.endswith("…") is cut
    assert body.startswith("ü" * (TEXT_LIMIT - 1))
    assert fields["text"] == "n" * TEXT_LIMIT


def test_whoami_names_the_bot_and_its_workspace() -> None:
    with scripted(Reply(b'{"ok":true,"user":"bcp","team":"Raxx"}')) as served:
        assert slack(served).whoami() == "bcp in Raxx"
    assert served.asked[0].path == "/api/auth.test"


@pytest.mark.parametrize(
    "reason", ["invalid_auth", "channel_not_found", "not_in_channel", "account_inactive", "invalid_blocks"]
)
def test_ok_false_with_status_200_is_a_refusal(reason: str) -> None:
    error = failure(Reply(json.dumps({"ok": False, "error": reason}).encode()))
    assert type(error) is PermanentError
    assert error.what == f"Slack refused the message for channel {CHANNEL}: {reason}."
    assert "SLACK_BOT_TOKEN" in error.remedy


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b'{"ok":false,"error":"ratelimited"}', 429, {"retry-after": "30"}),
        Reply(b'{"ok":false,"error":"ratelimited"}'),
        Reply(b'{"ok":false,"error":"internal_error"}'),
        Reply(b'{"ok":false,"error":"service_unavailable"}', 503),
        Reply(b"", 500),
        Reply(b"<html>502 Bad Gateway</html>", 502, content_type="text/html"),
        Reply(hang_up=True),
    ],
)
def test_what_passes_is_transient_and_not_repeated_here(reply: Reply) -> None:
    error = failure(reply)
    assert type(error) is TransientError
    assert "an alert is kept and tried again" in error.remedy


def test_a_slack_that_is_away_is_transient() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/api/"
    with pytest.raises(TransientError, match="Slack cannot be reached"):
        Slack(TOKEN, url).post(CHANNEL, Message("t", "b"))


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b'{"ok":false,"error":"invalid_auth"}'),
        Reply(b'{"ok":false,"error":"ratelimited"}', 429),
        Reply(b"<html>502</html>", 502, content_type="text/html"),
        Reply(b"<html>proxy</html>", 200, content_type="text/html"),
        Reply(hang_up=True),
    ],
)
def test_no_failure_shows_the_token(reply: Reply, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0, logger="raxx_bcp")
    error = failure(reply)
    assert TOKEN not in everything_shown(error)
    assert TOKEN not in caplog.text


def test_a_bot_does_not_show_its_token() -> None:
    assert TOKEN not in repr(Slack(TOKEN))
