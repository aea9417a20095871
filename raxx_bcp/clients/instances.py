"""The client for throwaway instances: make one, close its firewall, log in to it, and delete it again.

Production's instances are in the same account, so the caller states what this client may touch when it makes it:
``names``. The boto3 client itself refuses, before a byte is sent, to make, open, log in to or delete any other name.
An instance of such a name is deleted only when it carries the tag of the drill that asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from raxx_bcp.clients.aws_responses import look_at_answers
from raxx_bcp.clients.instance_shapes import (
    AVAILABLE,
    DRILL_TAG,
    EXPIRES_TAG,
    GONE_STATES,
    Access,
    Bundle,
    Making,
    Opening,
    SnapshotSource,
    ThrowawayInstance,
    access_of,
    bundle_of,
    instance_of,
    opening_of,
    snapshot_source,
    snapshot_state,
)
from raxx_bcp.clients.lightsail_errors import AbsentError, lightsail_errors, refuse_failed
from raxx_bcp.errors import PermanentError, UsageError

if TYPE_CHECKING:
    from types_boto3_lightsail import LightsailClient

LOOKS: Final = frozenset(
    {
        "GetAutoSnapshots",
        "GetBundles",
        "GetInstance",
        "GetInstancePortStates",
        "GetInstanceSnapshot",
        "GetInstances",
    }
)
BY_NAME: Final = frozenset({"DeleteInstance", "GetInstanceAccessDetails", "PutInstancePublicPorts"})
MAKES: Final = frozenset({"CreateInstances", "CreateInstancesFromSnapshot"})
ALLOWED: Final = LOOKS | BY_NAME | MAKES


class Instances:
    """The throwaway instances of one region, through a boto3 client that is made on first use.

    ``names`` are the only ones that are ever made or deleted, ``protected`` those of production. Raises ``UsageError``
    (a protected name among ``names``, no credentials or region), ``TransientError`` (unreachable, busy, throttled),
    ``CouldNotVerifyError`` (a look was denied), ``PermanentError`` (a write was denied or refused) and its kinds in
    ``lightsail_errors``.
    """

    def __init__(
        self,
        region: str = "",
        *,
        names: Iterable[str],
        protected: Iterable[str],
        client: LightsailClient | None = None,
    ) -> None:
        self.names: Final = frozenset(names)
        self.protected: Final = frozenset(protected)
        self._region = region
        self._given = client
        self._made: LightsailClient | None = None
        both = sorted(self.names & self.protected)
        if both:
            raise UsageError(
                f"The throwaway instance {both[0]} has the name of a production instance.",
                "Give the restored instance a name of its own in bcp.toml.",
            )
        if not self.names or not self.protected:
            raise UsageError(
                "There is nothing to tell throwaway instances from production's by.",
                "Name the restored and the production instances in bcp.toml.",
            )

    @property
    def region(self) -> str:
        """The region's name."""
        return self._client.meta.region_name

    @property
    def _client(self) -> LightsailClient:
        if self._made is None:
            self._made = self._given or make_client(self._region)
            look_at_answers(self._made)
            self._made.meta.events.register("provide-client-params.lightsail", self._refuse)
        return self._made

    # -- looking -----------------------------------------------------------------------------------------

    def bundles(self) -> list[Bundle]:
        """Every size of a Linux instance with an IPv4 address, including those that are no longer sold."""
        with lightsail_errors("list the bundles"):
            pages = self._client.get_paginator("get_bundles").paginate(includeInactive=True)
            found = [bundle_of(one) for page in pages for one in page.get("bundles", [])]
            return [one for one in found if one is not None]

    def get(self, name: str) -> ThrowawayInstance | None:
        """The instance called ``name``, ours or not, or None where there is none."""
        try:
            with lightsail_errors(f"look at instance {name}"):
                return instance_of(self._client.get_instance(instanceName=name)["instance"])
        except AbsentError:
            return None

    def marked(self) -> Iterator[ThrowawayInstance]:
        """Every instance with a drill's tag, page after page. A list that breaks off is an error."""
        with lightsail_errors("list the instances"):
            for page in self._client.get_paginator("get_instances").paginate():
                yield from (one for one in map(instance_of, page.get("instances", [])) if DRILL_TAG in one.tags)

    def source_of_snapshot(self, name: str) -> SnapshotSource:
        """What the manual snapshot ``name`` is of. Raises ``AbsentError``."""
        with lightsail_errors(f"look at snapshot {name}"):
            return snapshot_source(self._client.get_instance_snapshot(instanceSnapshotName=name)["instanceSnapshot"])

    def source_of_automatic(self, instance: str, day: str) -> SnapshotSource:
        """What the automatic snapshot of ``instance`` of ``day`` (``YYYY-MM-DD``) is of. Raises ``AbsentError``.

        Lightsail does not report an automatic snapshot's size, so its instance's size is used.
        """
        with lightsail_errors(f"look at the automatic snapshots of {instance}"):
            listed: Any = self._client.get_auto_snapshots(resourceName=instance)["autoSnapshots"]
            source: Any = self._client.get_instance(instanceName=instance)["instance"]
            found = [one for one in listed if one["date"] == day]
            if not found:
                raise AbsentError(
                    f"There is no automatic snapshot of {instance} of {day}.",
                    "Choose one of those that raxx-bcp snapshot shows.",
                )
            return SnapshotSource(
                state=snapshot_state(found[0].get("status", "")),
                created_utc=found[0]["createdAt"],
                bundle_id=source.get("bundleId", ""),
                disk_gb=sum(disk.get("sizeInGb", 0) for disk in source.get("hardware", {}).get("disks", [])),
                automatic_of=instance,
                day=day,
            )

    def openings(self, name: str) -> list[Opening]:
        """What the firewall in front of ``name`` lets in now."""
        with lightsail_errors(f"look at the firewall of instance {name}"):
            answer: Any = self._client.get_instance_port_states(instanceName=name)
            return [opening_of(one) for one in answer["portStates"] if one.get("state") != "closed"]

    def access(self, name: str) -> Access:
        """A login that is good for a few minutes. Raises ``PermanentError`` while the instance does not run."""
        with lightsail_errors(f"get a login to instance {name}"):
            answer: Any = self._client.get_instance_access_details(instanceName=name, protocol="ssh")
            return access_of(answer["accessDetails"])

    # -- changing ----------------------------------------------------------------------------------------

    def create_from_snapshot(self, name: str, source: SnapshotSource, making: Making) -> None:
        """Start making instance ``name`` from a snapshot. Raises ``NameTakenError``."""
        action = f"make instance {name} from {source.label}"
        chosen = (
            {"sourceInstanceName": source.automatic_of, "restoreDate": source.day}
            if source.automatic_of
            else {"instanceSnapshotName": source.name}
        )
        self._create(action, self._client.create_instances_from_snapshot, name, making, chosen)

    def create_from_blueprint(self, name: str, blueprint: str, making: Making) -> None:
        """Start making instance ``name`` from one of Lightsail's images. Raises ``NameTakenError``."""
        action = f"make instance {name} from blueprint {blueprint}"
        self._create(action, self._client.create_instances, name, making, {"blueprintId": blueprint})

    def open_only(self, name: str, port: int, cidr: str) -> None:
        """Let ``cidr`` reach TCP ``port``, and close everything else, IPv6 too (PutInstancePublicPorts)."""
        action = f"close the firewall of instance {name}"
        opening: Any = {"fromPort": port, "toPort": port, "protocol": "tcp", "cidrs": [cidr]}
        with lightsail_errors(action, denied=PermanentError):
            answer: Any = self._client.put_instance_public_ports(instanceName=name, portInfos=[opening])
            refuse_failed([answer.get("operation", {})], action)

    def delete_throwaway(self, name: str, drill_id: str) -> None:
        """Delete the instance that drill ``drill_id`` made; one that is no longer there is fine.

        Raises ``PermanentError``, and sends nothing that deletes, unless ``name`` is one of ours, is not
        production's, and the instance's tag says right now that it belongs to that drill.
        """
        self._refuse_name("DeleteInstance", name)
        found = self.get(name)
        if found is None or found.state in GONE_STATES:
            return
        if not drill_id or found.drill_id != drill_id:
            whose = f"drill {found.drill_id}" if found.drill_id else "no drill"
            raise PermanentError(
                f"The instance {name} was not deleted: it carries the tag of {whose}, not of {drill_id or 'any'}.",
                "See in the Lightsail console what it is, and delete it by hand if nobody needs it.",
            )
        action = f"delete instance {name}"
        try:
            with lightsail_errors(action, denied=PermanentError):
                answer: Any = self._client.delete_instance(instanceName=name, forceDeleteAddOns=True)
                refuse_failed(answer.get("operations", []), action)
        except AbsentError:
            return

    # -- inside ------------------------------------------------------------------------------------------

    def _create(self, action: str, call: Any, name: str, making: Making, chosen: Mapping[str, str]) -> None:
        with lightsail_errors(action, denied=PermanentError):
            answer: Any = call(
                instanceNames=[name],
                availabilityZone=making.zone,
                bundleId=making.bundle_id,
                userData=making.user_data,
                tags=[{"key": key, "value": value} for key, value in making.tags.items()],
                **chosen,
            )
            refuse_failed(answer.get("operations", []), action)

    def _refuse(self, event_name: str, params: Mapping[str, Any], **_named: Any) -> None:
        """Check every call of the boto3 client itself, right before it is sent."""
        operation = event_name.rpartition(".")[2]
        if operation not in ALLOWED:
            raise _refused(operation, "this client only handles throwaway instances")
        if operation in BY_NAME:
            self._refuse_name(operation, params.get("instanceName", ""))
        if operation in MAKES:
            for name in params.get("instanceNames", []):
                self._refuse_name(operation, name)
            keys = {tag.get("key") for tag in params.get("tags", [])}
            if not {DRILL_TAG, EXPIRES_TAG} <= keys:
                raise _refused(operation, "the instance would not say whose it is and until when")

    def _refuse_name(self, operation: str, name: str) -> None:
        if name in self.protected or name not in self.names:
            raise _refused(operation, f"{name or 'an instance without a name'} is not one of the throwaway instances")


def _refused(operation: str, why: str) -> PermanentError:
    return PermanentError(
        f"{operation} was refused before it was sent: {why}.",
        "Nothing was changed. The request is a bug in the program, or a name in bcp.toml was changed.",
    )


def make_client(region: str) -> LightsailClient:
    """A client with the machine's own AWS settings. Raises what ``lightsail_errors`` raises."""
    import boto3
    from botocore.config import Config

    config = Config(retries={"mode": "standard", "max_attempts": 4}, connect_timeout=10, read_timeout=60)
    with lightsail_errors("reach the region"):
        return boto3.Session(region_name=region or None).client("lightsail", config=config)


__all__ = [
    "ALLOWED",
    "AVAILABLE",
    "DRILL_TAG",
    "EXPIRES_TAG",
    "Access",
    "Bundle",
    "Instances",
    "Making",
    "Opening",
    "SnapshotSource",
    "ThrowawayInstance",
]
