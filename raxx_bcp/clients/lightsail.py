"""The client for Lightsail's snapshots: take, look, copy, tag, and delete a *snapshot*.

Calls that could do harm are not in here. The client has no method that deletes, stops or creates an instance, and the
boto3 client behind it refuses, before a byte is sent, every operation that is not in ``ALLOWED``. A retention
script that called deleteInstance where it meant deleteInstanceSnapshot is a real incident.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from raxx_bcp.clients.aws_responses import look_at_answers
from raxx_bcp.clients.lightsail_errors import AbsentError, lightsail_errors, refuse_failed
from raxx_bcp.errors import PermanentError

if TYPE_CHECKING:
    from types_boto3_lightsail import LightsailClient

ALLOWED: Final = frozenset(
    {
        "CopySnapshot",
        "CreateInstanceSnapshot",
        "DeleteInstanceSnapshot",
        "DisableAddOn",
        "EnableAddOn",
        "GetAutoSnapshots",
        "GetInstance",
        "GetInstanceSnapshot",
        "GetInstanceSnapshots",
        "TagResource",
    }
)
AVAILABLE: Final = "available"
PENDING: Final = "pending"
ERROR: Final = "error"
_AUTO_SNAPSHOT: Final = "AutoSnapshot"


@dataclass(frozen=True, slots=True)
class InstanceSnapshot:
    """One manual snapshot. ``state`` is Lightsail's own word, which may be one that its model does not know."""

    name: str
    state: str
    created_utc: datetime
    size_gb: int
    instance_name: str
    """The instance that it was taken of; empty where Lightsail does not say."""
    tags: Mapping[str, str] = field(default_factory=dict)
    from_automatic: bool = False
    """Was it copied from an automatic snapshot?"""
    progress: str = ""


@dataclass(frozen=True, slots=True)
class AutomaticSnapshot:
    """One automatic snapshot: ``status`` is Success, Failed, InProgress, NotFound, or a newer word."""

    day: str
    created_utc: datetime
    status: str


@dataclass(frozen=True)
class Instance:
    """One instance. ``automatic_utc`` is the hour (``HH:00``) of its automatic snapshots; None: switched off."""

    name: str
    state: str
    disk_gb: int
    automatic_utc: str | None


