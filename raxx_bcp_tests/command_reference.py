"""``make reference``: writes ``docs/commands.md`` from the command line itself."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from raxx_bcp.cli import main

PAGE = Path(__file__).resolve().parent.parent / "docs" / "commands.md"
_HEAD = """\
# The commands

Made from the command line by `make reference`; do not edit. `raxx-bcp COMMAND --help` says the same.

Each command takes `--json`: exactly one JSON object on stdout, whatever the ending, with `ok`, `status` (`pass`,
`fail`, `usage`, `could_not_verify`), `error` and `remedy`. Exit codes: 0 pass, 1 fail, 2 wrong use, 3 could not verify.
Progress and errors go to stderr. Names with dashes may be written with underscores where Dagster writes them so.
"""


def reference() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_group(main, ("raxx-bcp",))]).rstrip() + "\n"


def _group(group: click.Group, path: tuple[str, ...]) -> Iterator[str]:
    context = click.Context(group, info_name=" ".join(path))
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        here = (*path, name)
        if isinstance(command, click.Group):
            yield f"## {' '.join(here)}\n\n{_prose(command)}\n"
            yield from _group(command, here)
        else:
            yield from _command(command, here)


def _command(command: click.Command, path: tuple[str, ...]) -> Iterator[str]:
    level = "##" if len(path) == 2 else "###"
    arguments = [_argument(one) for one in command.params if isinstance(one, click.Argument)]
    yield f"{level} `{' '.join([*path, *arguments])}`\n\n{_prose(command)}\n"
    options = [one for one in command.params if isinstance(one, click.Option) and one.name != "as_json"]
    if options:
        yield "| option | what it does |\n| --- | --- |"
        yield from (f"| {_flags(one)} | {_help(one)} |" for one in options)
        yield ""


def _argument(argument: click.Argument) -> str:
    return argument.make_metavar(click.Context(main))


def _flags(option: click.Option) -> str:
    value = "" if option.is_flag else f" {option.make_metavar(click.Context(main))}"
    return ", ".join(f"`{flag}{value}`" for flag in option.opts).replace("|", "\\|")


def _help(option: click.Option) -> str:
    said = " ".join((option.help or "").split())
    default = option.show_default if isinstance(option.show_default, str) else option.default
    notes = [
        "required" if option.required else "",
        f"default: {default}" if option.show_default and default is not None else "",
        "can be given more than once" if option.multiple and "repeated" not in said else "",
    ]
    note = "; ".join(filter(None, notes))
    return (f"{said} ({note})" if note else said).replace("|", "\\|")


def _prose(command: click.Command) -> str:
    text = inspect.cleandoc(command.help or "").split("\f")[0]
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text).strip()


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
    sys.stdout.write(f"{PAGE} was written.\n")
