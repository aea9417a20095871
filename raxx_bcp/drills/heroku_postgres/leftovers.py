"""Throwaway apps that are still on Heroku, found by their names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from raxx_bcp.clients.heroku import Heroku
from raxx_bcp.drills.engine.sweeper import Leftover
from raxx_bcp.drills.heroku_postgres.restore_drill import PLANS, app_lease, expiry_of
from raxx_bcp.errors import BcpError


@dataclass
class HerokuLeftovers:
    """Every throwaway app of the account. A name without an expiry is not ours and is left alone."""

    heroku: Heroku
    name: str = "heroku"

    def leftovers(self) -> Iterator[Leftover]:
        """Raises what the client raises."""
        for app in self.heroku.apps_with_prefix():
            expires = expiry_of(app.name, self.heroku.throwaway_prefix)
            if expires is not None:
                lease = app_lease(self.heroku, app.name, self._usd_per_hour(app.name))
                yield Leftover(lease, app.created_utc, expires)

    def _usd_per_hour(self, app: str) -> float:
        """The price of its database; 0 where that cannot be seen: a missing price must not stop the sweeper."""
        with contextlib.suppress(BcpError):
            plan = self.heroku.database_of(app).plan.rpartition(":")[2]
            return next((one.usd_per_hour for one in PLANS if one.name == plan), 0.0)
        return 0.0