class Snapshots:
    """The snapshots of one region, through a boto3 client that is made on first use.

    Raises ``TransientError`` (unreachable, busy, throttled), ``CouldNotVerifyError`` (a look was denied),
    ``PermanentError`` (a write was denied or refused) and its kinds in ``lightsail_errors``, ``UsageError``
    (no credentials or region).
    """

    def __init__(self, region: str = "", *, client: LightsailClient | None = None) -> None:
        self._region = region
        self._given = client
        self._made: LightsailClient | None = None

    @property
    def region(self) -> str:
        """The region's name."""
        return self._client.meta.region_name

    @property
    def _client(self) -> LightsailClient:
        if self._made is None:
            self._made = self._given or _make_client(self._region)
            look_at_answers(self._made)
            self._made.meta.events.register("provide-client-params.lightsail", _refuse_other_operations)
        return self._made

    def instance(self, name: str) -> Instance:
        """The instance called ``name``. Raises ``AbsentError``."""
        with lightsail_errors(f"look at instance {name}"):
            answer: Any = self._client.get_instance(instanceName=name)["instance"]
            disks = answer.get("hardware", {}).get("disks", [])
            addons = [one for one in answer.get("addOns", []) if one.get("name") == _AUTO_SNAPSHOT]
            enabled = [one for one in addons if one.get("status") in ("Enabled", "Enabling")]
            return Instance(
                name=answer["name"],
                state=answer.get("state", {}).get("name", "unknown"),
                disk_gb=sum(disk.get("sizeInGb", 0) for disk in disks),
                automatic_utc=enabled[0].get("snapshotTimeOfDay") if enabled else None,
            )

    def all(self) -> Iterator[InstanceSnapshot]:
        """Every manual snapshot of the account in this region, page after page: one page in memory at a time."""
        with lightsail_errors("list the snapshots"):
            for page in self._client.get_paginator("get_instance_snapshots").paginate():
                yield from map(_snapshot, page.get("instanceSnapshots", []))

    def get(self, name: str) -> InstanceSnapshot | None:
        """The snapshot called ``name``, or None where there is none."""
        try:
            with lightsail_errors(f"look at snapshot {name}"):
                return _snapshot(self._client.get_instance_snapshot(instanceSnapshotName=name)["instanceSnapshot"])
        except AbsentError:
            return None

    def automatic(self, instance: str) -> list[AutomaticSnapshot]:
        """The automatic snapshots of ``instance`` (Lightsail keeps seven), newest first."""
        with lightsail_errors(f"list the automatic snapshots of {instance}"):
            answer: Any = self._client.get_auto_snapshots(resourceName=instance)
            found = [
                AutomaticSnapshot(one["date"], one["createdAt"], one.get("status", "unknown"))
                for one in answer.get("autoSnapshots", [])
            ]
            return sorted(found, key=lambda one: one.created_utc, reverse=True)

    def create(self, name: str, instance: str, tags: Mapping[str, str]) -> None:
        """Start a snapshot. Raises ``NameTakenError``, ``AutomaticSnapshotRunningError``, ``AbsentError``."""
        action = f"take snapshot {name} of instance {instance}"
        with lightsail_errors(action, denied=PermanentError):
            answer: Any = self._client.create_instance_snapshot(
                instanceSnapshotName=name, instanceName=instance, tags=_tag_list(tags)
            )
            refuse_failed(answer.get("operations", []), action)

    def delete_snapshot(self, name: str) -> None:
        """Delete one manual snapshot, permanently. The caller has proved that it is ours and not needed."""
        action = f"delete snapshot {name}"
        with lightsail_errors(action, denied=PermanentError):
            answer: Any = self._client.delete_instance_snapshot(instanceSnapshotName=name)
            refuse_failed(answer.get("operations", []), action)

    def copy_here(self, name: str, source_region: str) -> None:
        """Start a copy of ``source_region``'s snapshot ``name`` into this region, under the same name.

        The copy carries no tags (CopySnapshot takes none): see ``tag``.
        """
        action = f"copy snapshot {name} from {source_region} to {self.region}"
        with lightsail_errors(action, denied=PermanentError):
            answer: Any = self._client.copy_snapshot(
                sourceSnapshotName=name,
                targetSnapshotName=name,
                sourceRegion=source_region,  # type: ignore[arg-type]
            )
            refuse_failed(answer.get("operations", []), action)

    def tag(self, name: str, tags: Mapping[str, str]) -> None:
        """Add ``tags`` to the resource called ``name``."""
        with lightsail_errors(f"tag {name}", denied=PermanentError):
            self._client.tag_resource(resourceName=name, tags=_tag_list(tags))

    def enable_automatic(self, instance: str, hour_utc: str) -> None:
        """Switch daily automatic snapshots on, starting within 45 minutes after ``hour_utc`` (``HH:00``)."""
        action = f"switch on automatic snapshots of {instance} at {hour_utc}"
        with lightsail_errors(action, denied=PermanentError):
            answer: Any = self._client.enable_add_on(
                resourceName=instance,
                addOnRequest={
                    "addOnType": _AUTO_SNAPSHOT,
                    "autoSnapshotAddOnRequest": {"snapshotTimeOfDay": hour_utc},
                },
            )
            refuse_failed(answer.get("operations", []), action)

    def disable_automatic(self, instance: str) -> None:
        """Switch automatic snapshots off; Lightsail keeps the existing ones."""
        action = f"switch off automatic snapshots of {instance}"
        with lightsail_errors(action, denied=PermanentError):
            answer: Any = self._client.disable_add_on(resourceName=instance, addOnType=_AUTO_SNAPSHOT)
            refuse_failed(answer.get("operations", []), action)


def _refuse_other_operations(event_name: str, **_named: Any) -> None:
    operation = event_name.rpartition(".")[2]
    if operation not in ALLOWED:
        raise PermanentError(
            f"{operation} was refused before it was sent: this client only handles snapshots.",
            "Nothing was changed. The request is a bug in the program: report it.",
        )


def _snapshot(answer: Any) -> InstanceSnapshot:
    return InstanceSnapshot(
        name=answer["name"],
        state=answer.get("state", "unknown"),
        created_utc=answer["createdAt"],
        size_gb=answer.get("sizeInGb", 0),
        instance_name=answer.get("fromInstanceName", ""),
        tags={tag["key"]: tag.get("value", "") for tag in answer.get("tags", [])},
        from_automatic=bool(answer.get("isFromAutoSnapshot", False)),
        progress=answer.get("progress", ""),
    )


def _tag_list(tags: Mapping[str, str]) -> list[Any]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _make_client(region: str) -> LightsailClient:
    import boto3
    from botocore.config import Config

    config = Config(retries={"mode": "standard", "max_attempts": 4}, connect_timeout=10, read_timeout=60)
    with lightsail_errors("reach the region"):
        return boto3.Session(region_name=region or None).client("lightsail", config=config)
