"""Which columns of a table its one statement asks about."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Asked:
    """The columns of one table that its statement asks about."""

    created: tuple[str, ...]
    """At most one: what says when a row was made."""
    moments: tuple[str, ...]
    """What tells the newest row."""
    counted: tuple[str, ...]
    """What takes from sequences."""
    zoned: tuple[str, ...]
    """At most one: what says when a row was made, with a time zone."""
