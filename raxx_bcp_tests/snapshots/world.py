"""Connections to a fresh Lightsail whose clock only moves when somebody sleeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from raxx_bcp.clients.lightsail import Snapshots
from raxx_bcp.policy import Policy, VaultSnapshot
from raxx_bcp.snapshots.inventory import SnapshotInventory, take_inventory
from raxx_bcp.snapshots.names import is_ours
from raxx_bcp.snapshots.run import SnapshotConnections, SnapshotReceipt, snapshot_day
from raxx_bcp_tests.sandbox.lightsail.lab import Lab, lightsail_lab

VAULT = "raxx-vault"
DAY = "2031-03-14"


@dataclass
class World:
    """One account, with its time and what was said."""

    lab: Lab
    policy: Policy
    said: list[str] = field(default_factory=list)

    def clock(self) -> datetime:
        return self.lab.now()

    def connections(self) -> SnapshotConnections:
        region = self.policy.vault_snapshot.copy_region
        away = Snapshots(client=self.lab.client(region)) if region else None
        return SnapshotConnections(Snapshots(client=self.lab.client()), away)

    def take(
        self, day: str = DAY, *, connections: SnapshotConnections | None = None, dry_run: bool = False
    ) -> SnapshotReceipt:
        return snapshot_day(
            connections or self.connections(),
            self.policy,
            day,
            dry_run=dry_run,
            clock=self.clock,
            sleep=self.lab.advance,
            progress=self.said.append,
        )

    def inventory(self) -> SnapshotInventory:
        return take_inventory(self.connections(), self.policy, self.clock())

    def names(self, region: str = "us-east-1") -> list[str]:
        """Every manual snapshot, oldest first."""
        found = sorted(Snapshots(client=self.lab.client(region)).all(), key=lambda one: one.created_utc)
        return [one.name for one in found]

    def ours(self) -> list[str]:
        return [one.name for one in Snapshots(client=self.lab.client()).all() if is_ours(one, VAULT)]


@contextmanager
def world(now: str = "2031-03-14T06:30:00Z", **promised: Any) -> Iterator[World]:
    """``promised`` changes the policy of D1."""
    with lightsail_lab(now=now) as lab:
        yield World(lab, Policy(vault_snapshot=VaultSnapshot(**promised)))
