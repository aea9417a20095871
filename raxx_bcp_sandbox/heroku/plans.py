"""Heroku Postgres plans: their monthly price and their limits (contract, Heroku, 5)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

from raxx_bcp_sandbox.heroku.errors import invalid
from raxx_bcp_sandbox.heroku.records import SERVICE

TABLE_LIMIT: Final = 4_000
GIB: Final = 1 << 30


@dataclass(frozen=True)
class Plan:
    """One plan."""

    name: str
    cents: int
    bytes: int
    connections: int

    @property
    def full_name(self) -> str:
        """As the Platform API calls it: ``heroku-postgresql:essential-0``."""
        return f"{SERVICE}:{self.name}"

    @property
    def id(self) -> str:
        """Always the same."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, self.full_name))


SMALLEST: Final = "essential-0"
PLANS: Final = {
    each.name: each
    for each in (
        Plan(SMALLEST, 500, 1 * GIB, 20),
        Plan("essential-1", 900, 10 * GIB, 20),
        Plan("essential-2", 2_000, 32 * GIB, 40),
        Plan("standard-0", 5_000, 64 * GIB, 120),
    )
}


def plan_named(asked: str) -> Plan:
    """The plan that a client asks for, ``heroku-postgresql:essential-0`` or ``heroku-postgresql``. Raises 422."""
    service, _, name = asked.partition(":")
    found = PLANS.get(name or SMALLEST)
    if service != SERVICE or found is None:
        raise invalid(f'Couldn\'t find either the add-on service or the add-on plan of "{asked}".')
    return found
