"""The served Raxx vault with a look over its shoulder: which calls came in, and answers swapped by path."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from raxx_bcp.clients.infisical import Infisical
from raxx_bcp_sandbox.infisical.app import create_app
from raxx_bcp_sandbox.infisical.identities import Login
from raxx_bcp_sandbox.infisical.seed import raxx_world
from raxx_bcp_sandbox.infisical.world import World
from raxx_bcp_tests.sandbox.infisical.support import CREDENTIALS, LOGIN, FakeClock, Vault

REVOKE = "/api/v1/auth/token/revoke"
SECRETS = "/api/v4/secrets"


@dataclass
class Watch:
    """What was called, as ``GET /path`` without the query, and what to answer instead of the vault."""

    calls: list[str] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    instead: dict[str, tuple[int, bytes, str]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, path: str, body: bytes, status: int = 200, content_type: str = "application/json") -> None:
        self.instead[path] = (status, body, content_type)

    def count(self, call: str) -> int:
        with self.lock:
            return self.calls.count(call)

    @property
    def logins(self) -> int:
        return self.count(f"POST {LOGIN}")


class _Middleware:
    def __init__(self, app: ASGIApp, watch: Watch) -> None:
        self.app, self.watch = app, watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            with self.watch.lock:
                self.watch.calls.append(f"{scope['method']} {scope['path']}")
                self.watch.queries.append(f"{scope['path']}?{scope['query_string'].decode()}")
            swapped = self.watch.instead.get(scope["path"])
            if swapped is not None:
                status, body, content_type = swapped
                await Response(body, status, media_type=content_type)(scope, receive, send)
                return
        await self.app(scope, receive, send)


@dataclass
class WatchedVault(Vault):
    watch: Watch = field(default_factory=Watch)

    @property
    def exporter_id(self) -> str:
        assert self.world.exporter_id is not None
        return self.world.exporter_id

    def limit_token_uses(self, uses: int) -> None:
        """Let each access token of the exporter be used so often; 0: without limit."""
        auth = self.world.actors[self.exporter_id].auth
        assert auth is not None
        auth.token_uses_limit = uses

    def client(self, who: Login | None = None, *, slept: list[float] | None = None) -> Infisical:
        """A client that is not logged in yet; it only notes how long it would have slept."""
        login = who or CREDENTIALS.exporter
        waits: list[float] = [] if slept is None else slept
        return Infisical(self.address, login.client_id, login.client_secret, timeout_seconds=10, sleep=waits.append)


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    """Serve ``app`` in a thread; gives its address. The server ends by itself soon after: nobody waits for it."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    config = uvicorn.Config(app, log_level="error", access_log=False, lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True


@contextmanager
def watched_vault(world: World | None = None, *, without: str = "") -> Iterator[WatchedVault]:
    """The seeded vault, served and watched; ``without`` one route, as an older server is."""
    clock = FakeClock()
    world = world or raxx_world(CREDENTIALS, clock)
    app = create_app(world, clock=clock, sleep=clock.sleep)
    app.router.routes[:] = [
        route for route in app.router.routes if getattr(route, "path", "") != without or not without
    ]
    watch = Watch()
    app.add_middleware(_Middleware, watch=watch)
    with serving(app) as address:
        yield WatchedVault(address, world, app.state.faults, clock, app.state.authority, watch=watch)
