"""A fresh Heroku stand-in for a test, with real PostgreSQL, on ports of its own.

``heroku_lab`` serves it in this process. The first one of a kind takes four seconds, since production is made and
backed up; later ones take one, since they begin from a copy of it.

    with heroku_lab() as lab:
        lab.fault("heroku-backup-truncated")
        run_the_drill(lab.environment())
        assert lab.databases() == ["production"]
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from raxx_bcp_sandbox.heroku import production
from raxx_bcp_sandbox.heroku.administrator import HEROKU_EXT
from raxx_bcp_sandbox.heroku.app import DATA, Sleep, create_app
from raxx_bcp_sandbox.heroku.faults import KNOWN
from raxx_bcp_sandbox.heroku.production import ROWS
from raxx_bcp_sandbox.heroku.records import Addon
from raxx_bcp_sandbox.heroku.seed import seed
from raxx_bcp_sandbox.heroku.times import parse_utc
from raxx_bcp_sandbox.heroku.world import PRODUCTION, World
from raxx_bcp_sandbox.postgres import Connection, PostgresServer
from raxx_bcp_tests.sandbox.infisical.support import serving

KEY = "laboratory-heroku-key-0123456789abcdef"
PROVISION_SECONDS = 0.3
EXTENSIONS = tuple(f"{HEROKU_EXT}.{name}" for name in production.EXTENSIONS)
"""What a restore of production names."""
HEALTHY_WARNINGS = 7
"""Of a healthy restore: two schemas, the comments of four extensions, an event trigger (contract, Heroku, 11)."""
_TIMEOUT = 60.0


@dataclass
class Lab:
    """A served stand-in. Everything but ``connect`` and ``databases`` goes over HTTP."""

    url: str
    directory: Path
    world: World
    server: PostgresServer
    session: requests.Session = field(default_factory=requests.Session, repr=False)

    @property
    def data_url(self) -> str:
        """The address of the Data API."""
        return self.url + DATA

    def environment(self) -> dict[str, str]:
        """What leads the product here."""
        return {
            "HEROKU_API_KEY": KEY,
            "HEROKU_API_URL": self.url,
            "HEROKU_DATA_URL": self.data_url,
            "PG_BIN": str(self.server.bin),
        }

    # -- calls -------------------------------------------------------------------------------------------

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        """One call with the key; a path of the Data API begins with ``/client/v11``."""
        sent = {"authorization": f"Bearer {KEY}", **headers}
        return self.session.request(method, self.url + path, json=body, headers=sent, timeout=_TIMEOUT)

    def get(self, path: str, **headers: str) -> Any:
        """What a GET answers; fails on an error."""
        answer = self.call("GET", path, **headers)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, body: Any = None) -> Any:
        """What a POST answers; fails on an error."""
        answer = self.call("POST", path, body)
        answer.raise_for_status()
        return answer.json()

    def throwaway(self, name: str) -> dict[str, Any]:
        """A new app with an add-on that is ready; returns the add-on."""
        self.post("/apps", {"name": name})
        plan = {"plan": {"name": "heroku-postgresql:essential-0"}}
        addon: dict[str, Any] = self.post(f"/apps/{name}/addons", plan)
        self.advance(self.world.provision_seconds)
        return addon

    def signed_url(self, number: int, app: str = PRODUCTION) -> str:
        """Where that backup can be fetched."""
        return str(self.post(f"{DATA}/apps/{app}/transfers/{number}/actions/public-url")["url"])

    def newest_backup(self) -> dict[str, Any]:
        """Production's newest good backup, as the Data API lists it."""
        listed = self.get(f"{DATA}/apps/{PRODUCTION}/transfers")
        good = [each for each in listed if each["from_type"] == "pg_dump" and each["succeeded"] is True]
        kept = [each for each in good if each["deleted_at"] is None]
        newest: dict[str, Any] = max(kept, key=lambda each: str(each["finished_at"]))
        return newest

    def restored(self, addon: dict[str, Any], url: str, extensions: Sequence[str] = EXTENSIONS) -> dict[str, Any]:
        """Restore over a database, wait for the end, and return the transfer with its log."""
        body = {"backup_url": url, "extensions": list(extensions)}
        begun = self.post(f"{DATA}/databases/{addon['id']}/restores", body)
        self.world.jobs.wait(begun["uuid"])
        ended: dict[str, Any] = self.get(f"{DATA}/apps/{addon['app']['id']}/transfers/{begun['uuid']}?verbose=true")
        return ended

    # -- the sandbox's own -------------------------------------------------------------------------------

    def fault(self, name: str, on: bool = True) -> None:  # noqa: FBT001
        """Switch a fault."""
        method = "PUT" if on else "DELETE"
        self.session.request(method, f"{self.url}/_sandbox/faults/{name}", timeout=_TIMEOUT).raise_for_status()

    def mend_all(self) -> None:
        """Switch every fault off."""
        for name in KNOWN:
            if self.world.faults.on(name):
                self.fault(name, on=False)

    def now(self) -> datetime:
        """The recorded time."""
        return datetime.fromtimestamp(self._clock("GET")["now"], UTC)

    def advance(self, seconds: float | timedelta) -> None:
        """Let recorded time pass."""
        amount = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
        self._clock("PUT", {"advance_seconds": amount})

    def set_now(self, iso: str) -> None:
        """Make it ``iso`` (``2031-03-14T06:29:00Z``) in what Heroku records."""
        self._clock("PUT", {"now_utc": iso})

    def _clock(self, method: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self.session.request(method, f"{self.url}/_sandbox/clock", json=body, timeout=_TIMEOUT)
        answer.raise_for_status()
        clock: dict[str, Any] = answer.json()
        return clock

    # -- the databases -----------------------------------------------------------------------------------

    def addon(self, app: str = PRODUCTION) -> Addon:
        """The record of an app's database."""
        with self.world.lock:
            return self.world.addons(self.world.app(app))[0]

    def connect(self, app: str = PRODUCTION) -> Connection:
        """A connection to an app's database as its owner, in autocommit mode."""
        return self.world.databases.connect(self.addon(app))

    def databases(self) -> list[str]:
        """What is really there: the apps that own the server's databases, or a database's name when nobody does.

        The stand-in's own scratch databases, in which it makes bad backups, are left out.
        """
        with self.server.connect() as superuser:
            rows = superuser.execute(
                "SELECT datname FROM pg_database WHERE datname !~ '^(template.|postgres|scratch_.*)$'"
            )
            names = [str(row[0]) for row in rows]
        with self.world.lock:
            owners = {each.database: self.world.app(each.app_id).name for each in self.world.addons()}
        return sorted(owners.get(name, name) for name in names)


@contextlib.contextmanager
def heroku_lab(
    *,
    rows: int = ROWS,
    now: str | None = None,
    provision_seconds: float = PROVISION_SECONDS,
    sleep: Sleep = asyncio.sleep,
) -> Iterator[Lab]:
    """A stand-in in this process. Its time runs, from ``now`` (``2031-03-14T06:29:00Z``) or from the real time.

    ``sleep`` is how the fault ``heroku-timeouts`` waits.
    """
    with tempfile.TemporaryDirectory(prefix="heroku-", ignore_cleanup_errors=True) as temporary:
        directory = Path(temporary) / "account"
        subprocess.run(["cp", "-a", str(_made_once(rows, now)), str(directory)], check=True)
        with _running(directory, provision_seconds) as world:
            if now is not None:
                world.clock.set_now(parse_utc(now))
            with serving(create_app(world, KEY, sleep=sleep)) as url, requests.Session() as session:
                session.trust_env = False
                yield Lab(url, directory, world, world.server, session)


@functools.cache
def _made_once(rows: int, now: str | None) -> Path:
    """A stopped account to copy; removed at the end of the process."""
    parent = Path(tempfile.mkdtemp(prefix="heroku-template-"))
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    directory = parent / "account"
    directory.mkdir()
    with _running(directory, PROVISION_SECONDS) as world:
        if now is not None:
            world.clock.set_now(parse_utc(now))
        seed(world, rows)
    return directory


@contextlib.contextmanager
def _running(directory: Path, provision_seconds: float) -> Iterator[World]:
    with PostgresServer(directory / "postgres", free_port()) as server:
        world = World(directory, server, provision_seconds=provision_seconds)
        try:
            yield world
        finally:
            world.close()


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
