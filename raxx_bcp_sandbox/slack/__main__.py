"""``python -m raxx_bcp_sandbox.slack --port N``: serve the sink on 127.0.0.1."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from raxx_bcp_sandbox.slack.app import create_app
from raxx_bcp_sandbox.slack.store import Store
from raxx_bcp_sandbox.stand_in import serve

TOKEN_VARIABLE = "RAXX_SANDBOX_SLACK_TOKEN"  # noqa: S105 - the name of a variable


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(prog="python -m raxx_bcp_sandbox.slack", description=__doc__)
    command.add_argument("--port", type=int, required=True)
    command.add_argument("--store", type=Path, default=Path("slack-messages.jsonl"), help="where messages are kept")
    return command


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> None:
    """Serve until SIGINT or SIGTERM. Without a bot token to accept it prints one sentence and exits with 2."""
    command = parser()
    options = command.parse_args(arguments)
    token = environment.get(TOKEN_VARIABLE, "")
    if not token:
        command.exit(2, f"{TOKEN_VARIABLE} is not set: it holds the bot token to accept.\n")
    serve(create_app(Store(options.store), token), options.port)


if __name__ == "__main__":
    main()
