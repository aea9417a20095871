"""How much of a restored database may differ from production without its rows saying why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

MOST_RATIO: Final = 0.25
"""However old the backup is: a change of more than a quarter of a table is never accepted without a reason."""


@dataclass(frozen=True)
class Allowance:
    """How much of a table may differ without the rows themselves saying why."""

    per_day_ratio: float = 0.0
    """The share of a table that an ordinary day changes."""
    days: float = 1.0
    """How long production continued after the backup."""
    by_table: Mapping[str, float] = field(default_factory=dict)
    """The policy for single tables, whatever time has passed."""

    @property
    def ratio(self) -> float:
        """For tables without a policy of their own."""
        return min(MOST_RATIO, self.per_day_ratio * self.days)

    def rows(self, table: str, number: int) -> int:
        """How many of ``number`` rows may differ: never rounded up to a whole row."""
        return whole(number * self.by_table.get(table, self.ratio))


def whole(number: float) -> int:
    """Rounded down, but not because of a binary fraction."""
    return math.floor(number + 1e-9)
