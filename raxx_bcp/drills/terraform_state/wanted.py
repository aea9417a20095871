"""What an operator may choose of the Terraform state drill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from raxx_bcp.errors import UsageError

LARGEST_KB: Final = 10_000


@dataclass(frozen=True)
class Wanted:
    """What an operator may choose; the default is an ordinary drill."""

    size_kb: int = 200
    """The size of the state file that is lost and recovered."""

    def __post_init__(self) -> None:
        if not 1 <= self.size_kb <= LARGEST_KB:
            raise UsageError(
                f"A state file of {self.size_kb} kB is not what this drill makes.",
                f"Choose a size from 1 to {LARGEST_KB} kB.",
            )
