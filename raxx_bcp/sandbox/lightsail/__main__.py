"""``python -m raxx_bcp.sandbox.lightsail --port N``: serve the account in ``--store`` on 127.0.0.1."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from raxx_bcp.sandbox.lightsail.app import create_app
from raxx_bcp.sandbox.lightsail.seed import SNAPSHOTS, empty, in_use, raxx, scale, seed
from raxx_bcp.sandbox.lightsail.signature import AccessKey
from raxx_bcp.sandbox.lightsail.store import Store
from raxx_bcp.sandbox.lightsail.times import parse_utc
from raxx_bcp.sandbox.lightsail.world import PENDING_SECONDS, World
from raxx_bcp.sandbox.stand_in import serve

KEY_VARIABLE = "RAXX_SANDBOX_AWS_ACCESS_KEY_ID"
SECRET_VARIABLE = "RAXX_SANDBOX_AWS_SECRET_ACCESS_KEY"  # noqa: S105 - the name of a variable


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(prog="python -m raxx_bcp.sandbox.lightsail", description=__doc__)
    command.add_argument("--port", type=int, required=True)
    command.add_argument("--store", type=Path, default=Path("lightsail.sqlite3"), help="where the account is kept")
    command.add_argument("--seed", choices=("raxx", "in-use", "empty", "scale"), default="raxx", help="of a new store")
    command.add_argument("--snapshots", type=int, default=SNAPSHOTS, help="how many more, with --seed scale")
    command.add_argument(
        "--pending-seconds", type=float, default=PENDING_SECONDS, help="how long snapshots and instances take"
    )
    command.add_argument(
        "--now", type=parse_utc, help="what time it is when a new store is opened, such as 2031-03-14T06:29:00Z"
    )
    return command


def plan_for(name: str, snapshots: int) -> Callable[[World], None]:
    """The seed that the command line asks for."""
    if name == "scale":
        return scale(snapshots)
    return {"raxx": raxx, "in-use": in_use}.get(name, empty)


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> None:
    """Serve until SIGINT or SIGTERM. Without an access key to accept: one sentence, exit code 2."""
    command = parser()
    options = command.parse_args(arguments)
    key = AccessKey(environment.get(KEY_VARIABLE, ""), environment.get(SECRET_VARIABLE, ""))
    if not key.id or not key.secret:
        command.exit(2, f"{KEY_VARIABLE} and {SECRET_VARIABLE} must be set: they hold the access key to accept.\n")
    world = World(Store(options.store), pending_seconds=options.pending_seconds)
    if options.now is not None and not world.clock.was_set:
        world.clock.set_now(options.now)
    seed(world, plan_for(options.seed, options.snapshots))
    serve(create_app(world, key), options.port)


if __name__ == "__main__":
    main()
