"""Answers whose bytes are no UTF-8: one sentence of ours, with none of their bytes anywhere in it.

A decoder's ``UnicodeDecodeError`` holds the bytes that it stumbled on, and a secret's are among them.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from raxx_bcp.clients.infisical import Infisical
from raxx_bcp.clients.infisical_writer import InfisicalWriter
from raxx_bcp.clients.slack import Message, Slack
from raxx_bcp.errors import BcpError
from raxx_bcp_tests.clients.herokus import DRILL, an_app, connect, reply
from raxx_bcp_tests.clients.leaks import everything_held
from raxx_bcp_tests.clients.servers import Reply, Served, scripted

PLANTED = b"planted-\xff-secret"
PAYLOAD = base64.urlsafe_b64encode(b'{"identityId":"i","orgId":"o"}').decode().rstrip("=")
TOKEN = f"h.{PAYLOAD}.s"


def ask_heroku(served: Served) -> None:
    with connect(served) as heroku:
        heroku.app(DRILL)


def ask_status(served: Served) -> None:
    InfisicalWriter(served.url, "id", "secret", sleep=lambda _seconds: None).status()


def log_in(served: Served) -> None:
    with Infisical(served.url, "id", "secret", sleep=lambda _seconds: None):
        pass


def tell_slack(served: Served) -> None:
    Slack("xoxb-token", f"{served.url}/api/").post("D0AJ7K184TV", Message("text", "text"))


CASES = [
    pytest.param(ask_heroku, b'{"id":"%s","name":"n"}', 200, id="heroku"),
    pytest.param(ask_heroku, b'{"id":"invalid_params","message":"%s"}', 422, id="heroku-refusal"),
    pytest.param(ask_status, b'{"message":"%s","date":"d"}', 200, id="vault-writer"),
    pytest.param(log_in, b'{"accessToken":"%s"}', 200, id="vault-login"),
    pytest.param(log_in, b'{"message":"%s","error":"Forbidden"}', 401, id="vault-login-refusal"),
    pytest.param(tell_slack, b'{"ok":true,"ts":"%s"}', 200, id="slack"),
]


@pytest.mark.parametrize(("ask", "body", "status"), CASES)
def test_a_damaged_answer_is_one_sentence_without_its_bytes(
    ask: Callable[[Served], None], body: bytes, status: int
) -> None:
    with scripted(Reply(body % PLANTED, status)) as served, pytest.raises(BcpError) as caught:
        ask(served)
    assert caught.value.what
    assert caught.value.remedy
    assert "planted" not in everything_held(caught.value)


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        pytest.param(ask_heroku, reply(an_app()), id="heroku"),
        pytest.param(ask_status, reply({"message": "Ok", "date": "2026-11-23T17:33:19.000Z"}), id="vault-writer"),
        pytest.param(log_in, reply({"accessToken": TOKEN}), id="vault-login"),
        pytest.param(tell_slack, reply({"ok": True, "ts": "1769999999.000100", "channel": "D0AJ7K184TV"}), id="slack"),
    ],
)
def test_the_undamaged_answer_is_taken(ask: Callable[[Served], None], answer: Reply) -> None:
    with scripted(answer) as served:
        ask(served)
    assert served.asked
