"""The Slack sink, judged by slack_sdk: it refuses what Slack refuses, and shows what arrived, safely."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from raxx_bcp_sandbox.slack.__main__ import main
from raxx_bcp_sandbox.slack.blocks import invalid_blocks
from raxx_bcp_sandbox.slack.mrkdwn import render
from raxx_bcp_sandbox.slack.page import page
from raxx_bcp_sandbox.slack.store import Store
from raxx_bcp_sandbox.supervisor import Sandbox

CHANNEL = "D0AJ7K184TV"


@pytest.fixture
def site(sandbox: Sandbox) -> str:
    url = sandbox.status().part("slack").url
    assert url is not None
    requests.delete(f"{url}/_sandbox/messages", timeout=5).raise_for_status()
    return url


@pytest.fixture
def slack(sandbox: Sandbox, site: str) -> WebClient:
    environment = sandbox.environment()
    return WebClient(environment["SLACK_BOT_TOKEN"], base_url=environment["SLACK_API_URL"], retry_handlers=[])


def arrived(site: str) -> list[dict[str, Any]]:
    """The messages as the sink kept them."""
    messages: list[dict[str, Any]] = requests.get(f"{site}/_sandbox/messages", timeout=5).json()["messages"]
    return messages


def error_of(call: Callable[[], object]) -> Any:
    """The answer that slack_sdk raised for."""
    with pytest.raises(SlackApiError) as caught:
        call()
    return caught.value.response


def section(text: str) -> dict[str, Any]:
    """A section block."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


class TestPosting:
    def test_a_message_arrives(self, slack: WebClient, site: str) -> None:
        answer = slack.chat_postMessage(channel=CHANNEL, text="*red*", blocks=[section("*red*")])
        assert (answer["ok"], answer["channel"], answer["message"]["text"]) == (True, CHANNEL, "*red*")
        assert re.fullmatch(r"\d{10}\.\d{6}", answer["ts"])
        (kept,) = arrived(site)
        assert (kept["ts"], kept["text"], kept["blocks"]) == (answer["ts"], "*red*", [section("*red*")])

    def test_a_form_is_taken_as_well(self, slack: WebClient, site: str) -> None:
        form = {"token": slack.token, "channel": CHANNEL, "text": "é", "blocks": '[{"type": "divider"}]'}
        answer = requests.post(f"{site}/api/chat.postMessage", data=form, timeout=5).json()
        assert answer["ok"]
        assert arrived(site)[0]["blocks"] == [{"type": "divider"}]

    def test_ids_rise_within_one_microsecond(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "m.jsonl", now=lambda: 1_800_000_000.0)
        ids = [store.add(CHANNEL, {"text": str(number)})["ts"] for number in range(50)]
        assert ids == sorted(set(ids))

    def test_a_line_torn_by_a_crash_is_skipped(self, tmp_path: Path) -> None:
        path = tmp_path / "m.jsonl"
        Store(path).add(CHANNEL, {"text": "whole"})
        with path.open("a") as file:
            file.write('{"ts": "1')
        Store(path).add(CHANNEL, {"text": "next"})
        assert [message["text"] for message in Store(path).messages()] == ["whole", "next"]

    def test_who_am_i(self, slack: WebClient) -> None:
        assert slack.auth_test()["user"] == "raxx-bcp"


