"""What an operator may choose of the Heroku drill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from raxx_bcp.drills.engine.choices import Shortcut, choice

NEWEST: Final = "newest"
RANDOM_OLDER: Final = "random-older"
FRESH: Final = "fresh"


@dataclass(frozen=True)
class Wanted:
    """What an operator may choose; the defaults are an ordinary drill."""

    backup: str = choice(
        NEWEST,
        "newest, random-older, fresh for one that the drill makes with facts of its own, or a label such as b003.",
        shortcuts=(Shortcut("--fresh", FRESH, "Make a backup now, with facts of its own, and restore that one."),),
    )
    plan: str = choice("", "Heroku's plan for the throwaway database; default: the smallest that fits.")
    row_tolerance_ratio: float | None = choice(
        None, "Row counts may differ by this ratio; default: the policy's.", flag="--tolerance", at_least=0, at_most=1
    )
    revision: str = choice(
        "", "The Alembic revision to expect, several heads with commas between; default: production's."
    )
