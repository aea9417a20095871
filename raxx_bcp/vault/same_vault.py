"""Is the vault that is about to be written to the one that the export was read from?

An address does not prove it: one vault has many (``localhost`` and ``127.0.0.1``, a second DNS name, a tunnel). The
organisation does: the export names the one that it was read from, and every access token names its own (``orgId``,
seen on a real server). Where either is unknown there are only hints: address, machine identity, the projects' ids.
"""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from raxx_bcp.clients.infisical import Identity
from raxx_bcp.vault.document import Source


class VaultMatch(enum.StrEnum):
    """How the vault relates to the export."""

    SOURCE = "source"
    """The very vault that the export was read from, or a copy of it."""
    OTHER = "other"
    UNKNOWN = "unknown"
    """One of the two does not name its organisation, and no other hint points to the same vault."""


@dataclass(frozen=True)
class VaultComparison:
    """How the vault relates to the export, and the sentence that says how that is known."""

    kin: VaultMatch
    told: str
    name: str
    """The source's name for a person: its organisation's id, or its address where the export has no id."""
    same_server: bool
    """Both have one address, whatever their organisations: a server can hold several."""

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"is_source": {VaultMatch.SOURCE: True, VaultMatch.OTHER: False}.get(self.kin), "because": self.told}


def match_vault(source: Source, url: str, identity: Identity, project_ids: Collection[str] = ()) -> VaultComparison:
    """How the vault at ``url`` relates to the export of ``source``; ``identity`` is the one that is logged in there.

    ``project_ids`` are those that both have: they are hints only, like the address.
    """
    same_server = address_of(url) == address_of(source.url)

    def found(kin: VaultMatch, told: str) -> VaultComparison:
        return VaultComparison(kin, told, source.org_id or source.url, same_server)

    if identity.identity_id == source.identity_id:
        return found(
            VaultMatch.SOURCE, f"{url} knows the export's own machine identity: it is that vault, or a copy of it"
        )
    if source.org_id and identity.org_id:
        if source.org_id == identity.org_id:
            return found(
                VaultMatch.SOURCE, f"{url} is the vault that the export was read from: organisation {source.org_id}"
            )
        where = f"{url} is organisation {identity.org_id}, the export was read from organisation {source.org_id}"
        return found(VaultMatch.OTHER, where)
    if same_server:
        return found(VaultMatch.SOURCE, f"{url} is the address that the export was read from")
    if project_ids:
        return found(
            VaultMatch.SOURCE, f"{url} has projects with the ids of the export's: it is that vault, or a copy of it"
        )
    silent = "the export does not name its organisation" if not source.org_id else "the login there names none"
    return found(
        VaultMatch.UNKNOWN,
        f"whether {url} is the vault that the export was read from is not known: {silent}; only the address "
        f"({source.url}), the identity and the projects' ids are others",
    )


def address_of(url: str) -> tuple[str, int]:
    """Host and port."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
