"""Heroku: a stand-in for its two APIs, with its own PostgreSQL that holds production and what drills restore."""

from __future__ import annotations

import sys

import requests

from raxx_bcp.errors import TransientError
from raxx_bcp_sandbox import postgres
from raxx_bcp_sandbox.heroku.app import DATA
from raxx_bcp_sandbox.part import Launch, Part, Place, Port, http_answers, new_secret

_KEY = "HEROKU_API_KEY"
_POSTGRES = "postgres"
_SECONDS = 60.0


def _prepare(place: Place) -> None:
    place.directory.mkdir(mode=0o700, exist_ok=True)
    place.directory.chmod(0o700)
    postgres.binaries()  # raises one sentence when it is not installed


def _launch(place: Place) -> Launch:
    options = {
        "port": place.ports["http"],
        "postgres-port": place.ports[_POSTGRES],
        "directory": place.directory,
    }
    argv = (sys.executable, "-m", "raxx_bcp_sandbox.heroku")
    environment = {"RAXX_SANDBOX_HEROKU_API_KEY": place.credentials[_KEY], postgres.BIN_VARIABLE: _binaries()}
    return Launch((*argv, *(f"--{name}={value}" for name, value in options.items())), environment)


def _fill(place: Place) -> None:
    """Make sure that production has this morning's backup, even in a sandbox that is days old."""
    session = requests.Session()
    session.trust_env = False
    try:
        session.post(f"{place.url()}/_sandbox/scheduled-backup", timeout=_SECONDS).raise_for_status()
    except requests.RequestException as error:
        raise TransientError(
            f"Heroku's stand-in could not take this morning's backup ({type(error).__name__}).",
            "Run raxx-bcp sandbox up again; .sandbox/logs/heroku.log has its own words.",
        ) from error


def _environment(place: Place) -> dict[str, str]:
    return {
        _KEY: place.credentials[_KEY],
        "HEROKU_API_URL": place.url(),
        "HEROKU_DATA_URL": place.url() + DATA,
        postgres.BIN_VARIABLE: _binaries(),
        "RAXX_BCP_HEROKU_POSTGRES__POLL_SECONDS": "0.5",  # a restore takes a second here, not minutes
    }


def _binaries() -> str:
    return str(postgres.binaries())


def _tidy(place: Place) -> None:
    """When the stand-in is killed, its PostgreSQL keeps running, as another user when we are root."""
    postgres.stop_leftover(place.directory / _POSTGRES)


PART = Part(
    name="heroku",
    title="Heroku (stand-in with PostgreSQL)",
    ports=(Port("http", 8705), Port(_POSTGRES, 8706)),
    credentials={_KEY: new_secret},
    launch=_launch,
    prepare=_prepare,
    answers=http_answers,
    fill=_fill,
    environment=_environment,
    stand_in=True,
    tidy=_tidy,
    forget=postgres.forget_copies,
)
