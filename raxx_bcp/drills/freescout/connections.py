"""What the FreeScout drills are given."""

from __future__ import annotations

from dataclasses import dataclass, field

from raxx_bcp.clients.instances import Instances
from raxx_bcp.clients.lightsail import Snapshots
from raxx_bcp.drills.freescout.expected import LastDrill
from raxx_bcp.guard.sightings import Sightings


@dataclass(frozen=True)
class Doors:
    """``snapshots`` and ``sightings`` (of the copy guard) only look, and only for Tier 1. ``private_key`` (armoured)
    opens encrypted dump sets; without one the caller's own keyring is asked."""

    instances: Instances
    snapshots: Snapshots
    sightings: Sightings
    last: LastDrill | None = None
    private_key: bytes | None = field(default=None, repr=False)
