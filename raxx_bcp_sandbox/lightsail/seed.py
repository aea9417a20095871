"""Raxx's account at a sandbox's start. A store is seeded once: what was deleted since then stays deleted."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from raxx_bcp_sandbox.lightsail.catalogue import BUNDLES
from raxx_bcp_sandbox.lightsail.faults import TICKETS, VAULT
from raxx_bcp_sandbox.lightsail.records import AVAILABLE, RUNNING, Instance, Opening, Snapshot, Tags, arn
from raxx_bcp_sandbox.lightsail.settling import KEPT, begins
from raxx_bcp_sandbox.lightsail.times import DAY, HOUR, midnight
from raxx_bcp_sandbox.lightsail.world import World

REGION: Final = "us-east-1"
FREESCOUT_HOUR: Final = 5
"""FreeScout's own backup: automatic snapshots from 05:00 UTC, finished by 06:00 (ADR-0103 D1)."""
BY_HAND: Final = "raxx-vault-before-ubuntu-22"
TICKETS_BY_HAND: Final = "raxx-tickets-before-upgrade"
SNAPSHOTS: Final = 5_000
_SEEDED: Final = "seeded"
_DAYS_IN_USE: Final = 7
_HTTPS: Final = (Opening("tcp", 22, 22, ("203.0.113.7/32", "127.0.0.1/32"), ()), Opening("tcp", 443, 443))
"""In production people log in from the office, here from this machine."""


def seed(world: World, plan: Callable[[World], None]) -> None:
    """Fill the account by ``plan``, in one transaction, unless it was filled before.

    Then settle what is due, and start the instances.
    """
    with world.store.transaction():
        if world.store.setting(_SEEDED) is None:
            plan(world)
            world.store.set(_SEEDED, "yes")
    world.settle()
    world.wake()


def empty(_world: World) -> None:
    """An empty account."""


def raxx(world: World) -> None:
    """The vault with one snapshot that somebody took by hand and none of ours; FreeScout with its own backup."""
    now = world.clock.now()
    vault = _instance(world, VAULT, "small_1_0", age_days=400, tags={"project": "raxx"})
    tickets = _instance(
        world,
        TICKETS,
        "small_3_0",
        age_days=390,
        tags={"project": "raxx"},
        first_automatic=midnight(now) - KEPT * DAY,
    )
    world.store.add(
        _snapshot(vault, BY_HAND, now - 40 * DAY - 3 * HOUR, {"made-by": "alice"}),
        _snapshot(tickets, TICKETS_BY_HAND, now - 120 * DAY - 5 * HOUR, {"made-by": "alice"}),
    )


def in_use(world: World) -> None:
    """Raxx's account after D1 has been at work for a week: today's snapshot makes the oldest due for deletion."""
    raxx(world)
    vault = world.instance(REGION, VAULT)
    half_past_six = midnight(world.clock.now()) + 6.5 * HOUR
    for back in range(_DAYS_IN_USE, 0, -1):
        made = half_past_six - back * DAY
        day = datetime.fromtimestamp(made, UTC).date().isoformat()
        tags: Tags = {
            "raxx-bcp-kind": "daily-snapshot",
            "raxx-bcp-instance": VAULT,
            "raxx-bcp-day": day,
            "raxx-bcp-freescout": "complete, begun 05:12",
        }
        world.store.add(_snapshot(vault, f"raxx-bcp-{VAULT}-{day}", made, tags))


def scale(snapshots: int = SNAPSHOTS) -> Callable[[World], None]:
    """Raxx's account with ``snapshots`` more of the vault, an hour apart, for measurements."""
    if snapshots < 0:
        raise ValueError("there is no negative number of snapshots")

    def plan(world: World) -> None:
        raxx(world)
        now = world.clock.now()
        vault = world.instance(REGION, VAULT)
        world.store.add(
            *(
                _snapshot(vault, f"{VAULT}-{number:06}", now - (number + 1) * HOUR, {"number": str(number)})
                for number in range(snapshots)
            )
        )

    return plan


def _instance(
    world: World, name: str, bundle: str, *, age_days: int, tags: Tags, first_automatic: float | None = None
) -> Instance:
    instance = Instance(
        region=REGION,
        name=name,
        id=str(uuid.uuid4()),
        created_at=world.clock.now() - age_days * DAY,
        zone=f"{REGION}a",
        blueprint="ubuntu_22_04",
        bundle=bundle,
        disk_gb=BUNDLES[bundle].disk_gb,
        address=world.free_address(),
        state=RUNNING,
        automatic_hour=None if first_automatic is None else FREESCOUT_HOUR,
        automatic_due=None if first_automatic is None else begins(first_automatic, FREESCOUT_HOUR),
        openings=_HTTPS,
        tags=tags,
    )
    world.store.add(instance)
    return instance


def _snapshot(of: Instance, name: str, created_at: float, tags: Tags) -> Snapshot:
    return Snapshot(
        region=of.region,
        name=name,
        id=str(uuid.uuid4()),
        created_at=round(created_at, 3),
        instance=of.name,
        instance_arn=arn(of),
        blueprint="ubuntu_20_04" if name == BY_HAND else of.blueprint,
        bundle=of.bundle,
        disk_gb=of.disk_gb,
        state=AVAILABLE,
        tags=tags,
    )
