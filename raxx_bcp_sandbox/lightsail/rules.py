"""Rules of the service that its model does not contain. Each names its source."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Any, Final

from raxx_bcp_sandbox.lightsail.catalogue import BUNDLES, ZONES, Bundle
from raxx_bcp_sandbox.lightsail.errors import invalid_input
from raxx_bcp_sandbox.lightsail.records import Tags

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*[A-Za-z0-9_]")
_LONGEST_NAME: Final = 255
_MOST_TAGS, _LONGEST_KEY, _LONGEST_VALUE = 50, 128, 256
_AUTOMATIC: Final = "AutoSnapshot"


def check_new_name(name: str) -> None:
    """A name that a new resource may have. The words are Lightsail's (terraform-provider-aws, pull 8647)."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise invalid_input(
            f"{name} is not a valid resource name. Resource names must be at least 2 characters long and contain only "
            "alphanumerics, -, _, and ."
        )


def automatic_hour(add_on: dict[str, Any]) -> int:
    """The hour of an AutoSnapshot add-on request.

    AutoSnapshotAddOnRequest: "Must be in HH:00 format, and in an hourly increment." The wire's pattern lets
    06:30 through; the service does not.
    """
    if add_on["addOnType"] != _AUTOMATIC:
        raise invalid_input(f"The add-on {add_on['addOnType']} is not for this kind of instance.")
    time_of_day = add_on.get("autoSnapshotAddOnRequest", {}).get("snapshotTimeOfDay")
    if time_of_day is None:
        raise invalid_input("snapshotTimeOfDay is required for the AutoSnapshot add-on.")
    if not time_of_day.endswith(":00"):
        raise invalid_input(
            f"snapshotTimeOfDay must be in HH:00 format, and in an hourly increment: {time_of_day} is not.",
            "Choose a full hour.",
        )
    return int(time_of_day[:2])


def check_zone(zone: str, region: str) -> None:
    """An availability zone of the region: its name and a letter (CreateInstances)."""
    if zone not in {region + letter for letter in ZONES}:
        raise invalid_input(f"The availability zone {zone} is not one of {region}.")


def active_bundle(bundle_id: str) -> Bundle:
    """A bundle that is sold. GetBundles calls the others "inactive (unavailable)"."""
    bundle = BUNDLES.get(bundle_id)
    if bundle is None or not bundle.active:
        raise invalid_input(f"The bundle {bundle_id} does not exist or is not available.")
    return bundle


def read_tags(tags: Iterable[dict[str, str]], onto: Tags | None = None) -> Tags:
    """``tags`` of a request, added to the existing ones (userguide, "Tags": 50, keys 128, values 256)."""
    merged = {**(onto or {}), **{each.get("key", ""): each.get("value") for each in tags}}
    for key, value in merged.items():
        if not 1 <= len(key) <= _LONGEST_KEY or len(value or "") > _LONGEST_VALUE or key.lower().startswith("aws:"):
            raise invalid_input(
                f"The tag {key[:_LONGEST_KEY]} is not valid: a key has 1 to 128 characters and does not "
                "begin with aws:, a value has up to 256."
            )
    if len(merged) > _MOST_TAGS:
        raise invalid_input(f"A resource can have up to {_MOST_TAGS} tags.")
    return merged


def check_cidrs(cidrs: Iterable[str], version: int) -> None:
    """Addresses or blocks of one IP version (PortInfo)."""
    for each in cidrs:
        try:
            right = ipaddress.ip_network(each, strict=False).version == version
        except ValueError:
            right = False
        if not right:
            raise invalid_input(f"{each} is not an IPv{version} address or CIDR block.")
