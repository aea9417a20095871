"""The command of a drill, made from the drill's own choices: ``raxx-bcp drill NAME`` for every line of the table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from raxx_bcp.console import exit_codes, json_option
from raxx_bcp.drills.engine.choices import Offered, Shortcut, offered_by
from raxx_bcp.drills.kind import Asked, Kind
from raxx_bcp.drills.kinds import spoken
from raxx_bcp.errors import UsageError

Start = Callable[[Kind[Any], Asked, Any, bool], int]
"""Runs it: gets the kind, who asks, what is wanted, and whether to print JSON. Returns the exit code."""


def command_of(kind: Kind[Any], start: Start) -> click.Command:
    """The command, with an option for each choice. Its help is the kind's summary."""
    offered = list(offered_by(kind.wanted))

    def run(*, operator: str, keep: bool, as_json: bool, **given: Any) -> int:
        wanted = kind.wanted(**{one.name: _value(one, given) for one in offered})
        return start(kind, Asked(operator, keep=keep), wanted, as_json)

    command = json_option(exit_codes(run))
    for one in reversed(offered):
        for shortcut in reversed(one.choice.shortcuts):
            command = click.option(shortcut.flag, _name(shortcut), is_flag=True, help=shortcut.help)(command)
        command = click.option(one.flag, one.name, **_details(one))(command)
    command = click.option("--keep", is_flag=True, help="Leave what it made for inspection until its lease ends.")(
        command
    )
    command = click.option("--operator", required=True, metavar="WHO", help="Who you are; it goes on record.")(command)
    return click.command(spoken(kind.name), help=kind.summary)(command)


def _details(one: Offered) -> dict[str, Any]:
    """How click asks for it. None means "not given", so that an empty text can be told apart from it."""
    said: dict[str, Any] = {"help": one.choice.help, "metavar": one.choice.metavar, "default": None}
    if one.type is bool:
        return {"help": one.choice.help, "is_flag": True}
    if one.choice.path:
        folder = one.choice.path == "folder"
        return {**said, "type": click.Path(exists=True, file_okay=not folder, dir_okay=folder)}
    if one.choice.at_least is not None or one.choice.at_most is not None:
        return {**said, "type": click.FloatRange(one.choice.at_least, one.choice.at_most)}
    return {**said, "show_default": one.default} if isinstance(one.default, str) and one.default else said


def _value(one: Offered, given: dict[str, Any]) -> Any:
    """What was chosen. Raises ``UsageError`` for two ways at once, and for an empty text."""
    value = given[one.name]
    for shortcut in one.choice.shortcuts:
        if given[_name(shortcut)]:
            if value is not None:
                raise UsageError(f"Both {shortcut.flag} and {one.flag} were given.", "Give one of them.")
            return shortcut.value
    if value is None:
        return one.default
    if one.choice.must_say and not value.strip():
        raise UsageError(f"{one.flag} was given and says nothing.", one.choice.must_say)
    return value


def _name(shortcut: Shortcut) -> str:
    return shortcut.flag.lstrip("-").replace("-", "_")
