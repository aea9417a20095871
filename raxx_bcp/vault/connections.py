"""The export's clients, made from the environment: only endpoints and credentials differ."""

from __future__ import annotations

from raxx_bcp import environment
from raxx_bcp.policy import Policy
from raxx_bcp.vault.export import ExportConnections


def export_connections(policy: Policy) -> ExportConnections:
    """Raises ``UsageError`` naming the first variable that is missing."""
    org_admin = environment.org_admin_login()
    return ExportConnections(
        vault=environment.vault_login().client(policy),
        bucket=environment.state_bucket(policy),
        org_admin=org_admin.client(policy) if org_admin else None,
        second_bucket=environment.second_bucket(policy),
    )
