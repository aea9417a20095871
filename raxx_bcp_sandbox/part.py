"""What a part of the sandbox is: how it starts, how its readiness is checked, and how it can be broken.

A new stand-in is one module in ``parts/`` that builds a ``Part``, and one line in ``parts/__init__.py``.
This is all that the supervisor knows about a part.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import requests

from raxx_bcp_sandbox.stand_in import LOOPBACK


def never(_number: int) -> bool:
    """No number is blocked."""
    return False


@dataclass(frozen=True)
class Port:
    """One TCP port on loopback that a part listens on.

    ``twin`` is for programs that use a second port by themselves, at a fixed distance from this one: a number is chosen
    only when both are free. ``blocked`` returns whether the program could not use a number although it is free.
    """

    name: str
    preferred: int
    twin: int = 0
    blocked: Callable[[int], bool] = never


@dataclass(frozen=True)
class Place:
    """One part's place: its directory, its ports, and the sandbox's own credentials."""

    state_dir: Path
    part: str
    ports: Mapping[str, int] = field(default_factory=dict)
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def directory(self) -> Path:
        """The part's own directory, kept from one start to the next."""
        return self.state_dir / self.part

    def url(self, port: str = "http") -> str:
        """The address of ``port``, without a slash at the end."""
        return f"http://{LOOPBACK}:{self.ports[port]}"


@dataclass(frozen=True)
class Launch:
    """A command line and what is added to its environment. Secrets go into the environment, never into argv."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


def nothing(_place: Place) -> None:
    """Nothing to do."""


def nothing_kept() -> None:
    """Nothing is kept outside the state directory."""


def always(_place: Place) -> bool:
    """True: for parts without a process."""
    return True


def no_variables(_place: Place) -> dict[str, str]:
    """No environment variables."""
    return {}


@dataclass(frozen=True)
class Fault:
    """A failure that the product must detect. ``shows`` says in one sentence what goes wrong.

    ``apply`` and ``undo`` must be safe to run twice. ``stops_part`` means that the fault is a stopped part: the
    supervisor stops it, keeps it down, and starts it again when the fault is switched off.
    """

    name: str
    shows: str
    apply: Callable[[Place], None] = nothing
    undo: Callable[[Place], None] = nothing
    stops_part: bool = False


@dataclass(frozen=True)
class Part:
    """One outside system of Raxx, on loopback."""

    name: str
    title: str
    ports: tuple[Port, ...] = ()
    credentials: Mapping[str, Callable[[], str]] = field(default_factory=dict)
    """The secrets that this part needs, each with the function that makes it at the first ``up``."""
    launch: Callable[[Place], Launch] | None = None
    """How it starts; None when it has no process."""
    prepare: Callable[[Place], None] = nothing
    """Files that must be there before the start. Runs at every ``up``; must be safe to run again."""
    answers: Callable[[Place], bool] = always
    """Is it ready? Called often: must be quick, and return False instead of raising an exception."""
    fill: Callable[[Place], None] = nothing
    """Adds seed data once it answers. Must leave existing data alone."""
    environment: Callable[[Place], Mapping[str, str]] = no_variables
    """What ``raxx-bcp sandbox env`` says about it."""
    faults: tuple[Fault, ...] = ()
    stand_in: bool = False
    """It also offers the faults that its ``/_sandbox/faults`` lists (see ``stand_in.Faults``)."""
    tidy: Callable[[Place], None] = nothing
    """Removes what the program leaves behind outside the state directory. Runs after it has stopped."""
    forget: Callable[[], None] = nothing_kept
    """Removes what is stored for the next start outside the state directory and nobody uses.

    Runs at ``down --purge``.
    """

    def place(self, state_dir: Path, ports: Mapping[str, int], credentials: Mapping[str, str]) -> Place:
        """This part's place in a sandbox, holding only the credentials that it asked for."""
        own = {name: credentials[name] for name in self.credentials if name in credentials}
        return Place(state_dir, self.name, dict(ports), own)


def new_uuid() -> str:
    """A random client id, shaped like Infisical's."""
    return str(uuid.uuid4())


def new_secret() -> str:
    """A random secret of 256 bits."""
    return secrets.token_hex(32)


_session = requests.Session()
_session.trust_env = False  # a proxy or a .netrc of the developer must not apply on loopback
_TIMEOUT = (1.0, 1.0)


def http_answers(place: Place, path: str = "/_sandbox/faults") -> bool:
    """Does the part answer 200 at ``path``?"""
    try:
        return _session.get(place.url() + path, timeout=_TIMEOUT).status_code == HTTPStatus.OK
    except requests.RequestException:
        return False


def stand_in_faults(place: Place) -> dict[str, str]:
    """The faults that a running stand-in offers, by name; empty when it does not answer."""
    try:
        answer = _session.get(place.url() + "/_sandbox/faults", timeout=_TIMEOUT)
        answer.raise_for_status()
        known = answer.json()["known"]
    except (requests.RequestException, KeyError, TypeError):
        return {}
    return {str(name): str(shows) for name, shows in known.items()}


def switch_stand_in_fault(place: Place, name: str, *, on: bool) -> bool:
    """Switch a stand-in's fault; return False when it did not answer or does not know it."""
    try:
        method = "PUT" if on else "DELETE"
        answer = _session.request(method, f"{place.url()}/_sandbox/faults/{name}", timeout=_TIMEOUT)
    except requests.RequestException:
        return False
    return answer.status_code == HTTPStatus.OK
