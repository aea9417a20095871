"""The vault: a stand-in for Raxx's self-hosted Infisical, in its own process."""

from __future__ import annotations

import sys

from raxx_bcp_sandbox.part import Launch, Part, Place, Port, http_answers, new_secret, new_uuid

# The machine identities that the stand-in knows: the exporter (`viewer`), the optional second identity that can
# list every project (`admin`), and the one that a restore drill writes with.
_IDENTITIES = ("CLIENT", "ORG_ADMIN_CLIENT", "RESTORE_CLIENT")


def _launch(place: Place) -> Launch:
    argv = (sys.executable, "-m", "raxx_bcp_sandbox.infisical", "--port", str(place.ports["http"]))
    environment = {f"RAXX_SANDBOX_{name}": value for name, value in _identities(place).items()}
    return Launch((*argv, "--seed", "raxx"), environment)


def _identities(place: Place) -> dict[str, str]:
    return {name.removeprefix("INFISICAL_"): value for name, value in place.credentials.items()}


def _environment(place: Place) -> dict[str, str]:
    handed_out = {name: value for name, value in place.credentials.items() if "_RESTORE_" not in name}
    return {"INFISICAL_URL": place.url(), **handed_out}


PART = Part(
    name="infisical",
    title="Infisical (vault stand-in)",
    ports=(Port("http", 8701),),
    credentials={
        f"INFISICAL_{each}_{half}": make
        for each in _IDENTITIES
        for half, make in (("ID", new_uuid), ("SECRET", new_secret))
    },
    launch=_launch,
    answers=http_answers,
    environment=_environment,
    stand_in=True,
)
