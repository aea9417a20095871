"""Slack: a stand-in that accepts messages as Slack does and shows them on its own page."""

from __future__ import annotations

import secrets
import sys

from raxx_bcp_sandbox.part import Launch, Part, Place, Port, http_answers

_TOKEN = "SLACK_BOT_TOKEN"  # noqa: S105 - the name of a variable
_TOKEN_HEX_BYTES = 16


def _new_token() -> str:
    return f"xoxb-sandbox-{secrets.token_hex(_TOKEN_HEX_BYTES)}"


def _prepare(place: Place) -> None:
    place.directory.mkdir(mode=0o700, exist_ok=True)


def _launch(place: Place) -> Launch:
    store = str(place.directory / "messages.jsonl")
    argv = (sys.executable, "-m", "raxx_bcp_sandbox.slack", "--port", str(place.ports["http"]))
    return Launch((*argv, "--store", store), {"RAXX_SANDBOX_SLACK_TOKEN": place.credentials[_TOKEN]})


def _environment(place: Place) -> dict[str, str]:
    return {_TOKEN: place.credentials[_TOKEN], "SLACK_API_URL": f"{place.url()}/api/"}


PART = Part(
    name="slack",
    title="Slack (message sink)",
    ports=(Port("http", 8702),),
    credentials={_TOKEN: _new_token},
    launch=_launch,
    prepare=_prepare,
    answers=http_answers,
    environment=_environment,
    stand_in=True,
)
