"""The door to Slack, through slack_sdk. Slack answers 200 with ``ok: false``: only ``ok`` counts as accepted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from raxx_bcp.errors import BcpError, PermanentError, TransientError

TEXT_LIMIT: Final = 3000
"""Characters of a section block's text (Slack's Block Kit reference); longer is refused as invalid_blocks."""
DEFAULT_API_URL: Final = "https://slack.com/api/"
_TIMEOUT_SECONDS: Final = 15
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
        """Post ``message`` and return Slack's own timestamp of it, the proof that it was accepted."""
        body = message.body if len(message.body) <= TEXT_LIMIT else message.body[: TEXT_LIMIT - 1] + "…"
        blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": body}}]
        answer = self._call("chat_postMessage", channel=channel, text=message.text[:TEXT_LIMIT], blocks=blocks)
        return str(answer["ts"])

    def whoami(self) -> str:
        """The bot's name in its workspace (auth.test)."""
        answer = self._call("auth_test")
        return f"{answer.get('user', 'bot')} in {answer.get('team', 'the workspace')}"

    def _call(self, method: str, **arguments: Any) -> Any:
        from slack_sdk.errors import SlackApiError, SlackClientError

        try:
            return getattr(self._client, method)(**arguments)
        except SlackApiError as error:
            raise _refused(error, str(arguments.get("channel", ""))) from None
        except (SlackClientError, OSError, ValueError) as error:
            failure = type(error).__name__
        # Raised here and not while that exception is handled: it can hold what Slack, or a proxy, answered.
        raise TransientError(
            f"Slack cannot be reached ({failure}).",
            "Check the network and SLACK_API_URL; an alert is kept and tried again.",
        )


def _refused(error: Any, channel: str) -> BcpError:
    status = int(error.response.status_code)
    said = error.response.get("error", "") if isinstance(error.response.data, dict) else ""
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
