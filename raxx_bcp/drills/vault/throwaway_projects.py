"""Throwaway projects in a vault: the slug names the drill and the expiry. Nothing else is ever deleted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from raxx_bcp.clients.infisical_writer import InfisicalWriter
from raxx_bcp.drills.engine.expiring_names import expiring_name, expiry_in
from raxx_bcp.drills.engine.leases import Lease
from raxx_bcp.vault.target import projects_of

OpenVault = Callable[[], InfisicalWriter]
"""Makes a session that is not logged in yet: one for the drill, and one for each look and each deletion."""

REMAINS: Final = "deleted; purged by the server within minutes, its rows stay in the vault's database until then"
"""A deletion only marks the project; the API does not show when its rows are purged.

The slug becomes ``del-…`` and no call finds it. A job of the server purges it (every five minutes, seen on a real
server).
"""


def project_slug(prefix: str, expires: datetime, number: int, token: str) -> str:
    """``raxx-drill-2611242045-1-a1b2c3``: the expiry (UTC, to the minute, rounded up) is in the slug itself.

    At most 36 characters, which is the vendor's limit, for up to 9,999,999 projects.
    """
    return expiring_name(prefix, expires, str(number), token)


def expiry_of(slug: str, prefix: str) -> datetime | None:
    """When the lease in a throwaway project's slug ends; None for any other slug, which is then not ours."""
    return expiry_in(slug, prefix, r"\d{1,7}-[0-9a-f]{6}")


def project_lease(open_vault: OpenVault, slug: str) -> Lease:
    """The lease of a throwaway project. It is gone when it is no longer listed, though its rows exist for minutes."""
    deleted: list[str] = []

    def release() -> None:
        """Found by its slug, since the answer to its creation may have been lost."""
        with open_vault() as vault:
            project = projects_of(vault).get(slug)
            if project is not None:
                deleted.append(project.id)  # before the call: its answer may be lost as well
                vault.delete_project(project.id)

    return Lease(
        kind="infisical project",
        name=slug,
        release=release,
        gone=lambda: _is_gone(open_vault, slug),
        remains=lambda: REMAINS if deleted else "",
    )


def _is_gone(open_vault: OpenVault, slug: str) -> bool:
    with open_vault() as vault:
        return slug not in projects_of(vault)
