"""How the site and the queue query their database: as the user in ``.env``, over the host's socket."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from raxx_bcp_sandbox.freescout import env
from raxx_bcp_sandbox.freescout.rows import Value, literal
from raxx_bcp_sandbox.mariadb import MariadbBinaries

_SECONDS: Final = 30


class DatabaseError(Exception):
    """The database is down, refuses the login, or refuses the statement. FreeScout then shows only a 500."""


class Database:
    """The database of the FreeScout in ``root``."""

    def __init__(self, root: Path, socket: Path, binaries: MariadbBinaries) -> None:
        self._root = root
        self._socket = socket
        self._binaries = binaries

    def rows(self, statement: str, *values: Value) -> list[list[str]]:
        """The rows of a statement whose ``{}`` are replaced by ``values``.

        Select text that may hold any byte through HEX().
        """
        settings = env.read(self._root)
        options = ("--batch", "--raw", "--skip-column-names", "--skip-print-query-on-error", "--connect-timeout=5")
        where = (f"--socket={self._socket}", f"--user={settings.get('DB_USERNAME', '')}")
        argv = [str(self._binaries.client), "--no-defaults", *where, "--default-character-set=utf8mb4", *options]
        try:
            done = subprocess.run(
                [*argv, settings.get("DB_DATABASE", "")],
                env=self._binaries.environment() | {"MYSQL_PWD": settings.get("DB_PASSWORD", "")},
                input=statement.format(*(literal(value) for value in values)).encode(),
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise DatabaseError from error
        if done.returncode != 0:
            raise DatabaseError
        return [line.split("\t") for line in done.stdout.decode(errors="replace").split("\n")[:-1]]
