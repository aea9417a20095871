"""What is on a disk: a FreeScout, a vault, or a fresh Ubuntu; its units, and how it is made."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from raxx_bcp.errors import UsageError
from raxx_bcp_sandbox import freescout
from raxx_bcp_sandbox.hosts import guard, units
from raxx_bcp_sandbox.hosts.layout import Layout
from raxx_bcp_sandbox.infisical.identities import MissingCredentials, credentials_from
from raxx_bcp_sandbox.infisical.saved import save_world
from raxx_bcp_sandbox.infisical.seed import raxx_world
from raxx_bcp_sandbox.lightsail.faults import TICKETS, VAULT
from raxx_bcp_sandbox.lightsail.records import Instance

MARIADB, NGINX, PHP, INFISICAL, CRON, SUPERVISOR, POSTFIX, SSH = (
    *("mariadb", "nginx", "php8.1-fpm", "infisical"),
    *("cron", "supervisor", "postfix", "ssh"),
)
UNITS: Final = "units.json"
WORLD: Final = Path("infisical", "world.json")
"""Where a vault's disk keeps its database."""


class Kind(StrEnum):
    """What an instance is."""

    FREESCOUT = "freescout"
    VAULT = "vault"
    BLANK = "blank"


_UNITS: Final = {
    Kind.FREESCOUT: (SSH, MARIADB, PHP, NGINX, CRON, SUPERVISOR, POSTFIX),
    Kind.VAULT: (SSH, INFISICAL, CRON, POSTFIX),
    Kind.BLANK: (SSH, CRON),
}


_GUARDED: Final = {Kind.FREESCOUT: TICKETS, Kind.VAULT: VAULT}
"""Which disks have the copy guard, and which machine is the original."""


@dataclass(frozen=True)
class Furnishings:
    """What new disks are made with: the vault's identities by their variables, and where MariaDB's programs are."""

    variables: Mapping[str, str]
    cache: Path | None = None

    def furnish(self, layout: Layout, kind: Kind, now: float) -> None:
        """Make a disk as it would have been at ``now`` (epoch seconds).

        Raises ``UsageError`` where it cannot be made.
        """
        layout.disk.mkdir(mode=0o700, parents=True, exist_ok=True)
        if kind is Kind.FREESCOUT:
            # MariaDB and the worker use the real time, whatever the resources' clock says.
            due = datetime.fromtimestamp(min(now, time.time()), UTC)
            freescout.install(layout.disk, datetime.fromtimestamp(now, UTC), jobs_due=due, cache=self.cache)
        elif kind is Kind.VAULT:
            self._vault(layout.disk)
        units.write(layout.etc / UNITS, {name: units.UnitFile() for name in _UNITS[kind]})
        (layout.etc / "kind").write_text(kind)
        if kind in _GUARDED:
            guard.put(layout, _GUARDED[kind], kind.value)

    def _vault(self, disk: Path) -> None:
        try:
            credentials = credentials_from(self.variables)
        except MissingCredentials as error:
            raise UsageError(
                f"A vault's disk cannot be made: {error}", "Start the sandbox with its part infisical."
            ) from error
        file = disk / WORLD
        file.parent.mkdir(exist_ok=True)
        save_world(raxx_world(credentials), file)


def kind_of(layout: Layout) -> Kind:
    """What is on this disk."""
    try:
        return Kind((layout.etc / "kind").read_text())
    except (OSError, ValueError):
        return Kind.BLANK


def kind_named(instance: str) -> Kind:
    """The kind of production's instance of this name; any other was made from a blueprint."""
    return {TICKETS: Kind.FREESCOUT, VAULT: Kind.VAULT}.get(instance, Kind.BLANK)


def is_production(instance: Instance) -> bool:
    """Is it one of Raxx's own two, and not a restored copy?"""
    return instance.name in (TICKETS, VAULT) and not instance.from_snapshot
