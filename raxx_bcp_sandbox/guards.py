"""Since when Raxx's hosts have their copy guard, as the sandbox's record says; and a host that has lost it."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from raxx_bcp_sandbox.lightsail.faults import TICKETS, VAULT

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

SINCE: Final = timedelta(days=200)
"""Older than any snapshot of the sandbox."""
_LAST_LOOK: Final = timedelta(days=30)
"""Before the snapshots that a drill restores: if the host lost its guard then, those snapshots are unguarded."""
_KINDS: Final = {TICKETS: "freescout", VAULT: "vault"}
_PREFIX: Final = "host-guards/"


def put_sightings(client: S3Client, bucket: str, now: datetime) -> None:
    """Record that both hosts are guarded, unless something is recorded already."""
    for instance in _KINDS:
        if not client.list_objects_v2(Bucket=bucket, Prefix=f"{_PREFIX}{instance}/", MaxKeys=1).get("Contents"):
            _put(client, bucket, f"{instance}/installed", _sighting(instance, now - SINCE))
            _put(client, bucket, f"{instance}/seen", _sighting(instance, now - _LAST_LOOK))


def lose(client: S3Client, bucket: str, now: datetime) -> None:
    """Record that no guard was found on either host."""
    for instance in _KINDS:
        gone = {**_sighting(instance, now), "guarded": False, "why": "the copy guard is not installed"}
        _put(client, bucket, f"{instance}/lost", gone)


def find_again(client: S3Client, bucket: str) -> None:
    """Remove that record."""
    for instance in _KINDS:
        client.delete_object(Bucket=bucket, Key=f"{_PREFIX}{instance}/lost.json")


def _sighting(instance: str, seen: datetime) -> dict[str, Any]:
    """As ``raxx-bcp host guard`` records it."""
    return {
        "instance": instance,
        "seen_utc": seen.isoformat(),
        "guarded": True,
        "by": "alice",
        "kind": _KINDS[instance],
        "guard_version": "1",
        "identity_sha256": hashlib.sha256(instance.encode()).hexdigest()[:16],
        "list_sha256": "0123456789abcdef",
        "why": "",
        "schema_version": 1,
    }


def _put(client: S3Client, bucket: str, name: str, sighting: dict[str, Any]) -> None:
    client.put_object(Bucket=bucket, Key=f"{_PREFIX}{name}.json", Body=json.dumps(sighting).encode())
