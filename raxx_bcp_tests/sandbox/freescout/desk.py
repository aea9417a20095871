"""A help desk of a test's own: a copy of the healthy one's disk, with its MariaDB and its site running."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import requests
import uvicorn

from raxx_bcp_sandbox import freescout
from raxx_bcp_sandbox.freescout import laravel
from raxx_bcp_sandbox.freescout.database import Database
from raxx_bcp_sandbox.freescout.site import Site, create_app
from raxx_bcp_sandbox.mariadb import MariadbServer
from raxx_bcp_tests.faults.freescout_dumps import HealthySet

SECONDS = 10


@dataclass
class Desk:
    """One restored help desk."""

    server: MariadbServer
    root: Path
    url: str

    @property
    def database(self) -> Database:
        """As the site and the queue ask it."""
        return Database(self.root, self.server.socket, self.server.binaries)

    def rows(self, query: str) -> list[list[str]]:
        """Ask the database as its root."""
        return self.server.sql(query, freescout.DATABASE)

    def get(self, path: str, **headers: str) -> requests.Response:
        """One GET, without following where it leads."""
        return requests.get(self.url + path, headers=headers, allow_redirects=False, timeout=SECONDS)

    def status(self, path: str) -> int:
        """The status of one GET."""
        return self.get(path).status_code

    def log_in(self, email: str, password: str, *, token: str | None = None) -> requests.Response:
        """What a browser does: the form, then what was typed into it."""
        with requests.Session() as browser:
            page = browser.get(f"{self.url}/login", timeout=SECONDS).text
            given = page.partition('name="_token" value="')[2].partition('"')[0] if token is None else token
            form = {"_token": given, "email": email, "password": password}
            return browser.post(f"{self.url}/login", data=form, allow_redirects=False, timeout=SECONDS)

    def link(self, number: int = 1, *, key: str = freescout.APP_KEY, kind: int | None = None) -> str:
        """The link of an attachment, with the token that ``key`` makes."""
        ((directory, name, size),) = self.rows(f"SELECT file_dir, file_name, size FROM attachments WHERE id = {number}")  # noqa: S608
        token = laravel.token(key, number, int(size), name, kind)
        return f"/storage/attachment/{directory}{quote(name)}?id={number}&token={token}"


@contextlib.contextmanager
def serving(site: Site) -> Iterator[str]:
    """Serve ``site`` on a port of its own; gives its URL."""
    config = uvicorn.Config(create_app(site), host="127.0.0.1", port=0, log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    socket.listen()  # or the first request may come before uvicorn does
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@contextlib.contextmanager
def restored(healthy: HealthySet, disk: Path) -> Iterator[Desk]:
    """A desk on a copy of the healthy disk."""
    shutil.copytree(healthy.site, disk / freescout.SITE)
    with healthy.server.frozen():
        shutil.copytree(healthy.server.directory, disk / freescout.MARIADB)
    with MariadbServer(disk / freescout.MARIADB, binaries=healthy.server.binaries) as server:
        site = Site(disk / freescout.SITE, Database(disk / freescout.SITE, server.socket, server.binaries))
        with serving(site) as url:
            yield Desk(server, disk / freescout.SITE, url)
