"""A fresh Lightsail stand-in for a test, with a real boto3 client and a clock that the test turns.

``lightsail_lab`` serves it in this process; its time stands still until the test moves it. A module with many tests
saves a quarter of a second each with one ``lightsail_server`` for all of them (fixture ``make_lab``).
``lightsail_process`` starts the real command line; its time runs, from ``now``, and it can be killed.

    with lightsail_lab() as lab:
        lab.client().create_instance_snapshot(instanceName="raxx-vault", instanceSnapshotName="a-snapshot")
        lab.advance(5)
"""

from __future__ import annotations

import functools
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import botocore.session
import requests
from boto3 import Session
from botocore.config import Config
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from raxx_bcp_sandbox.lightsail.__main__ import KEY_VARIABLE, SECRET_VARIABLE
from raxx_bcp_sandbox.lightsail.app import create_app
from raxx_bcp_sandbox.lightsail.bodies import Bodies
from raxx_bcp_sandbox.lightsail.seed import raxx, seed
from raxx_bcp_sandbox.lightsail.signature import AccessKey
from raxx_bcp_sandbox.lightsail.store import Store
from raxx_bcp_sandbox.lightsail.times import parse_utc
from raxx_bcp_sandbox.lightsail.world import PENDING_SECONDS, World
from raxx_bcp_tests.sandbox.infisical.support import serving

if TYPE_CHECKING:
    from types_boto3_lightsail import LightsailClient

NOW = "2031-03-14T06:29:00Z"
"""A minute before the vault's daily snapshot, when FreeScout's backup has ended."""
REGION = "us-east-1"
KEY = AccessKey("AKIALABORATORY000000", "laboratory-secret-0123456789")
_START_SECONDS = 30.0

Plan = Callable[[World], None]


@dataclass
class Lab:
    """A served stand-in. Everything goes over HTTP, so both kinds of lab behave alike."""

    url: str
    store: Path
    world: World | None = None
    """The account itself, where it is served in this process."""
    process: subprocess.Popen[bytes] | None = None
    argv: list[str] = field(default_factory=list)

    def client(
        self, region: str = REGION, *, attempts: int = 1, key: AccessKey = KEY, read_timeout: float = 20.0
    ) -> LightsailClient:
        """A real boto3 client that ignores the developer's AWS profile and files; ``attempts`` 1 never retries."""
        retries: Any = {"mode": "standard", "total_max_attempts": attempts}
        return _session().client(
            "lightsail",
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=key.id,
            aws_secret_access_key=key.secret,
            config=Config(connect_timeout=2, read_timeout=read_timeout, proxies={}, retries=retries),
        )

    def environment(self, region: str = REGION) -> dict[str, str]:
        """What leads boto3, the AWS CLI and the product here."""
        return {
            "AWS_ACCESS_KEY_ID": KEY.id,
            "AWS_SECRET_ACCESS_KEY": KEY.secret,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ENDPOINT_URL_LIGHTSAIL": self.url,
        }

    def now(self) -> datetime:
        """The resources' time."""
        return datetime.fromtimestamp(self._clock("GET")["now"], UTC)

    def advance(self, seconds: float | timedelta) -> None:
        """Let time pass for the resources."""
        amount = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
        self._clock("PUT", {"advance_seconds": amount})

    def set_now(self, iso: str) -> None:
        """Make it ``iso`` (``2031-03-14T06:29:00Z``) for the resources."""
        self._clock("PUT", {"now_utc": iso})

    def fault(self, name: str, on: bool = True) -> None:  # noqa: FBT001
        """Switch a fault."""
        method = "PUT" if on else "DELETE"
        requests.request(method, f"{self.url}/_sandbox/faults/{name}", timeout=10).raise_for_status()

    def _clock(self, method: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = requests.request(method, f"{self.url}/_sandbox/clock", json=body, timeout=30)
        answer.raise_for_status()
        clock: dict[str, Any] = answer.json()
        return clock

    # -- only of a process -------------------------------------------------------------------------------

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=10)

    def start(self) -> None:
        """Start it, again or for the first time, over the same store and port."""
        secrets = {KEY_VARIABLE: KEY.id, SECRET_VARIABLE: KEY.secret}
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[3]), **secrets}
        self.process = subprocess.Popen(self.argv, env=environment)
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            assert self.process.poll() is None, "the stand-in has stopped"
            assert time.monotonic() < deadline, "the stand-in does not answer"
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/_sandbox/clock", timeout=2).ok
        except requests.RequestException:
            return False


