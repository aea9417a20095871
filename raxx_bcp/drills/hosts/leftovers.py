"""Throwaway instances that still exist, found by their tags."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from raxx_bcp.clients.instance_shapes import DRILL_TAG, EXPIRES_TAG, ThrowawayInstance
from raxx_bcp.clients.instances import Instances
from raxx_bcp.drills.engine.leases import Lease
from raxx_bcp.drills.engine.sweeper import Leftover
from raxx_bcp.drills.hosts.host import instance_lease
from raxx_bcp.errors import BcpError, PermanentError


@dataclass
class InstanceLeftovers:
    """Every instance with a drill's tag. One whose expiry cannot be read is reported and never deleted."""

    instances: Instances
    name: str = "lightsail"

    def leftovers(self) -> Iterator[Leftover]:
        """Raises what the client raises: an incomplete list is not a list."""
        found = list(self.instances.marked())
        prices = self._prices() if found else {}
        for one in found:
            lease = instance_lease(self.instances, one.name, one.drill_id, prices.get(one.bundle, 0.0))
            if one.expires_utc is None:
                lease = _untouchable(lease, one)
            yield Leftover(lease, one.created_utc, one.expires_utc or one.created_utc, one.drill_id)

    def _prices(self) -> Mapping[str, float]:
        """By the hour; none where that cannot be seen: a missing price must not stop the sweeper."""
        with contextlib.suppress(BcpError):
            return {one.id: one.usd_per_hour for one in self.instances.bundles()}
        return {}


def _untouchable(lease: Lease, instance: ThrowawayInstance) -> Lease:
    """Somebody changed its tags, so nobody knows whether it is still needed."""

    def refuse() -> None:
        raise PermanentError(
            f"The instance {instance.name} carries {DRILL_TAG}, and {EXPIRES_TAG} is no time that can be read: it was "
            "left alone.",
            "See in the Lightsail console whether anybody needs it, and delete it by hand.",
        )

    return replace(lease, release=refuse)
