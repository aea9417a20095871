"""The interface for bodies of instances: real processes behind a record. Without them: ``NoBodies``.

A body gets the events of its record, in order and inside the store's transaction. So each method must return soon: long
work continues in the background, and ``is_up`` reports the end of a boot. Each method must be safe to repeat after a
kill -9 between it and the commit. In a call it refuses by raising ``LightsailError``; what falls due by itself
(``is_up``, ``delete``, automatic snapshots) must not be refused.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

from raxx_bcp_sandbox.lightsail.errors import operation_failure
from raxx_bcp_sandbox.lightsail.records import Instance


class Bodies(Protocol):
    """The processes and disks behind the instances. Snapshots are identified by their ids, automatic ones too."""

    def start(self, instance: Instance) -> None:
        """Boot: of a new instance from its blueprint, or from the disk of ``from_snapshot``, with its user data."""

    def is_up(self, instance: Instance) -> bool:
        """Has the boot ended? Until then the instance stays pending."""

    def trouble(self, instance: Instance) -> str:
        """Why it does not boot, or has no body; empty when there is no known problem."""

    def stop(self, instance: Instance) -> None:
        """Stop the processes and keep the disk."""

    def delete(self, instance: Instance) -> None:
        """Stop the processes and delete the disk."""

    def firewall(self, instance: Instance) -> None:
        """The openings have changed."""

    def snapshot(self, instance: Instance, snapshot_id: str, taken_at: float) -> None:
        """Copy the disk as it is now.

        ``taken_at`` is the snapshot's time (epoch seconds): long ago, where an automatic one fell due while nothing
        ran.
        """

    def is_copied(self, snapshot_id: str) -> bool:
        """Has the copying ended? Until then the snapshot stays pending."""

    def copy_snapshot(self, source_id: str, copy_id: str, instance: str, taken_at: float) -> None:
        """Copy a copy, for another region or to keep an automatic one; it is one of ``instance`` at ``taken_at``."""

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Delete a copy."""

    def keep_only(self, instances: Collection[str], snapshots: Collection[str]) -> None:
        """Delete the disks and copies of all other ids: what a kill -9 has left of deleted resources."""

    def access(self, instance: Instance) -> dict[str, Any]:
        """How to log in: ``accessDetails`` of GetInstanceAccessDetails, with a short-lived certificate."""


class NoBodies:
    """Instances that are records only; ``why`` says why they have no body."""

    def __init__(self, why: str = "In the sandbox this instance is a record only.") -> None:
        self.why = why

    def start(self, instance: Instance) -> None:
        """Nothing boots."""

    def is_up(self, instance: Instance) -> bool:  # noqa: ARG002 - the protocol's
        """A record is up at once."""
        return True

    def trouble(self, instance: Instance) -> str:  # noqa: ARG002 - the protocol's
        """Nothing can be wrong with a record."""
        return ""

    def stop(self, instance: Instance) -> None:
        """Nothing runs."""

    def delete(self, instance: Instance) -> None:
        """There is no disk."""

    def firewall(self, instance: Instance) -> None:
        """Nobody listens."""

    def snapshot(self, instance: Instance, snapshot_id: str, taken_at: float) -> None:
        """There is nothing to copy."""

    def is_copied(self, snapshot_id: str) -> bool:  # noqa: ARG002 - the protocol's
        """There was nothing to copy."""
        return True

    def copy_snapshot(self, source_id: str, copy_id: str, instance: str, taken_at: float) -> None:
        """There is nothing to copy."""

    def delete_snapshot(self, snapshot_id: str) -> None:
        """There is nothing to delete."""

    def keep_only(self, instances: Collection[str], snapshots: Collection[str]) -> None:
        """There is nothing to delete."""

    def access(self, instance: Instance) -> dict[str, Any]:
        """Nobody can log in to a record."""
        raise operation_failure(
            f"The instance {instance.name} has no body yet: there is nothing to log in to.",
            self.why,
        )
