"""raxx-bcp: every capability without Dagster, for the day when Dagster itself is lost.

This module only assembles. Each group is in ``raxx_bcp.commands``. The two commands of the local Raxx are in
``raxx_bcp_sandbox``, which is imported by name and is not part of production's installation. No command imports
Dagster except ``demo``, which needs it.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Sequence
from typing import Any, Final

import click

from raxx_bcp import __version__

_SANDBOX: Final = "raxx_bcp_sandbox"
"""The local Raxx: beside the product in a clone, and in no wheel of it."""
_COMMANDS: Final = {
    "demo": (f"{_SANDBOX}.commands.demo", "Bring the local sandbox up, run the main job once, open the UI."),
    "drill": ("raxx_bcp.commands.drill", "D4: restore a backup into something throwaway, compare, record."),
    "doctor": ("raxx_bcp.commands.doctor", "What can this machine see and do, and what not? With each remedy."),
    "evidence": ("raxx_bcp.commands.evidence", "D4: the record of restore drills, and the gate of each BCP card."),
    "freescout": ("raxx_bcp.commands.freescout", "The help desk's dump sets: which nights have a whole one."),
    "host": ("raxx_bcp.commands.host", "The copy guard on production's own hosts: status, install, uninstall."),
    "sandbox": (f"{_SANDBOX}.commands.sandbox", "A local Raxx on loopback, to try and to break."),
    "snapshot": ("raxx_bcp.commands.snapshot", "D1: take the vault host's snapshot, list what there is."),
    "state-bucket": ("raxx_bcp.commands.state_bucket", "D2: is the state bucket as promised? Switch versioning on."),
    "vault": ("raxx_bcp.commands.vault", "D3: export the Infisical vault, list, verify, open and restore the exports."),
}


def wants_json(arguments: Sequence[str]) -> bool:
    """Is ``--json`` among the options, at any position?"""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return any(one == "--json" or one.startswith("--json=") for one in options)


class _LazyGroup(click.Group):
    """Import a command's module only when it is called, so that --help and small commands stay quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _summary = _COMMANDS[cmd_name]
        try:
            command = getattr(importlib.import_module(module), cmd_name.replace("-", "_"))
        except ModuleNotFoundError as error:
            raise click.UsageError(_not_installed(cmd_name, module, error.name or module), ctx) from None
        if not isinstance(command, click.Command):
            raise TypeError(cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as error:
            raise click.exceptions.NoSuchCommand(error.command_name, possibilities=_COMMANDS, ctx=ctx) from None

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001 - click's signature
        **extra: Any,
    ) -> Any:
        """With ``--json`` anywhere, every ending is one JSON object on stdout, including wrong use and help."""
        given = list(sys.argv[1:] if args is None else args)
        start = functools.partial(super().main, given, prog_name, complete_var, **extra)
        if standalone_mode and wants_json(given):
            from raxx_bcp.json_output import one_object  # imported here: a help text does not need it

            return one_object(lambda: start(standalone_mode=False))
        return start(standalone_mode=standalone_mode)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_module, summary) in sorted(_COMMANDS.items())])


def _not_installed(command: str, module: str, missing: str) -> str:
    if module.startswith(f"{_SANDBOX}."):
        return (
            f"The local Raxx that {command} needs is not installed here ({missing} is missing). It is in no "
            "installation of production: run make setup in a clone of raxx-bcp, and .venv/bin/raxx-bcp there."
        )
    return f"{command} cannot be loaded: {missing} is missing. Install raxx-bcp again with requirements/prod.txt."


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="raxx-bcp")
def main() -> None:
    """Backups that are taken, checked, and proved to restore (ADR-0103).

    Exit codes: 0 pass, 1 fail, 2 wrong use, 3 could not verify.
    """
