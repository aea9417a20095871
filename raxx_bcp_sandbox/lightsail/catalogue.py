"""A small part of what Lightsail sells: bundles, blueprints and regions.

Bundles and blueprints are a few of the real ones (``get-bundles``, ``get-blueprints``). ``small_1_0`` is of the
first generation, 2 GB RAM on a 40 GB disk: it is no longer sold, and instances that have it keep it.
"""

from __future__ import annotations

from typing import Final

import msgspec


class Bundle(msgspec.Struct, frozen=True):
    """One instance size, with its price in USD per month."""

    id: str
    name: str
    price: float
    cpus: int
    ram_gb: float
    disk_gb: int
    power: int
    transfer_gb: int
    active: bool = True

    def holds(self, other: Bundle, disk_gb: int) -> bool:
        """Can an instance of bundle ``other``, with a disk of ``disk_gb``, be restored onto this one?"""
        return self.cpus >= other.cpus and self.ram_gb >= other.ram_gb and self.disk_gb >= max(other.disk_gb, disk_gb)


class Blueprint(msgspec.Struct, frozen=True):
    """One image that an instance can be made from."""

    id: str
    name: str
    user: str
    version: str


_BUNDLES: Final = (
    Bundle("nano_3_0", "Nano", 5.0, 2, 0.5, 20, 298, 1024),
    Bundle("micro_3_0", "Micro", 7.0, 2, 1.0, 40, 500, 2048),
    Bundle("small_3_0", "Small", 12.0, 2, 2.0, 60, 1000, 3072),
    Bundle("medium_3_0", "Medium", 24.0, 2, 4.0, 80, 2000, 4096),
    Bundle("large_3_0", "Large", 44.0, 2, 8.0, 160, 3000, 5120),
    Bundle("small_1_0", "Small", 20.0, 1, 2.0, 40, 1000, 3072, active=False),
)
_BLUEPRINTS: Final = (
    Blueprint("ubuntu_20_04", "Ubuntu", "ubuntu", "20.04 LTS"),
    Blueprint("ubuntu_22_04", "Ubuntu", "ubuntu", "22.04 LTS"),
    Blueprint("ubuntu_24_04", "Ubuntu", "ubuntu", "24.04 LTS"),
    Blueprint("debian_12", "Debian", "admin", "12.11"),
)
BUNDLES: Final = {each.id: each for each in _BUNDLES}
BLUEPRINTS: Final = {each.id: each for each in _BLUEPRINTS}
REGIONS: Final = {
    "us-east-1": ("NA", "Virginia"),
    "us-east-2": ("NA", "Ohio"),
    "us-west-2": ("NA", "Oregon"),
    "eu-central-1": ("EU", "Frankfurt"),
    "eu-west-1": ("EU", "Ireland"),
}
ZONES: Final = ("a", "b", "c")
