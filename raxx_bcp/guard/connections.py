"""The clients of the guard's commands, the inventory and the drills, made from the environment."""

from __future__ import annotations

from raxx_bcp import environment
from raxx_bcp.clients.host_access import HostAccess
from raxx_bcp.guard.hosts import kinds
from raxx_bcp.guard.sightings import Sightings
from raxx_bcp.policy import Policy


def sightings_of(policy: Policy) -> Sightings:
    """Since when each host is guarded, as the state bucket has it."""
    return Sightings(environment.state_bucket(policy), policy.copy_guard.sightings_prefix)


def host_access(policy: Policy) -> HostAccess:
    """Logins to the hosts with a guard."""
    return HostAccess(kinds(policy))
