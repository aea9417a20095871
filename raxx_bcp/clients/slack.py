"""The client for Slack, through slack_sdk. Slack answers 200 with ``ok: false``: only ``ok`` counts as accepted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Final

from raxx_bcp.errors import BcpError, PermanentError, TransientError

TEXT_LIMIT: Final = 3000
"""Characters of a section block's text (Slack's Block Kit reference); longer is refused as invalid_blocks."""
DEFAULT_API_URL: Final = "https://slack.com/api/"
_TIMEOUT_SECONDS: Final = 15
_TIMESTAMP: Final = re.compile(r"\d{1,12}\.\d{1,12}")
_WORD: Final = re.compile(r"[a-z][a-z0-9_]{1,59}")
"""Slack's names of errors, such as ``channel_not_found``; anything else is not Slack's."""
_PASSING: Final = frozenset({"ratelimited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"})


@dataclass(frozen=True)
class Message:
    """What to say: ``text`` is the notification's line, ``body`` the message in Slack's mrkdwn."""

    text: str
    body: str


class Slack:
    """A bot that can write to one workspace.

    Raises ``TransientError`` (unreachable, busy, rate limited) or ``PermanentError`` (token or channel
    wrong) from every method. Never retries by itself: the caller's cursor does.
    """

    def __init__(self, token: str, api_url: str = DEFAULT_API_URL) -> None:
        from slack_sdk import WebClient

        base = api_url if api_url.endswith("/") else f"{api_url}/"
        self._client = WebClient(token=token, base_url=base, timeout=_TIMEOUT_SECONDS, retry_handlers=[])

    def post(self, channel: str, message: Message) -> str:
        """Post ``message`` and return Slack's own timestamp of it, the proof that Slack accepted it."""
        body = message.body if len(message.body) <= TEXT_LIMIT else message.body[: TEXT_LIMIT - 1] + "…"
        blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": body}}]
        answer = self._call("chat_postMessage", channel=channel, text=message.text[:TEXT_LIMIT], blocks=blocks)
        posted = answer.get("ts")
        if not isinstance(posted, str) or not _TIMESTAMP.fullmatch(posted):
            raise _unreadable("it accepted a message and did not say as which")
        return posted

    def whoami(self) -> str:
        """The bot's name in its workspace (auth.test)."""
        answer = self._call("auth_test")
        user, team = answer.get("user"), answer.get("team")
        if not isinstance(user, str) or not isinstance(team, str):
            raise _unreadable("it did not say who the bot is")
        return f"{user} in {team}"

    def _call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """What Slack answered with ``ok: true``."""
        from slack_sdk.errors import SlackApiError, SlackClientError

        try:
            answer = getattr(self._client, method)(**arguments)
            said = answer.data if answer.data.get("ok") is True else {}
        except SlackApiError as error:
            trouble = _refused(error, str(arguments.get("channel", "")))
        except (SlackClientError, OSError, HTTPException) as error:
            trouble = TransientError(
                f"Slack cannot be reached ({type(error).__name__}).",
                "Check the network and SLACK_API_URL; an alert is kept and tried again.",
            )
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
            trouble = _unreadable(f"its answer is not Slack's, {type(error).__name__}")
        else:
            if said:
                return dict(said)
            trouble = _unreadable("it did not say that it accepted the message")
        # Raised here and not while that exception is handled: it can hold the answer of Slack or of a proxy.
        raise trouble


def _unreadable(why: str) -> BcpError:
    """A retry treats it as a lost answer: it is unknown whether Slack accepted the message."""
    return TransientError(
        f"What answers as Slack cannot be understood: {why}.",
        "Check SLACK_API_URL, and look for a proxy or an error page in between; an alert is kept and tried again.",
    )


def _refused(error: Any, channel: str) -> BcpError:
    status = int(error.response.status_code)
    word = error.response.data.get("error") if isinstance(error.response.data, dict) else None
    said = word if isinstance(word, str) and _WORD.fullmatch(word) else ""
    if not said and status < 500 and status != 429:
        return _unreadable(f"status {status} without a reason")
    reason = f"HTTP {status}" if status >= 500 or not said else str(said)
    if status == 429 or status >= 500 or reason in _PASSING:
        return TransientError(
            f"Slack is busy or failing ({reason}).", "Look at status.slack.com; an alert is kept and tried again."
        )
    where = f" for channel {channel}" if channel else ""
    return PermanentError(
        f"Slack refused the message{where}: {reason}.",
        "Check SLACK_BOT_TOKEN (scope chat:write), and that the bot belongs to alerts.slack_channel.",
    )
