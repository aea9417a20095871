"""What the store holds. Times are epoch seconds on the resources' own clock; all of it is immutable."""

from __future__ import annotations

from typing import ClassVar, Final, TypeAlias

import msgspec

ACCOUNT: Final = "111122223333"

# The states of an instance, with EC2's codes, which Lightsail uses (``InstanceState``).
PENDING, RUNNING, SHUTTING_DOWN, STOPPING, STOPPED = "pending", "running", "shutting-down", "stopping", "stopped"
STATE_CODES: Final = {PENDING: 0, RUNNING: 16, SHUTTING_DOWN: 32, STOPPING: 64, STOPPED: 80}

# The states of a manual snapshot (``InstanceSnapshotState``; a new one is PENDING too).
AVAILABLE, ERROR = "available", "error"

# The states of an automatic snapshot (``AutoSnapshotStatus``).
IN_PROGRESS, SUCCESS, FAILED = "InProgress", "Success", "Failed"

# The states of an operation (``OperationStatus``).
STARTED, SUCCEEDED, OPERATION_FAILED = "Started", "Succeeded", "Failed"

INSTANCE, SNAPSHOT = "Instance", "InstanceSnapshot"

Tags: TypeAlias = dict[str, str | None]
"""A tag may be a key without a value."""


class Opening(msgspec.Struct, frozen=True):
    """One line of an instance's firewall."""

    protocol: str
    first: int
    last: int
    cidrs: tuple[str, ...] = ("0.0.0.0/0",)
    ipv6_cidrs: tuple[str, ...] = ("::/0",)
    aliases: tuple[str, ...] = ()


DEFAULT_OPENINGS: Final = (Opening("tcp", 22, 22), Opening("tcp", 80, 80))
"""What every new Linux instance has open, also one from a snapshot of an instance that had other rules."""


class Instance(msgspec.Struct, frozen=True):
    """One virtual server (instance)."""

    region: str
    name: str
    id: str
    created_at: float
    zone: str
    blueprint: str
    bundle: str
    disk_gb: int
    address: str
    """Its own loopback address: instances that are real listen there."""
    state: str = PENDING
    due: float | None = None
    """When it leaves a transient state."""
    automatic_hour: int | None = None
    """The hour, UTC, of its automatic snapshots; None while the add-on is off."""
    automatic_due: float | None = None
    """When the next automatic snapshot starts."""
    openings: tuple[Opening, ...] = DEFAULT_OPENINGS
    tags: Tags = {}
    key_pair: str = ""
    user_data: str = ""
    from_snapshot: str = ""
    """The id of the snapshot that it was made from, manual or automatic; empty: from its blueprint."""
    snapshot_of: str = ""
    """The instance whose snapshot that was."""
    snapshot_at: float = 0.0
    """When that snapshot was taken."""

    kind: ClassVar[str] = INSTANCE


class Snapshot(msgspec.Struct, frozen=True):
    """One manual snapshot."""

    region: str
    name: str
    id: str
    created_at: float
    instance: str
    instance_arn: str
    blueprint: str
    bundle: str
    disk_gb: int
    state: str = PENDING
    due: float | None = None
    """When it is finished; None once it is."""
    ends_in: str = AVAILABLE
    from_automatic: bool = False
    tags: Tags = {}

    kind: ClassVar[str] = SNAPSHOT


class Automatic(msgspec.Struct, frozen=True):
    """One automatic snapshot. It has no name and is deleted with its instance."""

    region: str
    instance: str
    day: str
    id: str
    created_at: float
    status: str = IN_PROGRESS
    due: float | None = None


class Operation(msgspec.Struct, frozen=True):
    """What Lightsail did, or is doing, to one resource."""

    id: str
    region: str
    zone: str
    resource: str
    resource_kind: str
    type: str
    created_at: float
    changed_at: float
    details: str = ""
    status: str = STARTED
    due: float | None = None
    """When it ends; None once it has."""
    waits_for: str = ""
    """The resource that must have left its transient state first."""
    error_code: str = ""
    error_details: str = ""


Resource: TypeAlias = Instance | Snapshot


def arn(resource: Resource) -> str:
    """The Amazon Resource Name."""
    return f"arn:aws:lightsail:{resource.region}:{ACCOUNT}:{resource.kind}/{resource.id}"
