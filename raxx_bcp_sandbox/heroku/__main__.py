"""``python -m raxx_bcp_sandbox.heroku``: serve the account in ``--directory``, with its PostgreSQL, on 127.0.0.1."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn

from raxx_bcp.errors import BcpError
from raxx_bcp_sandbox.heroku.app import create_app
from raxx_bcp_sandbox.heroku.production import ROWS
from raxx_bcp_sandbox.heroku.seed import seed
from raxx_bcp_sandbox.heroku.times import parse_utc
from raxx_bcp_sandbox.heroku.world import PROVISION_SECONDS, World
from raxx_bcp_sandbox.postgres import PostgresServer
from raxx_bcp_sandbox.stand_in import LOOPBACK

KEY_VARIABLE: Final = "RAXX_SANDBOX_HEROKU_API_KEY"
POSTGRES: Final = "postgres"
_GRACE_SECONDS: Final = 2
"""How long a call may continue after SIGTERM: the fault ``heroku-timeouts`` holds calls for longer."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(prog="python -m raxx_bcp_sandbox.heroku", description=__doc__)
    command.add_argument("--port", type=int, required=True)
    command.add_argument("--postgres-port", type=int, required=True)
    command.add_argument("--directory", type=Path, required=True, help="where the account and its databases are kept")
    command.add_argument("--rows", type=int, default=ROWS, help="of production, all tables together, when it is new")
    command.add_argument("--provision-seconds", type=float, default=PROVISION_SECONDS, help="of a new database")
    command.add_argument("--now", type=parse_utc, help="what time a new account begins at: 2031-03-14T06:29:00Z")
    return command


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> None:
    """Serve until SIGINT or SIGTERM.

    Without a key to accept, or without PostgreSQL, it prints one sentence and exits with 2.
    """
    signal.signal(signal.SIGTERM, _leave)
    command = parser()
    options = command.parse_args(arguments)
    key = environment.get(KEY_VARIABLE, "")
    if not key:
        command.exit(2, f"{KEY_VARIABLE} is not set: it holds the API key to accept.\n")
    try:
        _serve(options, key)
    except BcpError as error:
        command.exit(error.exit_code, f"{error}\n")


def _serve(options: argparse.Namespace, key: str) -> None:
    options.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with PostgresServer(options.directory / POSTGRES, options.postgres_port) as server:
        world = World(options.directory, server, provision_seconds=options.provision_seconds)
        try:
            if options.now is not None and not world.apps():
                world.clock.set_now(options.now)
            seed(world, options.rows)
            uvicorn.run(
                create_app(world, key),
                host=LOOPBACK,
                port=options.port,
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        finally:
            world.close()


def _leave(_number: int, _frame: FrameType | None) -> None:
    """Exit through every ``finally``: PostgreSQL must not outlive us. uvicorn raises the signal again when it ends."""
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    main()
