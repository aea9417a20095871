"""The throwaway vault: a second, empty Infisical stand-in that the export drill restores into."""

from __future__ import annotations

import sys

from raxx_bcp_sandbox.part import (
    Fault,
    Launch,
    Part,
    Place,
    Port,
    http_answers,
    new_secret,
    new_uuid,
    switch_stand_in_fault,
)

# Its writer has the organisation role `member`. The reader is the identity that every stand-in must have; it is handed
# to nobody.
_WRITER = "INFISICAL_DRILL_CLIENT"
_READER = "INFISICAL_DRILL_READER_CLIENT"


def _launch(place: Place) -> Launch:
    argv = (sys.executable, "-m", "raxx_bcp_sandbox.infisical", "--port", str(place.ports["http"]), "--seed", "empty")
    environment = {
        f"RAXX_SANDBOX_{role}CLIENT_{half}": place.credentials[f"{name}_{half}"]
        for role, name in (("RESTORE_", _WRITER), ("", _READER))
        for half in ("ID", "SECRET")
    }
    return Launch(argv, environment)


def _environment(place: Place) -> dict[str, str]:
    writer = {name: value for name, value in place.credentials.items() if name.startswith(_WRITER)}
    return {"INFISICAL_DRILL_URL": place.url(), **writer}


def _approvals(place: Place, *, on: bool) -> None:
    switch_stand_in_fault(place, "vault-approvals", on=on)


# They have their own names: the vault itself has faults of the same kind.
_FAULTS = (
    Fault("drill-vault-down", "The throwaway vault does not run: no export can be restored into it.", stops_part=True),
    Fault(
        "drill-vault-approvals",
        "An approval policy watches the throwaway vault: writing secrets answers 200, and nothing is written.",
        apply=lambda place: _approvals(place, on=True),
        undo=lambda place: _approvals(place, on=False),
    ),
)

PART = Part(
    name="infisical-drill",
    title="Infisical (throwaway vault)",
    ports=(Port("http", 8707),),
    credentials={
        f"{name}_{half}": make
        for name in (_WRITER, _READER)
        for half, make in (("ID", new_uuid), ("SECRET", new_secret))
    },
    launch=_launch,
    answers=http_answers,
    environment=_environment,
    faults=_FAULTS,
)
