"""An instance's disk with a FreeScout on it: its directory ``site``, and MariaDB's data in ``mariadb``."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Final

from raxx_bcp_sandbox.freescout import schema, tree
from raxx_bcp_sandbox.freescout.rows import HelpDesk, literal
from raxx_bcp_sandbox.freescout.seed import APP_KEY, DATABASE, DATABASE_USER, database_password, help_desk
from raxx_bcp_sandbox.mariadb import MariadbBinaries, MariadbServer

SITE: Final = "site"
MARIADB: Final = "mariadb"
_PACKAGE: Final = "raxx_bcp_sandbox.freescout"


def install(
    disk: Path,
    now: datetime,
    *,
    app_key: str = APP_KEY,
    version: str = schema.VERSION,
    jobs_due: datetime | None = None,
    binaries: MariadbBinaries | None = None,
    cache: Path | None = None,
) -> None:
    """Fill ``disk`` with the help desk as of ``now`` (aware): about a second. No server runs afterwards.

    The queued jobs fall due at ``jobs_due``, or at once. Raises ``UsageError`` where MariaDB is not available.
    """
    desk = help_desk(now, app_key=app_key, version=version, jobs_due=jobs_due)
    with MariadbServer(disk / MARIADB, binaries=binaries, cache=cache) as server:
        fill(server, desk)
    tree.write(disk / SITE, desk.files, app_key=app_key, version=version)


def fill(server: MariadbServer, desk: HelpDesk, database: str = DATABASE) -> None:
    """Recreate ``database`` with all rows of ``desk``, and the user that the site logs in with."""
    server.sql(f"DROP DATABASE IF EXISTS `{database}`; CREATE DATABASE `{database}`")
    server.load(desk.statements(), database)
    user, password = f"{literal(DATABASE_USER)}@'localhost'", literal(database_password())
    server.sql(
        f"CREATE OR REPLACE USER {user} IDENTIFIED BY {password}; GRANT ALL PRIVILEGES ON `{database}`.* TO {user}"
    )


def site_argv(address: str, port: int, root: Path, socket: Path) -> list[str]:
    """The command line that serves the site in ``root`` on ``address``."""
    options = {"address": address, "port": port, "root": root, "socket": socket}
    return [sys.executable, "-m", f"{_PACKAGE}.site", *(f"--{name}={value}" for name, value in options.items())]


def worker_argv(
    root: Path, socket: Path, smtp: str, firewall: Path | None = None, *, every_seconds: float | None = None
) -> list[str]:
    """The command line of the program that does what cron and the queue do, once or ``every_seconds``.

    ``pgrep -f artisan`` finds it.
    """
    options = {"root": root, "socket": socket, "smtp": smtp, "firewall": firewall, "every-seconds": every_seconds}
    given = [f"--{name}={value}" for name, value in options.items() if value is not None]
    return [sys.executable, "-m", f"{_PACKAGE}.worker", *given, "artisan", "schedule:run", "queue:work"]
