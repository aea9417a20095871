"""Lightsail's instances, their sizes, firewalls and logins, as frozen types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from raxx_bcp.errors import CouldNotVerifyError

DRILL_TAG: Final = "raxx-bcp:drill"
"""Holds the id of the drill that made the instance."""
EXPIRES_TAG: Final = "raxx-bcp:expires"
"""Holds when its lease ends: ``2031-03-14T13:00:00Z``, UTC."""
AVAILABLE: Final = "available"
PENDING: Final = "pending"
ERROR: Final = "error"
RUNNING: Final = "running"
GONE_STATES: Final = frozenset({"shutting-down", "terminated"})
HOURS_A_MONTH: Final = 730.0
"""How AWS calculates a month's price."""

_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
_STATES: Final = {"Success": AVAILABLE, "InProgress": PENDING, "Failed": ERROR}


@dataclass(frozen=True, slots=True)
class ThrowawayInstance:
    """One instance. ``state`` is Lightsail's own word; ``address`` is its public IPv4 address, empty at first."""

    name: str
    state: str
    created_utc: datetime
    address: str
    blueprint: str
    bundle: str
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def drill_id(self) -> str:
        """The drill that made it; empty: not one of ours."""
        return self.tags.get(DRILL_TAG, "")

    @property
    def expires_utc(self) -> datetime | None:
        """When its lease ends; None where it has no readable lease."""
        try:
            return datetime.strptime(self.tags.get(EXPIRES_TAG, ""), _TIME).replace(tzinfo=UTC)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Bundle:
    """One size of an instance, with its price. ``active`` ones can be bought."""

    id: str
    cpus: int
    ram_gb: float
    disk_gb: int
    usd_per_month: float
    active: bool = True

    @property
    def usd_per_hour(self) -> float:
        """The price of an hour."""
        return self.usd_per_month / HOURS_A_MONTH

    def holds(self, other: Bundle) -> bool:
        """Is it at least as large? A snapshot can only be restored onto such a size."""
        return self.cpus >= other.cpus and self.ram_gb >= other.ram_gb and self.disk_gb >= other.disk_gb


@dataclass(frozen=True, slots=True)
class SnapshotSource:
    """A snapshot to make an instance from: a manual one by ``name``, or ``automatic_of`` an instance by ``day``.

    ``state`` is available, pending, error, or a word that Lightsail's model does not know.
    """

    state: str
    created_utc: datetime
    bundle_id: str
    """The bundle of the instance that the snapshot was taken from."""
    disk_gb: int
    name: str = ""
    automatic_of: str = ""
    day: str = ""

    @property
    def label(self) -> str:
        """The name that people use for it."""
        return f"the automatic snapshot of {self.automatic_of} of {self.day}" if self.automatic_of else self.name


@dataclass(frozen=True, slots=True)
class Making:
    """How a new instance is made. ``user_data`` runs as root at its first boot, and holds no secret."""

    zone: str
    bundle_id: str
    user_data: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Opening:
    """Ports that a firewall opens, and to which sources."""

    protocol: str
    first: int
    last: int
    sources: tuple[str, ...]
    """CIDR blocks of both IP versions, and the aliases that Lightsail knows (``lightsail-connect``)."""


@dataclass(frozen=True, slots=True)
class Access:
    """A short-lived login: a key with a certificate, and the host keys that Lightsail saw on the instance."""

    user: str
    address: str
    host_keys: tuple[tuple[str, str], ...]
    """(algorithm, base64 of the public key) each, as in a line of known_hosts."""
    expires_utc: datetime
    private_key: str = field(repr=False)
    certificate: str = field(repr=False)


def drill_tags(drill_id: str, expires: datetime) -> dict[str, str]:
    """The two tags of a throwaway instance; the lease's end is rounded down to the second."""
    return {DRILL_TAG: drill_id, EXPIRES_TAG: expires.astimezone(UTC).strftime(_TIME)}


def instance_of(answer: Any) -> ThrowawayInstance:
    """``Instance`` of Lightsail's model."""
    return ThrowawayInstance(
        name=answer["name"],
        state=answer.get("state", {}).get("name", "unknown"),
        created_utc=answer["createdAt"],
        address=answer.get("publicIpAddress", ""),
        blueprint=answer.get("blueprintId", ""),
        bundle=answer.get("bundleId", ""),
        tags={tag["key"]: tag.get("value", "") for tag in answer.get("tags", [])},
    )


def bundle_of(answer: Any) -> Bundle | None:
    """``Bundle`` of Lightsail's model; None for one of Windows, of Lightsail for Research, or without IPv4.

    A bundle without an IPv4 address is cheaper, and the worker could not reach it (publicIpv4AddressCount).
    """
    linux = "LINUX_UNIX" in answer.get("supportedPlatforms", ["LINUX_UNIX"])
    if not linux or answer.get("supportedAppCategories") or answer.get("publicIpv4AddressCount", 1) < 1:
        return None
    return Bundle(
        id=answer["bundleId"],
        cpus=answer.get("cpuCount", 0),
        ram_gb=answer.get("ramSizeInGb", 0.0),
        disk_gb=answer.get("diskSizeInGb", 0),
        usd_per_month=answer.get("price", 0.0),
        active=answer.get("isActive", False),
    )


def snapshot_source(answer: Any) -> SnapshotSource:
    """``InstanceSnapshot`` of Lightsail's model."""
    return SnapshotSource(
        state=answer.get("state", "unknown"),
        created_utc=answer["createdAt"],
        bundle_id=answer.get("fromBundleId", ""),
        disk_gb=answer.get("sizeInGb", 0),
        name=answer["name"],
    )


def snapshot_state(status: str) -> str:
    """An automatic snapshot's status in the words of manual ones."""
    return _STATES.get(status, status or "unknown")


def opening_of(answer: Any) -> Opening:
    """``InstancePortState`` of Lightsail's model."""
    sources = (*answer.get("cidrs", []), *answer.get("ipv6Cidrs", []), *answer.get("cidrListAliases", []))
    return Opening(answer.get("protocol", "all"), answer.get("fromPort", 0), answer.get("toPort", 65535), sources)


def access_of(answer: Any) -> Access:
    """``InstanceAccessDetails`` of Lightsail's model. Raises ``CouldNotVerifyError`` when there is no login in it."""
    missing = [name for name in ("certKey", "privateKey", "username", "ipAddress") if not answer.get(name)]
    if missing:
        raise CouldNotVerifyError(
            f"Lightsail's login to the instance lacks {', '.join(missing)}.",
            "Try again; if it stays so, look at the instance in the Lightsail console.",
        )
    keys = [(one.get("algorithm", ""), one.get("publicKey", "").split()) for one in answer.get("hostKeys", [])]
    return Access(
        user=answer["username"],
        address=answer["ipAddress"],
        host_keys=tuple((algorithm, max(words, key=len)) for algorithm, words in keys if words),
        expires_utc=answer.get("expiresAt", datetime.max.replace(tzinfo=UTC)),
        private_key=answer["privateKey"],
        certificate=answer["certKey"],
    )
