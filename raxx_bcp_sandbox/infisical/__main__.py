"""``python -m raxx_bcp_sandbox.infisical --port N``: serve a vault on loopback, seeded or from a saved file."""

from __future__ import annotations

import argparse
import ipaddress
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from raxx_bcp_sandbox.infisical.app import create_app, create_broken_app
from raxx_bcp_sandbox.infisical.identities import Credentials, MissingCredentials, credentials_from
from raxx_bcp_sandbox.infisical.saved import SavedWorldError, load_world, save_world
from raxx_bcp_sandbox.infisical.scale import FOLDERS, SECRETS, scale_world
from raxx_bcp_sandbox.infisical.seed import empty_world, raxx_world
from raxx_bcp_sandbox.infisical.world import World
from raxx_bcp_sandbox.stand_in import LOOPBACK


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(prog="python -m raxx_bcp_sandbox.infisical", description=__doc__)
    command.add_argument("--port", type=int, help="needed, unless with --save")
    command.add_argument("--address", type=loopback, default=LOOPBACK, help="any address of 127.0.0.0/8")
    command.add_argument("--seed", choices=("raxx", "empty", "scale"), default="raxx")
    command.add_argument("--secrets", type=int, default=SECRETS, help="how many, with --seed scale")
    command.add_argument("--folders", type=int, default=FOLDERS, help="per environment, with --seed scale")
    command.add_argument("--rate-limited", action="store_true", help="with the cloud's rate limits")
    command.add_argument("--load", type=Path, metavar="FILE", help="serve the vault that this file holds")
    command.add_argument("--save", type=Path, metavar="FILE", help="write the seeded vault to this file, and end")
    return command


def loopback(address: str) -> str:
    """``address``, if it is a loopback address: the stand-in never listens on a network."""
    try:
        inside = ipaddress.ip_address(address).is_loopback
    except ValueError:
        inside = False
    if not inside:
        raise argparse.ArgumentTypeError(f"{address} is not a loopback address")
    return address


def world_for(seed: str, credentials: Credentials, *, secrets: int, folders: int) -> World:
    """The world that the command line asks for."""
    if seed == "scale":
        return scale_world(credentials, secrets, folders)
    return raxx_world(credentials) if seed == "raxx" else empty_world(credentials)


def app_of(file: Path, *, rate_limited: bool) -> Starlette:
    """The vault in ``file``. Without a usable file it answers like a vault whose database is gone."""
    try:
        return create_app(load_world(file), rate_limited=rate_limited)
    except SavedWorldError as error:
        return create_broken_app(str(error))


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> None:
    """Serve until SIGINT or SIGTERM. Without the exporter's credentials it prints one sentence and exits with 2.

    With ``--load`` the file has its own identities, and no credentials are needed.
    """
    command = parser()
    options = command.parse_args(arguments)
    if (options.port is None) == (options.save is None):
        command.error("give --port to serve the vault, or --save to write it to a file")
    if options.load is not None:
        app = app_of(options.load, rate_limited=options.rate_limited)
    else:
        try:
            credentials = credentials_from(environment)
        except MissingCredentials as error:
            command.exit(2, f"{error}\n")
        world = world_for(options.seed, credentials, secrets=options.secrets, folders=options.folders)
        if options.save is not None:
            save_world(world, options.save)
            return
        app = create_app(world, rate_limited=options.rate_limited)
    uvicorn.run(
        app, host=options.address, port=options.port, log_level="warning", access_log=False, server_header=False
    )


if __name__ == "__main__":
    main()
