"""Every snapshot of the two instances, as Lightsail shows it: one pass, a row each, and what they cost."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from raxx_bcp.clients.lightsail import AVAILABLE, InstanceSnapshot, Snapshots
from raxx_bcp.daily import days_up_to, expected_day, next_due
from raxx_bcp.errors import BcpError
from raxx_bcp.guard.sightings import Period, Sightings
from raxx_bcp.policy import ADDON_OFF, Policy
from raxx_bcp.snapshots.freescout import FreeScoutBackup, backup_of
from raxx_bcp.snapshots.names import FREESCOUT_TAG, is_ours
from raxx_bcp.snapshots.run import SnapshotConnections

_AUTOMATIC_SUCCESS = "Success"


class Kind(enum.StrEnum):
    """How a snapshot was made."""

    MANUAL = "manual"
    AUTOMATIC = "automatic"
    COPY = "copy"


@dataclass(frozen=True, slots=True)
class Row:
    """One snapshot. ``size_gb`` is the disk that it restores; ``good`` means that it can be restored now."""

    name: str
    instance: str
    kind: Kind
    state: str
    created_utc: datetime
    size_gb: int
    ours: bool
    good: bool
    region: str
    freescout: str = ""
    """For ours only: the state of FreeScout's backup when this one started."""

    def age_hours(self, now: datetime) -> float:
        """Its age at ``now``, in hours."""
        return (now - self.created_utc).total_seconds() / 3600

    def cost_usd(self, price_usd_per_gb_month: float) -> float:
        """Its highest cost a month: Lightsail bills what is stored, and successive ones share blocks."""
        return self.size_gb * price_usd_per_gb_month

    def as_dict(self, now: datetime, price_usd_per_gb_month: float) -> dict[str, Any]:
        """For tables and ``--json``."""
        return {
            "name": self.name,
            "instance": self.instance,
            "kind": self.kind.value,
            "state": self.state,
            "created_utc": f"{self.created_utc:%Y-%m-%dT%H:%M:%SZ}",
            "age_hours": round(self.age_hours(now), 1),
            "size_gb": self.size_gb,
            "monthly_cost_usd": round(self.cost_usd(price_usd_per_gb_month), 2),
            "ours": self.ours,
            "region": self.region,
        }


@dataclass(frozen=True)
class SnapshotInventory:
    """All snapshots at ``now``, newest first."""

    now: datetime
    policy: Policy
    rows: tuple[Row, ...]
    freescout: FreeScoutBackup
    """FreeScout's backup of the newest day for which one is due."""
    automatic_utc: str | None
    """When the vault's automatic snapshots start; None where they are off."""
    home_region: str
    guards: Mapping[str, tuple[Period, ...] | None] = field(default_factory=dict)
    """When each host got the copy guard, by its instance; None where that could not be read."""

    def guarded(self, row: Row) -> bool | None:
        """Does this snapshot hold the copy guard, so that a drill may boot it? None: unknown."""
        periods = self.guards.get(row.instance)
        return None if periods is None else any(each.covers(row.created_utc) for each in periods)

    def row_dict(self, row: Row) -> dict[str, Any]:
        """For tables and ``--json``."""
        guarded = {True: "yes", False: "no", None: "unknown"}[self.guarded(row)]
        return {**row.as_dict(self.now, self.policy.vault_snapshot.price_usd_per_gb_month), "guarded": guarded}

    @property
    def ours(self) -> tuple[Row, ...]:
        """Our daily snapshots of the vault in its own region, newest first."""
        return tuple(row for row in self.rows if row.ours and row.kind is Kind.MANUAL)

    @property
    def good(self) -> tuple[Row, ...]:
        """Those of ours that can be restored from."""
        return tuple(row for row in self.ours if row.good)

    @property
    def copies(self) -> tuple[Row, ...]:
        """Those in the other region that are ours."""
        return tuple(row for row in self.rows if row.ours and row.kind is Kind.COPY)

    @property
    def gaps(self) -> tuple[str, ...]:
        """Days of the last ``inventory_days`` without a good one of ours, since the oldest existing one."""
        there = {_day(row.created_utc) for row in self.good}
        promised = self.policy.vault_snapshot
        newest_due = expected_day(self.now, promised)
        span = days_up_to(newest_due, promised.inventory_days)
        return tuple(day for day in span if day not in there and there and day > min(there))

    @property
    def next_due(self) -> datetime:
        """When (UTC) the next one is taken."""
        return next_due(self.now, self.policy.vault_snapshot)

    @property
    def monthly_cost_usd(self) -> float:
        """The highest total cost a month."""
        price = self.policy.vault_snapshot.price_usd_per_gb_month
        return sum(row.cost_usd(price) for row in self.rows)

    @property
    def newest_age_hours(self) -> float | None:
        """The age of the newest good one of ours; None where there is none."""
        return self.good[0].age_hours(self.now) if self.good else None

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        age = self.newest_age_hours
        return {
            "snapshots": [self.row_dict(row) for row in self.rows],
            "guarded_since_utc": {name: _since(periods) for name, periods in self.guards.items()},
            "snapshot_count": len(self.good),
            "newest_age_hours": None if age is None else round(age, 2),
            "monthly_cost_usd": round(self.monthly_cost_usd, 2),
            "gaps": list(self.gaps),
            "next_due_utc": f"{self.next_due:%Y-%m-%dT%H:%M:%SZ}",
            "addon": self.automatic_utc or ADDON_OFF,
            "freescout_backup": {"day": self.freescout.day, "state": self.freescout.words},
        }


