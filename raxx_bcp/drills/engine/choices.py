"""What an operator may choose of a drill: a field of its ``Wanted``, with the words that explain it everywhere.

Dagster's config (``drills/dagster_config.py``) and the command's options (``commands/drill_options.py``) are both made
of these fields, so that a choice is written down once.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

T = TypeVar("T")
_KEY: Final = "choice"


@dataclass(frozen=True)
class Shortcut:
    """A flag of the command that is short for one value: ``--fresh`` for ``--backup fresh``."""

    flag: str
    value: str
    help: str


@dataclass(frozen=True)
class Choice:
    """How one field is offered."""

    help: str
    flag: str = ""
    """The command's option; empty: the field's name with dashes."""
    metavar: str | None = None
    path: Literal["", "file", "folder"] = ""
    """The value names a file that must exist."""
    at_least: float | None = None
    at_most: float | None = None
    must_say: str = ""
    """The error for an empty value on the command line. Empty: an empty value is allowed."""
    shortcuts: tuple[Shortcut, ...] = ()


@dataclass(frozen=True)
class Offered:
    """A field with its choice. ``type`` is its annotation, evaluated."""

    name: str
    type: Any
    default: Any
    choice: Choice

    @property
    def flag(self) -> str:
        return self.choice.flag or "--" + self.name.replace("_", "-")


def choice(default: T, help_text: str, **offered: Any) -> T:
    """A field of a drill's ``Wanted`` that an operator may set; ``offered`` is the rest of ``Choice``."""
    made: T = dataclasses.field(default=default, metadata={_KEY: Choice(help_text, **offered)})
    return made


def offered_by(wanted: type[Any]) -> Iterator[Offered]:
    """Every choice of the dataclass ``wanted``, in its order; a field without one is not offered."""
    types = typing.get_type_hints(wanted)
    for field in dataclasses.fields(wanted):
        if _KEY in field.metadata:
            yield Offered(field.name, types[field.name], field.default, field.metadata[_KEY])
