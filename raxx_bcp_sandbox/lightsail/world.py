"""The account as its clients see it: look-ups, names, operations, and the passing of time."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any, Final

from raxx_bcp_sandbox.lightsail import shapes
from raxx_bcp_sandbox.lightsail.bodies import Bodies, NoBodies
from raxx_bcp_sandbox.lightsail.errors import names_in_use, not_found, operation_failure
from raxx_bcp_sandbox.lightsail.faults import LightsailFaults
from raxx_bcp_sandbox.lightsail.records import (
    INSTANCE,
    PENDING,
    RUNNING,
    SNAPSHOT,
    SUCCEEDED,
    Automatic,
    Instance,
    Operation,
    Resource,
    Snapshot,
)
from raxx_bcp_sandbox.lightsail.rules import check_new_name
from raxx_bcp_sandbox.lightsail.settling import settle
from raxx_bcp_sandbox.lightsail.store import Store
from raxx_bcp_sandbox.lightsail.times import RealTime, ResourceClock

PENDING_SECONDS: Final = 3.0


class World:
    """One account. ``pending_seconds`` is how long snapshots and instances take, on the resources' clock.

    ``real`` gives the real time that the resources' clock is relative to. ``prefix`` is the start of the instances'
    addresses (``127.83.12``); empty: any from 127.0.5.1 on.
    """

    def __init__(
        self,
        store: Store,
        *,
        bodies: Bodies | None = None,
        faults: LightsailFaults | None = None,
        real: RealTime = time.time,
        pending_seconds: float = PENDING_SECONDS,
        prefix: str = "",
    ) -> None:
        self.store = store
        self.bodies: Bodies = bodies or NoBodies()
        self.faults = faults or LightsailFaults()
        self.faults.before_switch = self.settle
        self.clock = ResourceClock(store, real)
        self.pending_seconds = pending_seconds
        self._prefix = prefix

    def wake(self) -> None:
        """After a start of the stand-in, start the bodies of running instances again."""
        known = self.store.all_instances()
        sources = {each.from_snapshot for each in known if each.state == PENDING}
        self.bodies.keep_only({each.id for each in known}, self.store.snapshot_ids() | sources)
        for instance in known:
            if instance.state in (PENDING, RUNNING):
                self.bodies.start(instance)

    def settle(self) -> None:
        """Process, in one transaction, what fell due until now."""
        with self.store.transaction():
            settle(self.store, self.bodies, self.faults, self.clock.now())

    # -- looking -----------------------------------------------------------------------------------------

    def instance(self, region: str, name: str) -> Instance:
        """The instance called ``name``. Raises NotFoundException."""
        found = self.store.named(region, name)
        if not isinstance(found, Instance) or self.faults.hides(name):
            raise not_found(INSTANCE, name)
        return found

    def snapshot(self, region: str, name: str) -> Snapshot:
        """The manual snapshot called ``name``. Raises NotFoundException."""
        found = self.store.named(region, name)
        if not isinstance(found, Snapshot):
            raise not_found(SNAPSHOT, name)
        return found

    def resource(self, region: str, name: str) -> Resource:
        """The resource of any kind called ``name``. Raises NotFoundException."""
        found = self.store.named(region, name)
        if found is None or self.faults.hides(name):
            raise not_found("Resource", name)
        return found

    def automatics(self, instance: Instance) -> list[Automatic]:
        """The automatic snapshots of ``instance``, newest first."""
        stored = self.store.automatics(instance.region, instance.name)
        return self.faults.automatics(instance.region, instance.name, stored, self.clock.now())

    # -- changing ----------------------------------------------------------------------------------------

    def require_free(self, region: str, *names: str) -> None:
        """Raises InvalidInputException for an invalid name, or one that is taken in ``region``."""
        for name in names:
            check_new_name(name)
            if self.store.named(region, name) is not None or names.count(name) > 1:
                raise names_in_use(name)

    def free_address(self) -> str:
        """A loopback address that no instance has. Raises OperationFailureException when all are taken."""
        taken = {each.address for each in self.store.all_instances()}
        free = next((address for address in _addresses(self._prefix) if address not in taken), None)
        if free is None:
            raise operation_failure("There is no address left for another instance.", "Delete some instances.")
        return free

    def begin(
        self, resource: Resource, kind: str, *, details: str = "", waits_for: Resource | None = None, takes: float = 0.0
    ) -> dict[str, Any]:
        """Record an operation on ``resource``, and return it in Lightsail's shape.

        It ends with the transient state of ``waits_for``, else in ``takes`` seconds, which may be 0.
        """
        now = self.clock.now()
        due = waits_for.due if waits_for is not None else now + takes
        done = due is None or due <= now
        operation = Operation(
            id=str(uuid.uuid4()),
            region=resource.region,
            zone=shapes.zone_of(resource),
            resource=resource.name,
            resource_kind=resource.kind,
            type=kind,
            created_at=now,
            changed_at=now,
            details=details,
            due=None if done else due,
            waits_for=waits_for.name if waits_for is not None else "",
            **({"status": SUCCEEDED} if done else {}),
        )
        self.store.put_operation(operation)
        return shapes.operation(operation)


def _addresses(prefix: str) -> Iterator[str]:
    """127.0.5.1 and so on; none ends in 0, 254 or 255."""
    prefixes = [prefix] if prefix else [f"127.0.{third}" for third in range(5, 255)]
    return (f"{each}.{fourth}" for each in prefixes for fourth in range(1, 254))
