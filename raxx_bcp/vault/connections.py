"""The export's doors, made from the environment: endpoints and credentials are all that differ."""

from __future__ import annotations

from raxx_bcp import environment
from raxx_bcp.policy import Policy
from raxx_bcp.vault.export import ExportDoors


def export_doors(policy: Policy) -> ExportDoors:
    """Raises ``UsageError`` naming the first variable that is missing."""
    org_admin = environment.org_admin_login()
    return ExportDoors(
        vault=environment.vault_login().client(policy),
        bucket=environment.state_bucket(policy),
        org_admin=org_admin.client(policy) if org_admin else None,
        second_bucket=environment.second_bucket(policy),
    )
