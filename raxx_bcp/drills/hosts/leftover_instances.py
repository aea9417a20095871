"""Where drills can have left an instance, known without loading what looks there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from raxx_bcp.drills.engine.sweeper import Place
from raxx_bcp.policy import Policy


@contextlib.contextmanager
def leftover_instances(policy: Policy) -> Iterator[Place]:
    """Throwaway instances in the drills' region."""
    from raxx_bcp.drills.hosts.connections import instances_client
    from raxx_bcp.drills.hosts.leftovers import InstanceLeftovers

    yield InstanceLeftovers(instances_client(policy))
