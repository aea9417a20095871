"""Where instances get a body: real processes behind a record. As long as nothing gives them one: ``NoBodies``.

A body is told what happens to its record, in order and inside the store's transaction. So each method must
return soon (work that takes long goes on by itself, and ``is_up`` says when a boot has ended), must be safe to
repeat after a kill -9 between it and the commit. In a call it refuses by raising ``LightsailError``; what falls
due by itself (``is_up``, ``delete``, automatic snapshots) must not be refused.
"""

from __future__ import annotations

from typing import Any, Protocol

from raxx_bcp.sandbox.lightsail.errors import operation_failure
from raxx_bcp.sandbox.lightsail.records import Instance


class Bodies(Protocol):
    """The processes and disks behind the instances. Snapshots are known by their ids, automatic ones as well."""

    def start(self, instance: Instance) -> None:
        """Boot: of a new instance from its blueprint, or from the disk of ``from_snapshot``, with its user data."""

    def is_up(self, instance: Instance) -> bool:
        """Has the boot ended? Until then the instance stays pending."""

    def stop(self, instance: Instance) -> None:
        """Stop the processes and keep the disk."""

    def delete(self, instance: Instance) -> None:
        """Stop the processes and forget the disk."""

    def firewall(self, instance: Instance) -> None:
        """The openings have changed."""

    def snapshot(self, instance: Instance, snapshot_id: str) -> None:
        """Copy the disk as it is now."""

    def copy_snapshot(self, source_id: str, copy_id: str) -> None:
        """Copy a copy, for another region or to keep an automatic one."""

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Forget a copy."""

    def access(self, instance: Instance) -> dict[str, Any]:
        """How to log in: ``accessDetails`` of GetInstanceAccessDetails, with a certificate that soon expires."""


class NoBodies:
    """Instances that are records only."""

    def start(self, instance: Instance) -> None:
        """Nothing boots."""

    def is_up(self, instance: Instance) -> bool:  # noqa: ARG002 - the protocol's
        """A record is up at once."""
        return True

    def stop(self, instance: Instance) -> None:
        """Nothing runs."""

    def delete(self, instance: Instance) -> None:
        """There is no disk."""

    def firewall(self, instance: Instance) -> None:
        """Nobody listens."""

    def snapshot(self, instance: Instance, snapshot_id: str) -> None:
        """There is nothing to copy."""

    def copy_snapshot(self, source_id: str, copy_id: str) -> None:
        """There is nothing to copy."""

    def delete_snapshot(self, snapshot_id: str) -> None:
        """There is nothing to forget."""

    def access(self, instance: Instance) -> dict[str, Any]:
        """Nobody can log in to a record."""
        raise operation_failure(
            f"The instance {instance.name} has no body yet: there is nothing to log in to.",
            "In the sandbox this instance is a record only.",
        )
