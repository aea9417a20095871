"""The HTTP side of the Slack stand-in: chat.postMessage and auth.test, as slack_sdk sees them.

Slack reports an error in the body, with status 200 (docs.slack.dev, "Using the Slack Web API"); only a rate
limit (429) and Slack being down show in the status.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from raxx_bcp_sandbox.slack import blocks as rules
from raxx_bcp_sandbox.slack.page import SECURITY_POLICY, page
from raxx_bcp_sandbox.slack.store import Store
from raxx_bcp_sandbox.stand_in import Faults

CHANNEL = "D0AJ7K184TV"
"""The on-call person's direct messages: the only conversation that this Slack has."""
RETRY_AFTER_SECONDS = 1

FAULTS = {
    "slack-down": "Slack answers 503 to everything.",
    "slack-ratelimited": "Slack takes no more messages: 429 with Retry-After.",
    "slack-channel-gone": f"The conversation {CHANNEL} is no longer there.",
    "slack-token-revoked": "The bot's token was revoked.",
}

_TEAM, _TEAM_ID, _BOT, _USER_ID, _BOT_ID, _APP_ID = (
    "Raxx sandbox",
    "T0SANDBOX0",
    "raxx-bcp",
    "U0SANDBOX0",
    "B0SANDBOX0",
    "A0SANDBOX0",
)
_BODY_FIELDS = ("text", "blocks", "attachments", "thread_ts")

Arguments = dict[str, Any]


class RefusedError(Exception):
    """Slack's refusals: ``{"ok": false, "error": code, …}``."""

    def __init__(self, code: str, details: list[str] | None = None) -> None:
        super().__init__(code)
        self.answer: dict[str, Any] = {"ok": False, "error": code}
        if details:
            self.answer["errors"] = details
            self.answer["response_metadata"] = {"messages": [f"[ERROR] {each}" for each in details]}


class SlackSink:
    """One workspace with one bot and one conversation."""

    def __init__(self, store: Store, token: str) -> None:
        self._store = store
        self._token = token
        self.faults = Faults(FAULTS)

    def routes(self) -> list[Route]:
        """Slack's API, and the sandbox's own pages."""
        return [
            Route("/", self.show, methods=["GET"]),
            Route("/_sandbox/messages", self.messages, methods=["GET", "DELETE"]),
            *self.faults.routes(),
            Route("/api/{method}", self.api, methods=["GET", "POST"]),
        ]

    async def api(self, request: Request) -> Response:
        """One call of the Web API."""
        if self.faults.on("slack-down"):
            return PlainTextResponse("upstream connect error or disconnect/reset before headers", status_code=503)
        try:
            arguments = await _arguments(request)
            self._authenticate(request, arguments)
            return self._call(request.path_params["method"], arguments)
        except RefusedError as refused:
            return JSONResponse(refused.answer)

    async def show(self, _request: Request) -> Response:
        """The page for people."""
        active = [name for name in FAULTS if self.faults.on(name)]
        headers = {"Content-Security-Policy": SECURITY_POLICY, "Cache-Control": "no-store"}
        return HTMLResponse(page(self._store.messages(), active), headers=headers)

    async def messages(self, request: Request) -> Response:
        """The messages as JSON, oldest first; DELETE removes them."""
        if request.method == "DELETE":
            self._store.clear()
        return JSONResponse({"messages": self._store.messages()})

    def _authenticate(self, request: Request, arguments: Arguments) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        token = given.strip() if scheme.lower() == "bearer" else str(arguments.get("token", ""))
        if not token:
            raise RefusedError("not_authed")
        if token != self._token:
            raise RefusedError("invalid_auth")
        if self.faults.on("slack-token-revoked"):
            raise RefusedError("token_revoked")

    def _call(self, method: str, arguments: Arguments) -> Response:
        if method == "auth.test":
            return JSONResponse(_identity())
        if method != "chat.postMessage":
            raise RefusedError("unknown_method")
        if self.faults.on("slack-ratelimited"):
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            return JSONResponse({"ok": False, "error": "ratelimited"}, status_code=429, headers=headers)
        return JSONResponse(self._post(arguments))

    def _post(self, arguments: Arguments) -> dict[str, Any]:
        channel = arguments.get("channel")
        if not channel:
            raise RefusedError("invalid_arguments", ["missing required field: channel"])
        if channel != CHANNEL or self.faults.on("slack-channel-gone"):
            raise RefusedError("channel_not_found")
        content = _content(arguments)
        kept = self._store.add(CHANNEL, content)
        author = {"user": _USER_ID, "bot_id": _BOT_ID, "app_id": _APP_ID, "team": _TEAM_ID}
        message = {"type": "message", "subtype": "bot_message", "ts": kept["ts"], **author, **content}
        return {"ok": True, "channel": CHANNEL, "ts": kept["ts"], "message": message}


async def _arguments(request: Request) -> Arguments:
    """The call's arguments: a JSON object or a form; in a form, blocks and attachments are JSON inside."""
    if request.headers.get("content-type", "").partition(";")[0].strip() == "application/json":
        try:
            arguments = json.loads(await request.body() or b"{}")  # slack_sdk sends auth.test with an empty body
        except ValueError:
            raise RefusedError("invalid_json") from None
        if not isinstance(arguments, dict):
            raise RefusedError("json_not_object")
        arguments.pop("token", None)  # Slack accepts a token from the header or a form, never from JSON
        return arguments
    form = parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True)
    arguments = {**request.query_params, **dict(form)}
    for name, error in (("blocks", "invalid_blocks_format"), ("attachments", "invalid_attachments")):
        if name in arguments:
            arguments[name] = _json(arguments[name], error)
    return arguments


def _json(text: str, error: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise RefusedError(error) from None


def _content(arguments: Arguments) -> dict[str, Any]:
    """The message's content, if Slack would accept it."""
    content = {name: arguments[name] for name in _BODY_FIELDS if arguments.get(name)}
    text, blocks = content.get("text", ""), content.get("blocks", [])
    if isinstance(blocks, str):
        content["blocks"] = blocks = _json(blocks, "invalid_blocks_format")
    if not isinstance(text, str):
        raise RefusedError("invalid_arguments", ["must be a string [json-pointer:/text]"])
    if not (text.strip() or blocks or content.get("attachments")):
        raise RefusedError("no_text")
    if len(text) > rules.MAX_TEXT:
        raise RefusedError("msg_too_long")
    faults = rules.invalid_blocks(blocks)
    if faults:
        raise RefusedError("invalid_blocks", faults)
    if rules.blocks_text_length(blocks) > rules.MAX_BLOCKS_TEXT:
        raise RefusedError("msg_blocks_too_long")
    return content


def _identity() -> dict[str, Any]:
    identity = {"url": "https://raxx-sandbox.slack.com/", "team": _TEAM, "user": _BOT, "is_enterprise_install": False}
    return {"ok": True, **identity, "team_id": _TEAM_ID, "user_id": _USER_ID, "bot_id": _BOT_ID}


def create_app(store: Store, token: str) -> Starlette:
    """The application, for uvicorn."""
    return Starlette(routes=SlackSink(store, token).routes())
