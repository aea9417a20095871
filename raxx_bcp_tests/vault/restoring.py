"""Vaults to restore from and into, with a hand on every call that changes one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from raxx_bcp.clients.infisical import Infisical
from raxx_bcp.clients.infisical_writer import InfisicalWriter
from raxx_bcp.vault import walk
from raxx_bcp.vault.document import PieceReader, pieces
from raxx_bcp.vault.opening import OpenedExport, open_document
from raxx_bcp_sandbox.infisical.app import create_app
from raxx_bcp_sandbox.infisical.faults import VaultFaults
from raxx_bcp_sandbox.infisical.identities import Login, add_identities
from raxx_bcp_sandbox.infisical.seed import SeedClock, blank_world, empty_world, expected_items, raxx_world
from raxx_bcp_sandbox.infisical.world import World
from raxx_bcp_tests.clients.vaults import serving
from raxx_bcp_tests.sandbox.infisical.support import CREDENTIALS, FakeClock

WHEN = datetime(2031, 3, 14, 7, tzinfo=UTC)
assert CREDENTIALS.restore is not None
RESTORE: Login = CREDENTIALS.restore


def plaintext_of(address: str, login: Login = CREDENTIALS.exporter) -> bytes:
    """The document that an export of the vault at ``address`` would encrypt."""
    with Infisical(address, login.client_id, login.client_secret, sleep=lambda _seconds: None) as vault:
        found = walk.survey(vault, walk.memberships(vault), concurrency=2, progress=lambda _message: None)
    return PieceReader(pieces(found, "2031-03-14", WHEN, WHEN)).read()


@dataclass
class Wire:
    """What passed between client and vault. ``fail`` is asked for each write that is about to be made."""

    writes: list[str] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    fail_at: int = -1
    """The number (from 0) of the write that fails; -1: none."""
    after: bool = False
    """The failing write is done, and only its answer is lost."""
    status: int = 503
    largest_bytes: int = 0
    proxy_limit_bytes: int = 0
    """A proxy before the vault answers a larger body with 413; 0: there is none."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fails(self, call: str) -> bool:
        with self.lock:
            self.writes.append(call)
            return len(self.writes) - 1 == self.fail_at


class _Middleware:
    def __init__(self, app: ASGIApp, wire: Wire) -> None:
        self.app, self.wire = app, wire

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = f"{scope.get('method')} {scope.get('path')}"
        if scope["type"] != "http" or "/auth/" in call or call.startswith("GET"):
            self.wire.reads.append(call)
            await self.app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        self.wire.largest_bytes = max(self.wire.largest_bytes, int(length))
        failing = self.wire.fails(call)
        if 0 < self.wire.proxy_limit_bytes < int(length):
            await Response(b"<html>Request Entity Too Large</html>", 413)(scope, receive, send)
            return
        if not failing:
            await self.app(scope, receive, send)
            return

        async def nowhere(_message: Message) -> None:
            pass

        if self.wire.after:
            await self.app(scope, receive, nowhere)
        await Response(b"{}", self.wire.status)(scope, receive, send)


@dataclass
class Target:
    """A served vault and its wire."""

    address: str
    world: World
    faults: VaultFaults
    wire: Wire

    def writer(self, login: Login = RESTORE, prefix: str = "") -> InfisicalWriter:
        return InfisicalWriter(
            self.address,
            login.client_id,
            login.client_secret,
            deletable_prefix=prefix,
            timeout_seconds=20,
            sleep=lambda _seconds: None,
        )

    def document(self) -> OpenedExport:
        """What an export of it holds, read as the restore's own identity."""
        return open_document(plaintext_of(self.address, RESTORE))


@contextmanager
def target(world: World | None = None, *, without: str = "") -> Iterator[Target]:
    """A vault to restore into; empty unless ``world`` is given; ``without`` the routes that begin so."""
    clock = FakeClock()
    world = world or empty_world(CREDENTIALS, clock)
    app = create_app(world, clock=clock, sleep=clock.sleep)
    if without:
        app.router.routes[:] = [one for one in app.router.routes if not getattr(one, "path", "").startswith(without)]
    wire = Wire()
    app.add_middleware(_Middleware, wire=wire)
    with serving(app) as address:
        yield Target(address, world, app.state.faults, wire)


def raxx_plaintext() -> bytes:
    """The document of the seeded vault."""
    with target(raxx_world(CREDENTIALS, FakeClock())) as source:
        return plaintext_of(source.address)


def small_world() -> World:
    """A vault in which every kind of item is there, and few of each: every call of its restore can be broken."""
    world = blank_world(SeedClock())
    exporter, _admin, _restore = add_identities(world, CREDENTIALS)
    owner = world.add_actor("ops@raxx.example", kind="user", org_role="admin")
    for slug in ("raxx-small", "raxx-other"):
        project = world.add_project(
            f"Name of {slug}", slug, creator=owner, description="two", environments=[("Dev", "dev"), ("Prod", "prod")]
        )
        world.add_member(project, exporter, "viewer")
        tag = world.add_tag(project, "critical", "#e03131", owner)
        dev, prod = project.ordered_environments()
        below = world.add_folder(dev, "/a/b", "deep")
        for folder in (dev.folders["/"], below, prod.folders["/"]):
            for key in ("ONE", "TWO"):
                secret = world.add_secret(folder, key, f"rxs_{slug}_{folder.path}_{key}", actor=owner)
                secret.tags = [tag] if key == "ONE" else []
                if (key, folder.path) == ("TWO", "/"):
                    secret.reminder_note, secret.reminder_days = "turn it", 30
        world.add_import(dev.folders["/"], dev, "/a/b")
        world.add_import(dev.folders["/"], prod, "/")
        world.add_import(prod.folders["/"], dev, "/gone")
    return world


def small_plaintext() -> bytes:
    """The document of ``small_world``."""
    with target(small_world()) as source:
        return plaintext_of(source.address)


def restorable_items(world: World) -> list[dict[str, Any]]:
    """What ``world`` holds by its own account, but for what no restore brings back: that a value was rotated."""
    found = expected_items(world)
    for project in found:
        for environment in project["environments"]:
            for secret in environment["secrets"]:
                secret["is_rotated"] = False
                secret["metadata"] = sorted(secret["metadata"], key=str)
    return found
