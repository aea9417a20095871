"""The clients of the vault's two drills, made from the environment."""

from __future__ import annotations

import os

from raxx_bcp import environment
from raxx_bcp.clients.infisical_writer import InfisicalWriter
from raxx_bcp.clients.lightsail import Snapshots
from raxx_bcp.drills.hosts.connections import instances_client, require_worker_address
from raxx_bcp.drills.vault import export_drill, snapshot_drill
from raxx_bcp.drills.vault.throwaway_projects import OpenVault
from raxx_bcp.guard.connections import sightings_of
from raxx_bcp.policy import Policy
from raxx_bcp.vault.keys import operator_key


def vault_export_connections(policy: Policy, key: export_drill.DecryptionKey | None) -> export_drill.Connections:
    """The exports, and the throwaway vault where one is configured."""
    fingerprint = operator_key(policy.vault_export.gpg_fingerprint).fingerprint
    return export_drill.Connections(environment.state_bucket(policy), fingerprint, throwaway_vault(policy), key)


def throwaway_vault(policy: Policy) -> OpenVault | None:
    """Makes sessions with the empty vault that drills restore into; None where INFISICAL_DRILL_URL is not set."""
    url = os.environ.get("INFISICAL_DRILL_URL")
    if not url:
        return None
    purpose = "the identity that drills write with into the throwaway vault"
    client_id = environment.required("INFISICAL_DRILL_CLIENT_ID", purpose)
    client_secret = environment.required("INFISICAL_DRILL_CLIENT_SECRET", purpose)

    def open_vault() -> InfisicalWriter:
        return InfisicalWriter(
            url,
            client_id,
            client_secret,
            deletable_prefix=policy.vault_drill.throwaway_prefix,
            login_variables="INFISICAL_DRILL_CLIENT_",
            address_from="INFISICAL_DRILL_URL",
            timeout_seconds=policy.vault_export.timeout_seconds,
        )

    return open_vault


def vault_snapshot_connections(policy: Policy) -> snapshot_drill.Connections:
    """Lightsail, the manifests, and the export's own identity, which the restored database knows."""
    require_worker_address(policy)
    login = environment.vault_login()
    return snapshot_drill.Connections(
        instances_client(policy),
        Snapshots(),
        environment.state_bucket(policy),
        sightings_of(policy),
        login.client_id,
        login.client_secret,
    )