def take_inventory(connections: SnapshotConnections, policy: Policy, now: datetime) -> SnapshotInventory:
    """Look at all of it; memory grows only with the snapshots of the two instances.

    Raises ``CouldNotVerifyError`` where the role may not look, ``AbsentError`` where an instance does not exist.
    """
    vault, freescout = policy.vault_snapshot.instance, policy.freescout.instance
    vault_instance, freescout_instance = connections.home.instance(vault), connections.home.instance(freescout)
    manual = [one for one in connections.home.all() if one.instance_name in (vault, freescout)]
    automatic = {name: connections.home.automatic(name) for name in (vault, freescout)}
    disks = {vault: vault_instance.disk_gb, freescout: freescout_instance.disk_gb}
    rows = [_row(one, vault, connections.home.region, Kind.MANUAL) for one in manual]
    rows += [
        Row(
            name=f"{name} (automatic, {one.day})",
            instance=name,
            kind=Kind.AUTOMATIC,
            state=one.status,
            created_utc=one.created_utc,
            size_gb=disks[name],
            ours=False,
            good=one.status == _AUTOMATIC_SUCCESS,
            region=connections.home.region,
        )
        for name, found in automatic.items()
        for one in found
    ]
    rows += _copies(connections.away, vault)
    due = _freescout_day(now, policy)
    return SnapshotInventory(
        now=now,
        policy=policy,
        rows=tuple(sorted(rows, key=lambda row: row.created_utc, reverse=True)),
        freescout=backup_of(due, automatic[freescout], manual, freescout),
        automatic_utc=vault_instance.automatic_utc,
        home_region=connections.home.region,
        guards={name: _periods(connections.sightings, name) for name in (vault, freescout)},
    )


def _periods(sightings: Sightings | None, instance: str) -> tuple[Period, ...] | None:
    """What cannot be read now is unknown: the snapshots themselves are still inventoried."""
    try:
        return None if sightings is None else tuple(sightings.periods(instance))
    except BcpError:
        return None


def _since(periods: tuple[Period, ...] | None) -> str | None:
    standing = [each for each in periods or () if each.until_utc is None]
    return f"{standing[-1].since_utc:%Y-%m-%dT%H:%M:%SZ}" if standing else None


def _copies(away: Snapshots | None, vault: str) -> Iterator[Row]:
    if away is not None:
        for one in away.all():
            if one.instance_name == vault or is_ours(one, vault):
                yield _row(one, vault, away.region, Kind.COPY)


def _row(snapshot: InstanceSnapshot, vault: str, region: str, kind: Kind) -> Row:
    return Row(
        name=snapshot.name,
        instance=snapshot.instance_name,
        kind=kind,
        state=snapshot.state,
        created_utc=snapshot.created_utc,
        size_gb=snapshot.size_gb,
        ours=is_ours(snapshot, vault),
        good=snapshot.state == AVAILABLE,
        region=region,
        freescout=snapshot.tags.get(FREESCOUT_TAG, ""),
    )


def _freescout_day(now: datetime, policy: Policy) -> str:
    """Today once its backup should have ended, else yesterday."""
    today = now.astimezone(UTC)
    ended = today.strftime("%H:%M") >= policy.freescout.backup_ends_utc
    return days_up_to(today.date().isoformat(), 2)[0 if ended else 1]


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).date().isoformat()
