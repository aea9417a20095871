"""Lightsail: a stand-in with Raxx's two instances, used through boto3's own variable for its address."""

from __future__ import annotations

import sys

from raxx_bcp.sandbox.part import Launch, Part, Place, Port, http_answers
from raxx_bcp.sandbox.parts import s3

# The operator's key is the one of S3: parts that ask for a secret by the same name share it.
_ID, _SECRET = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
_POLL_SECONDS = "0.5"
"""Snapshots take three seconds here, not minutes: looking every quarter of a minute would be most of the wait."""


def _prepare(place: Place) -> None:
    place.directory.mkdir(mode=0o700, exist_ok=True)


def _launch(place: Place) -> Launch:
    store = str(place.directory / "lightsail.sqlite3")
    argv = (sys.executable, "-m", "raxx_bcp.sandbox.lightsail", "--port", str(place.ports["http"]), "--store", store)
    secret = {f"RAXX_SANDBOX_{name}": place.credentials[name] for name in (_ID, _SECRET)}
    return Launch((*argv, "--seed", "in-use"), secret)


def _environment(place: Place) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL_LIGHTSAIL": place.url(),
        "RAXX_BCP_VAULT_SNAPSHOT__POLL_SECONDS": _POLL_SECONDS,
    }


PART = Part(
    name="lightsail",
    title="Lightsail (instances stand-in)",
    ports=(Port("http", 8704),),
    credentials={name: s3.PART.credentials[name] for name in (_ID, _SECRET)},
    launch=_launch,
    prepare=_prepare,
    answers=http_answers,
    environment=_environment,
    stand_in=True,
)
