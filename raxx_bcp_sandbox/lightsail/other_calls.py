"""Operations, tags, and what Lightsail sells."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from raxx_bcp_sandbox.lightsail import shapes
from raxx_bcp_sandbox.lightsail.call import PAGE, Answer, Call, Handler, page_token
from raxx_bcp_sandbox.lightsail.catalogue import BLUEPRINTS, BUNDLES, REGIONS, ZONES
from raxx_bcp_sandbox.lightsail.errors import invalid_input, not_found
from raxx_bcp_sandbox.lightsail.records import Operation, Resource, arn
from raxx_bcp_sandbox.lightsail.rules import read_tags

_NEWEST: Final = 2**62


def get_operation(call: Call) -> Answer:
    """GetOperation."""
    found = call.world.store.operation(call.region, call.parameters["operationId"])
    if found is None:
        raise not_found("Operation", call.parameters["operationId"])
    return {"operation": shapes.operation(found)}


def get_operations(call: Call) -> Answer:
    """GetOperations, newest first."""
    start = call.page_start("operations", _NEWEST)
    return _operations(call.world.store.operations(call.region, start, PAGE + 1))


def get_operations_for_resource(call: Call) -> Answer:
    """GetOperationsForResource, newest first; also of a deleted resource."""
    start = call.page_start("operations", _NEWEST)
    return _operations(call.world.store.operations(call.region, start, PAGE + 1, call.parameters["resourceName"]))


def _operations(rows: list[tuple[int, Operation]]) -> Answer:
    more = {"nextPageToken": page_token("operations", rows[PAGE - 1][0])} if len(rows) > PAGE else {}
    return {"operations": [shapes.operation(each) for _, each in rows[:PAGE]], **more}


def tag_resource(call: Call) -> Answer:
    """TagResource."""
    resource = _tagged(call)
    return _retag(call, resource, read_tags(call.parameters["tags"], resource.tags))


def untag_resource(call: Call) -> Answer:
    """UntagResource; missing keys are not an error."""
    resource, keys = _tagged(call), call.parameters["tagKeys"]
    return _retag(call, resource, {key: value for key, value in resource.tags.items() if key not in keys})


def _tagged(call: Call) -> Resource:
    resource = call.world.resource(call.region, call.parameters["resourceName"])
    given = call.parameters.get("resourceArn")
    if given is not None and given != arn(resource):
        raise invalid_input(f"The resourceArn is not that of {resource.name}.")
    return resource


def _retag(call: Call, resource: Resource, tags: dict[str, str | None]) -> Answer:
    call.world.store.change(resource, tags=tags)
    kind = "TagResource" if call.parameters.get("tags") is not None else "UntagResource"
    return {"operations": [call.world.begin(resource, kind)]}


def get_bundles(call: Call) -> Answer:
    """GetBundles."""
    every = call.parameters.get("includeInactive", False)
    return {"bundles": [shapes.bundle(each) for each in BUNDLES.values() if each.active or every]}


def get_blueprints(_call: Call) -> Answer:
    """GetBlueprints."""
    return {"blueprints": [shapes.blueprint(each) for each in BLUEPRINTS.values()]}


def get_regions(call: Call) -> Answer:
    """GetRegions: a few of them."""
    with_zones = call.parameters.get("includeAvailabilityZones", False)
    return {"regions": [_region(name, ZONES if with_zones else ()) for name in REGIONS]}


def _region(name: str, zones: Iterable[str]) -> dict[str, Any]:
    continent, title = REGIONS[name]
    return {
        "continentCode": continent,
        "description": f"{title}, as the sandbox has it.",
        "displayName": title,
        "name": name,
        "availabilityZones": [{"zoneName": name + zone, "state": "available"} for zone in zones],
        "relationalDatabaseAvailabilityZones": [],
    }


HANDLERS: dict[str, Handler] = {
    "GetBlueprints": get_blueprints,
    "GetBundles": get_bundles,
    "GetOperation": get_operation,
    "GetOperations": get_operations,
    "GetOperationsForResource": get_operations_for_resource,
    "GetRegions": get_regions,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
}