@pytest.mark.filterwarnings("ignore:The top-level `text` argument is missing:UserWarning")
class TestRefusing:
    def test_tokens(self, site: str) -> None:
        stranger = WebClient("xoxb-other", base_url=f"{site}/api/")
        assert error_of(stranger.auth_test)["error"] == "invalid_auth"
        answer = requests.post(f"{site}/api/auth.test", timeout=5)
        assert (answer.status_code, answer.json()) == (200, {"ok": False, "error": "not_authed"})

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ({"channel": "#general", "text": "x"}, "channel_not_found"),
            ({"channel": "", "text": "x"}, "invalid_arguments"),
            ({"channel": CHANNEL, "text": ""}, "no_text"),
            ({"channel": CHANNEL, "text": "x" * 40_001}, "msg_too_long"),
            ({"channel": CHANNEL, "text": "x", "blocks": [section("x" * 3001)]}, "invalid_blocks"),
            ({"channel": CHANNEL, "text": "x", "blocks": [section("x" * 3000)] * 5}, "msg_blocks_too_long"),
        ],
    )
    def test_messages(self, slack: WebClient, site: str, arguments: dict[str, Any], error: str) -> None:
        answer = error_of(lambda: slack.chat_postMessage(**arguments))
        assert (answer.status_code, answer["error"]) == (200, error)
        assert arrived(site) == []

    def test_unknown_methods_and_broken_json(self, slack: WebClient, site: str) -> None:
        assert error_of(lambda: slack.api_call("chat.shout"))["error"] == "unknown_method"
        headers = {"Authorization": f"Bearer {slack.token}", "Content-Type": "application/json"}
        answer = requests.post(f"{site}/api/chat.postMessage", data="{", headers=headers, timeout=5)
        assert answer.json()["error"] == "invalid_json"

    @pytest.mark.parametrize(
        ("block", "fault"),
        [
            (section(""), "must be more than 0 characters [json-pointer:/blocks/0/text/text]"),
            ({"type": "section"}, "missing required field: text [json-pointer:/blocks/0]"),
            ({"type": "headline"}, "unsupported type: headline [json-pointer:/blocks/0/type]"),
            (
                {"type": "header", "text": {"type": "plain_text", "text": "x" * 151}},
                "must be less than 151 characters [json-pointer:/blocks/0/text/text]",
            ),
            (
                {"type": "header", "text": {"type": "mrkdwn", "text": "x"}},
                "must be a valid enum value: plain_text [json-pointer:/blocks/0/text/type]",
            ),
            (
                {"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2001}]},
                "must be less than 2001 characters [json-pointer:/blocks/0/fields/0/text]",
            ),
            (
                {"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11},
                "no more than 10 items allowed [json-pointer:/blocks/0/fields]",
            ),
            (
                {"type": "context", "elements": []},
                "missing required field: elements [json-pointer:/blocks/0/elements]",
            ),
            ({"type": "divider", "block_id": "x" * 256}, "must be less than 256 characters"),
            ("text", "must be an object [json-pointer:/blocks/0]"),
        ],
    )
    def test_blocks(self, block: Any, fault: str) -> None:
        (found,) = invalid_blocks([block])
        assert found.startswith(fault)

    def test_too_many_blocks(self) -> None:
        assert invalid_blocks([{"type": "divider"}] * 50) == []
        assert invalid_blocks([{"type": "divider"}] * 51) == ["no more than 50 items allowed [json-pointer:/blocks]"]


class TestFaults:
    def test_down(self, breakable_sandbox: Sandbox, slack: WebClient) -> None:
        breakable_sandbox.break_("slack-down")
        assert error_of(slack.auth_test).status_code == 503
        assert breakable_sandbox.status().healthy  # the stand-in is well; it is Slack that is down

    def test_rate_limited(self, breakable_sandbox: Sandbox, slack: WebClient, site: str) -> None:
        breakable_sandbox.break_("slack-ratelimited")
        answer = error_of(lambda: slack.chat_postMessage(channel=CHANNEL, text="x"))
        assert (answer.status_code, answer["error"]) == (429, "ratelimited")
        assert int(answer.headers["Retry-After"]) >= 1
        breakable_sandbox.mend("slack-ratelimited")
        slack.chat_postMessage(channel=CHANNEL, text="x")
        assert len(arrived(site)) == 1

    @pytest.mark.parametrize(
        ("fault", "error"), [("slack-channel-gone", "channel_not_found"), ("slack-token-revoked", "token_revoked")]
    )
    def test_gone(self, breakable_sandbox: Sandbox, slack: WebClient, fault: str, error: str) -> None:
        breakable_sandbox.break_(fault)
        assert error_of(lambda: slack.chat_postMessage(channel=CHANNEL, text="x"))["error"] == error
        breakable_sandbox.mend(fault)
        assert slack.chat_postMessage(channel=CHANNEL, text="x")["ok"]


class TestThePage:
    def test_newest_first_and_nothing_runs(self, slack: WebClient, site: str) -> None:
        slack.chat_postMessage(channel=CHANNEL, text="older")
        slack.chat_postMessage(channel=CHANNEL, text="<script>alert('newer')</script>")
        answer = requests.get(site, timeout=5)
        assert answer.text.index("newer") < answer.text.index("older")
        assert "<script" not in answer.text
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert 'http-equiv="refresh"' in answer.text

    def test_every_kind_of_block_shows_its_text(self) -> None:
        blocks: list[dict[str, Any]] = [
            {"type": "header", "text": {"type": "plain_text", "text": "*not bold* <b>"}},
            {**section("*bold*"), "fields": [{"type": "mrkdwn", "text": "left"}, {"type": "mrkdwn", "text": "right"}]},
            {"type": "divider"},
            {
                "type": "context",
                "elements": [{"type": "mrkdwn", "text": "small"}, {"type": "image", "alt_text": "pic"}],
            },
            {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [{"text": "rich"}]}]},
            {"type": "image", "image_url": "https://example.invalid/x.png"},
        ]
        message = {"ts": "1", "received_utc": "2026-01-01T00:00:00+00:00", "channel": CHANNEL, "blocks": blocks}
        shown = page([{**message, "attachments": [{"text": "attached"}]}], ["slack-down"])
        for expected in (
            "<h2>*not bold* &lt;b&gt;</h2>",
            "<b>bold</b>",
            "left",
            "right",
            "<hr>",
            "small pic",
            "rich",
            "[image]",
            "attached",
            "Broken now: slack-down.",
        ):
            assert expected in shown
        assert "<img" not in shown

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("*bold* _italic_ ~gone~", "<b>bold</b> <i>italic</i> <s>gone</s>"),
            ("snake_case_name 2 * 3 * 4", "snake_case_name 2 * 3 * 4"),
            ("a &lt; b &amp; c", "a &lt; b &amp; c"),
            ("`*x*` ```<y>```", "<code>*x*</code> <pre>&lt;y&gt;</pre>"),
            ("> one\ntwo", "<q>one</q>two"),
            ("*<https://a.b/c_d|Run>*", '<b><a href="https://a.b/c_d" rel="noopener noreferrer">Run</a></b>'),
            ("<javascript:alert(1)|x>", "&lt;javascript:alert(1)|x&gt;"),
            ('<https://a"b|x>', '<a href="https://a&quot;b" rel="noopener noreferrer">x</a>'),
            ("<!date^1^{date}|yesterday> <@U1>", None),
            (":red_circle: :unknown:", "🔴 :unknown:"),
            ("\ue0007\ue001", "7"),
        ],
    )
    def test_mrkdwn(self, text: str, shown: str | None) -> None:
        mentions = '<span class="mention">yesterday</span> <span class="mention">@U1</span>'
        assert render(text) == (mentions if shown is None else shown)


def test_without_a_token_it_does_not_start(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--port", "1"], {})
    assert stopped.value.code == 2
    assert "RAXX_SANDBOX_SLACK_TOKEN is not set" in capsys.readouterr().err
