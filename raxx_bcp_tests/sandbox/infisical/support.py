"""A stand-in on a free port, and a clock that moves only when it is told to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
import uvicorn
from starlette.applications import Starlette

from raxx_bcp_sandbox.infisical.app import create_app
from raxx_bcp_sandbox.infisical.auth import Authority
from raxx_bcp_sandbox.infisical.faults import VaultFaults
from raxx_bcp_sandbox.infisical.identities import Credentials, Login
from raxx_bcp_sandbox.infisical.seed import raxx_world
from raxx_bcp_sandbox.infisical.world import World

NOW = 1_800_000_000.0
LOGIN = "/api/v1/auth/universal-auth/login"
CREDENTIALS = Credentials(
    exporter=Login("exporter-client-id", "exporter-client-secret-0123456789"),
    org_admin=Login("org-admin-client-id", "org-admin-client-secret-0123456789"),
    restore=Login("restore-client-id", "restore-client-secret-0123456789"),
)


@dataclass
class FakeClock:
    """Seconds since the epoch; ``sleep`` only notes what it was asked for."""

    now: float = NOW
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    """Serve ``app`` in a thread; gives its address. Connections wait in the backlog until it is up."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


@dataclass
class Vault:
    """A served world and the session that talks to it."""

    address: str
    world: World
    faults: VaultFaults
    clock: FakeClock
    authority: Authority
    session: requests.Session = field(default_factory=requests.Session)

    def login(self, who: Login | None = None) -> requests.Response:
        login = who or CREDENTIALS.exporter
        body = {"clientId": login.client_id, "clientSecret": login.client_secret}
        return self.session.post(self.address + LOGIN, json=body, timeout=10)

    def token(self, who: Login | None = None) -> str:
        return str(self.login(who).json()["accessToken"])

    def get(self, path: str, token: str, /, **query: object) -> requests.Response:
        headers = {"authorization": f"Bearer {token}"}
        parameters = {name: str(value) for name, value in query.items()}
        return self.session.get(self.address + path, headers=headers, params=parameters, timeout=10)

    def post(self, path: str, token: str, body: Mapping[str, Any]) -> requests.Response:
        headers = {"authorization": f"Bearer {token}"}
        return self.session.post(self.address + path, headers=headers, json=body, timeout=10)

    def patch(self, path: str, token: str, body: Mapping[str, Any]) -> requests.Response:
        headers = {"authorization": f"Bearer {token}"}
        return self.session.patch(self.address + path, headers=headers, json=body, timeout=10)

    def project_id(self, slug: str) -> str:
        project = self.world.project_by_slug(slug)
        assert project is not None
        return project.id

    def secrets(self, slug: str, environment: str, token: str, /, **query: object) -> requests.Response:
        parameters: dict[str, object] = {
            "projectId": self.project_id(slug),
            "environment": environment,
            "secretPath": "/",
            "recursive": "true",
            "expandSecretReferences": "false",
            "includeImports": "false",
        }
        return self.get("/api/v4/secrets", token, **{**parameters, **query})


@contextmanager
def raxx_vault(world: World | None = None) -> Iterator[Vault]:
    """The seeded vault, served."""
    clock = FakeClock()
    world = world or raxx_world(CREDENTIALS, clock)
    app = create_app(world, clock=clock, sleep=clock.sleep)
    with serving(app) as address:
        yield Vault(address, world, app.state.faults, clock, app.state.authority)
