"""``python -m raxx_bcp_sandbox.lightsail --port N``: serve the account in ``--store`` on 127.0.0.1."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn

from raxx_bcp.errors import BcpError, UsageError
from raxx_bcp_sandbox.hosts import network
from raxx_bcp_sandbox.hosts.bodies import HostBodies
from raxx_bcp_sandbox.hosts.kinds import Furnishings
from raxx_bcp_sandbox.hosts.machine import Settings
from raxx_bcp_sandbox.lightsail.app import create_app
from raxx_bcp_sandbox.lightsail.bodies import Bodies, NoBodies
from raxx_bcp_sandbox.lightsail.faults import LightsailFaults
from raxx_bcp_sandbox.lightsail.seed import SNAPSHOTS, empty, in_use, raxx, scale, seed
from raxx_bcp_sandbox.lightsail.signature import AccessKey
from raxx_bcp_sandbox.lightsail.store import Store
from raxx_bcp_sandbox.lightsail.times import ResourceClock, parse_utc
from raxx_bcp_sandbox.lightsail.world import PENDING_SECONDS, World
from raxx_bcp_sandbox.stand_in import LOOPBACK

KEY_VARIABLE = "RAXX_SANDBOX_AWS_ACCESS_KEY_ID"
SECRET_VARIABLE = "RAXX_SANDBOX_AWS_SECRET_ACCESS_KEY"  # noqa: S105 - the name of a variable
VAULT_VARIABLES: Final = "RAXX_SANDBOX_"
"""The prefix of the variables that hold the identities of the vault's stand-in."""
_GRACE_SECONDS: Final = 2
_log = logging.getLogger(__name__)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(prog="python -m raxx_bcp_sandbox.lightsail", description=__doc__)
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
    command.add_argument(
        "--hosts", type=Path, help="where disks, processes and mail of the instances are kept; without: records only"
    )
    command.add_argument(
        "--cron-seconds", type=float, default=Settings.cron_first_seconds, help="from an instance's boot to its cron"
    )
    return command


def plan_for(name: str, snapshots: int) -> Callable[[World], None]:
    """The seed that the command line asks for."""
    if name == "scale":
        return scale(snapshots)
    return {"raxx": raxx, "in-use": in_use}.get(name, empty)


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> None:
    """Serve until SIGINT or SIGTERM. Without an access key to accept it prints one sentence and exits with 2."""
    command = parser()
    options = command.parse_args(arguments)
    key = AccessKey(environment.get(KEY_VARIABLE, ""), environment.get(SECRET_VARIABLE, ""))
    if not key.id or not key.secret:
        command.exit(2, f"{KEY_VARIABLE} and {SECRET_VARIABLE} must be set: they hold the access key to accept.\n")
    signal.signal(signal.SIGTERM, _leave)
    try:
        _serve(options, key, environment)
    except BcpError as error:
        command.exit(error.exit_code, f"{error}\n")


def _serve(options: argparse.Namespace, key: AccessKey, environment: Mapping[str, str]) -> None:
    store, faults = Store(options.store), LightsailFaults()
    clock = ResourceClock(store)
    if options.now is not None and not clock.was_set:
        clock.set_now(options.now)
    with _bodies(options, clock, faults, environment) as (bodies, prefix):
        world = World(store, bodies=bodies, faults=faults, pending_seconds=options.pending_seconds, prefix=prefix)
        seed(world, plan_for(options.seed, options.snapshots))
        uvicorn.run(
            create_app(world, key),
            host=LOOPBACK,
            port=options.port,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )


@contextlib.contextmanager
def _bodies(
    options: argparse.Namespace, clock: ResourceClock, faults: LightsailFaults, environment: Mapping[str, str]
) -> Iterator[tuple[Bodies, str]]:
    """The instances' bodies, and the prefix of their addresses; without addresses, instances are records only."""
    if options.hosts is None:
        yield NoBodies(), ""
        return
    options.hosts.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        net = network.choose(options.hosts)
    except UsageError as error:
        _log.warning("%s", error)
        yield NoBodies(str(error)), ""
        return
    ours = {name: value for name, value in environment.items() if name.startswith(VAULT_VARIABLES)}
    variables = {name: value for name, value in ours.items() if name not in (KEY_VARIABLE, SECRET_VARIABLE)}
    settings = Settings(cron_first_seconds=options.cron_seconds)
    bodies = HostBodies(
        options.hosts, net, Furnishings(variables), now=clock.now, quirk_on=faults.on, settings=settings
    )
    try:
        yield bodies, net.prefix
    finally:
        bodies.close()


def _leave(_number: int, _frame: FrameType | None) -> None:
    """Exit through every ``finally``: no instance may outlive us. uvicorn raises the signal again when it ends."""
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    main()
