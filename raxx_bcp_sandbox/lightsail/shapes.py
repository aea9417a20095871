"""Records as Lightsail's shapes. Members follow the examples of the AWS CLI (``aws lightsail … help``)."""

from __future__ import annotations

from typing import Any

from raxx_bcp_sandbox.lightsail.catalogue import BLUEPRINTS, BUNDLES, Blueprint, Bundle
from raxx_bcp_sandbox.lightsail.records import (
    ACCOUNT,
    FAILED,
    STATE_CODES,
    SUCCEEDED,
    Automatic,
    Instance,
    Opening,
    Operation,
    Resource,
    Snapshot,
    Tags,
    arn,
)
from raxx_bcp_sandbox.lightsail.times import HOUR

ANYWHERE = ("0.0.0.0/0",)


def zone_of(resource: Resource) -> str:
    """A snapshot is not in a zone: ``all``."""
    return resource.zone if isinstance(resource, Instance) else "all"


def tags(given: Tags) -> list[dict[str, str]]:
    """A key without a value has no ``value``."""
    return [{"key": key} if value is None else {"key": key, "value": value} for key, value in given.items()]


def _common(resource: Resource) -> dict[str, Any]:
    image = "i" if isinstance(resource, Instance) else "ami"
    return {
        "name": resource.name,
        "arn": arn(resource),
        "supportCode": f"{ACCOUNT}/{image}-0{resource.id.replace('-', '')[:16]}",
        "createdAt": resource.created_at,
        "location": {"availabilityZone": zone_of(resource), "regionName": resource.region},
        "resourceType": resource.kind,
        "tags": tags(resource.tags),
    }


def snapshot(one: Snapshot) -> dict[str, Any]:
    """InstanceSnapshot. ``progress`` "is null for instance snapshots" (InstanceSnapshot), so it is left out."""
    return {
        **_common(one),
        "state": one.state,
        "fromAttachedDisks": [],
        "fromInstanceName": one.instance,
        "fromInstanceArn": one.instance_arn,
        "fromBlueprintId": one.blueprint,
        "fromBundleId": one.bundle,
        "isFromAutoSnapshot": one.from_automatic,
        "sizeInGb": one.disk_gb,
    }


def automatic(one: Automatic) -> dict[str, Any]:
    """AutoSnapshotDetails."""
    return {"date": one.day, "createdAt": one.created_at, "status": one.status, "fromAttachedDisks": []}


def state(one: Instance) -> dict[str, Any]:
    """InstanceState."""
    return {"code": STATE_CODES[one.state], "name": one.state}


def instance(one: Instance) -> dict[str, Any]:
    """Instance."""
    bundle, blueprint = BUNDLES[one.bundle], BLUEPRINTS[one.blueprint]
    disk = {
        "createdAt": one.created_at,
        "sizeInGb": one.disk_gb,
        "isSystemDisk": True,
        "iops": one.disk_gb * 3,
        "path": "/dev/xvda",
        "attachedTo": one.name,
        "attachmentState": "attached",
    }
    shown = {
        **_common(one),
        "blueprintId": one.blueprint,
        "blueprintName": blueprint.name,
        "bundleId": one.bundle,
        "isStaticIp": False,
        "privateIpAddress": one.address,
        "publicIpAddress": one.address,
        "ipAddressType": "ipv4",
        "hardware": {"cpuCount": bundle.cpus, "disks": [disk], "ramSizeInGb": bundle.ram_gb},
        "networking": {
            "monthlyTransfer": {"gbPerMonthAllocated": bundle.transfer_gb},
            "ports": [_port(each) for each in one.openings],
        },
        "state": state(one),
        "username": blueprint.user,
        "sshKeyName": one.key_pair or "LightsailDefaultKeyPair",
    }
    if one.automatic_hour is not None and one.automatic_due is not None:
        upcoming = int(one.automatic_due // HOUR % 24)
        shown["addOns"] = [
            {
                "name": "AutoSnapshot",
                "status": "Enabled",
                "snapshotTimeOfDay": f"{one.automatic_hour:02}:00",
                "nextSnapshotTimeOfDay": f"{upcoming:02}:00",
            }
        ]
    return shown


def _port(opening: Opening) -> dict[str, Any]:
    anywhere = "Anywhere (0.0.0.0/0)" if opening.cidrs == ANYWHERE else "Custom"
    return {
        **_range(opening),
        "accessFrom": anywhere,
        "accessType": "Public",
        "commonName": "",
        "accessDirection": "inbound",
    }


def port_state(opening: Opening) -> dict[str, Any]:
    """InstancePortState: what is not listed is closed."""
    return {**_range(opening), "state": "open"}


def _range(opening: Opening) -> dict[str, Any]:
    return {
        "fromPort": opening.first,
        "toPort": opening.last,
        "protocol": opening.protocol,
        "cidrs": list(opening.cidrs),
        "ipv6Cidrs": list(opening.ipv6_cidrs),
        "cidrListAliases": list(opening.aliases),
    }


def operation(one: Operation) -> dict[str, Any]:
    """Operation."""
    shown = {
        "id": one.id,
        "resourceName": one.resource,
        "resourceType": one.resource_kind,
        "createdAt": one.created_at,
        "location": {"availabilityZone": one.zone, "regionName": one.region},
        "isTerminal": one.status in (SUCCEEDED, FAILED),
        "operationDetails": one.details,
        "operationType": one.type,
        "status": one.status,
        "statusChangedAt": one.changed_at,
        "errorCode": one.error_code,
        "errorDetails": one.error_details,
    }
    return {name: value for name, value in shown.items() if value != ""}


def bundle(one: Bundle) -> dict[str, Any]:
    """Bundle."""
    return {
        "price": one.price,
        "cpuCount": one.cpus,
        "diskSizeInGb": one.disk_gb,
        "bundleId": one.id,
        "instanceType": one.name.lower(),
        "isActive": one.active,
        "name": one.name,
        "power": one.power,
        "ramSizeInGb": one.ram_gb,
        "transferPerMonthInGb": one.transfer_gb,
        "supportedPlatforms": ["LINUX_UNIX"],
    }


def blueprint(one: Blueprint) -> dict[str, Any]:
    """Blueprint."""
    return {
        "blueprintId": one.id,
        "name": one.name,
        "group": one.id,
        "type": "os",
        "description": f"{one.name} {one.version}, as the sandbox has it.",
        "isActive": True,
        "minPower": 0,
        "version": one.version,
        "versionCode": "1",
        "productUrl": "https://aws.amazon.com/lightsail/",
        "licenseUrl": "https://aws.amazon.com/lightsail/",
        "platform": "LINUX_UNIX",
    }
