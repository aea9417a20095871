"""The clients of D1: one region, and a second one where the policy asks for copies."""

from __future__ import annotations

from raxx_bcp.clients.lightsail import Snapshots
from raxx_bcp.guard.connections import sightings_of
from raxx_bcp.policy import Policy
from raxx_bcp.snapshots.run import SnapshotConnections


def snapshot_connections(policy: Policy) -> SnapshotConnections:
    """The machine's own AWS settings (AWS_REGION) lead to the instances."""
    away = policy.vault_snapshot.copy_region
    return SnapshotConnections(Snapshots(), Snapshots(away) if away else None, sightings_of(policy))
