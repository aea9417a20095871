"""``python -m raxx_bcp.sandbox.infisical --port N``: serve a seeded vault on 127.0.0.1."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence

from raxx_bcp.sandbox.infisical.app import create_app
from raxx_bcp.sandbox.infisical.identities import Credentials, MissingCredentials, credentials_from
from raxx_bcp.sandbox.infisical.scale import FOLDERS, SECRETS, scale_world
from raxx_bcp.sandbox.infisical.seed import empty_world, raxx_world
from raxx_bcp.sandbox.infisical.world import World
from raxx_bcp.sandbox.stand_in import serve


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(prog="python -m raxx_bcp.sandbox.infisical", description=__doc__)
    command.add_argument("--port", type=int, required=True)
    command.add_argument("--seed", choices=("raxx", "empty", "scale"), default="raxx")
    command.add_argument("--secrets", type=int, default=SECRETS, help="how many, with --seed scale")
    command.add_argument("--folders", type=int, default=FOLDERS, help="per environment, with --seed scale")
    command.add_argument("--rate-limited", action="store_true", help="with the cloud's rate limits")
    return command


def world_for(seed: str, credentials: Credentials, *, secrets: int, folders: int) -> World:
    """The world that the command line asks for."""
    if seed == "scale":
        return scale_world(credentials, secrets, folders)
    return raxx_world(credentials) if seed == "raxx" else empty_world(credentials)


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> None:
    """Serve until SIGINT or SIGTERM. Without the exporter's credentials: one sentence, exit code 2."""
    command = parser()
    options = command.parse_args(arguments)
    try:
        credentials = credentials_from(environment)
    except MissingCredentials as error:
        command.exit(2, f"{error}\n")
    world = world_for(options.seed, credentials, secrets=options.secrets, folders=options.folders)
    serve(create_app(world, rate_limited=options.rate_limited), options.port)


if __name__ == "__main__":
    main()