class MakeLab(Protocol):
    """Makes a fresh account behind a server that runs already."""

    def __call__(
        self,
        plan: Plan = raxx,
        *,
        now: str = NOW,
        pending_seconds: float = PENDING_SECONDS,
        bodies: Bodies | None = None,
        prefix: str = "",
    ) -> AbstractContextManager[Lab]:
        """Seeded by ``plan``. Time stands still at ``now`` until it is moved."""


class _Switch:
    """Serves whichever account is current: a server takes longer to start and stop than most tests."""

    def __init__(self) -> None:
        self.app: Starlette | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None
        await self.app(scope, receive, send)


@contextmanager
def lightsail_server() -> Iterator[MakeLab]:
    """A server in this process for one lab after another."""
    switch = _Switch()

    @contextmanager
    def make(
        plan: Plan = raxx,
        *,
        now: str = NOW,
        pending_seconds: float = PENDING_SECONDS,
        bodies: Bodies | None = None,
        prefix: str = "",
    ) -> Iterator[Lab]:
        start = parse_utc(now)
        with tempfile.TemporaryDirectory(prefix="lightsail-") as directory:
            path = Path(directory) / "store.sqlite3"
            store = Store(path)
            try:
                world = World(store, bodies=bodies, real=lambda: start, pending_seconds=pending_seconds, prefix=prefix)
                seed(world, plan)
                switch.app = create_app(world, KEY)
                yield Lab(url, path, world=world)
            finally:
                switch.app = None
                store.close()

    with serving(Starlette(routes=[Mount("/", app=switch)])) as url:
        yield make


@contextmanager
def lightsail_lab(
    plan: Plan = raxx, *, now: str = NOW, pending_seconds: float = PENDING_SECONDS, bodies: Bodies | None = None
) -> Iterator[Lab]:
    """A stand-in in this process, seeded by ``plan``. Time stands still at ``now`` until it is moved."""
    with (
        lightsail_server() as make,
        make(plan, now=now, pending_seconds=pending_seconds, bodies=bodies) as lab,
    ):
        yield lab


@contextmanager
def lightsail_process(
    *arguments: str, now: str = NOW, pending_seconds: float = PENDING_SECONDS, store: Path | None = None
) -> Iterator[Lab]:
    """The stand-in as the sandbox starts it, on a port of its own; ``arguments`` such as ``--seed empty``."""
    with tempfile.TemporaryDirectory(prefix="lightsail-") as directory:
        path = store or Path(directory) / "store.sqlite3"
        port = _free_port()
        argv = [sys.executable, "-m", "raxx_bcp_sandbox.lightsail", "--port", str(port), "--store", str(path)]
        lab = Lab(f"http://127.0.0.1:{port}", path)
        lab.argv = [*argv, "--now", now, "--pending-seconds", str(pending_seconds), *arguments]
        try:
            lab.start()
            yield lab
        finally:
            if lab.process is not None and lab.process.poll() is None:
                lab.process.terminate()
                lab.process.wait(timeout=10)


@functools.cache
def _session() -> Session:
    """One for all tests: it keeps the service's model, whose loading takes longer than most tests."""
    quiet = {"profile": (None, None, None, None), "config_file": (None, None, os.devnull, None)}
    return Session(botocore_session=botocore.session.Session(session_vars=quiet))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
