"""Throwaway projects that are still in the drill's vault, found by their slugs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from raxx_bcp.drills.engine.sweeper import Leftover
from raxx_bcp.drills.vault.throwaway_projects import OpenVault, expiry_of, project_lease
from raxx_bcp.policy import VaultDrill
from raxx_bcp.vault.target import projects_of


@dataclass
class VaultLeftovers:
    """Every throwaway project of the vault. A slug without an expiry is not ours and is left alone."""

    open_vault: OpenVault
    policy: VaultDrill
    name: str = "throwaway vault"

    def leftovers(self) -> Iterator[Leftover]:
        """Raises what the client raises."""
        with self.open_vault() as vault:
            slugs = sorted(projects_of(vault))
        for slug in slugs:
            expires = expiry_of(slug, self.policy.throwaway_prefix)
            if expires is not None:
                made = expires - timedelta(hours=self.policy.lease_hours)
                yield Leftover(project_lease(self.open_vault, slug), made, expires)
