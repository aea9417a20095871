"""Endpoints and credentials, from the environment only: they make the difference between sandbox and production."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raxx_bcp.clients.s3 import Bucket
from raxx_bcp.errors import UsageError
from raxx_bcp.policy import Policy

if TYPE_CHECKING:
    from raxx_bcp.clients.infisical import Infisical
    from raxx_bcp.clients.s3_dump_removal import DumpRemoval


@dataclass(frozen=True)
class VaultLogin:
    """Where the vault is, and the machine identity that reads it."""

    url: str
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)

    def client(self, policy: Policy) -> Infisical:
        """A client that is not logged in yet."""
        from raxx_bcp.clients.infisical import Infisical

        timeout = policy.vault_export.timeout_seconds
        return Infisical(self.url, self.client_id, self.client_secret, timeout_seconds=timeout)


def required(name: str, purpose: str, environ: Mapping[str, str] | None = None) -> str:
    """The value of ``name``. Raises ``UsageError`` naming the variable and its purpose."""
    value = (os.environ if environ is None else environ).get(name, "").strip()
    if not value:
        raise UsageError(
            f"The environment variable {name} is not set ({purpose}).",
            'Set it (see .env.example); for the local sandbox: eval "$(raxx-bcp sandbox env)".',
        )
    return value


def vault_login(environ: Mapping[str, str] | None = None) -> VaultLogin:
    """The export's own identity."""
    return VaultLogin(
        required("INFISICAL_URL", "the vault's address", environ),
        required("INFISICAL_CLIENT_ID", "the export's machine identity", environ),
        required("INFISICAL_CLIENT_SECRET", "the export's machine identity", environ),
    )


def org_admin_login(environ: Mapping[str, str] | None = None) -> VaultLogin | None:
    """The optional second identity, which may list every project of the organisation; None when not set."""
    environ = os.environ if environ is None else environ
    if not environ.get("INFISICAL_ORG_ADMIN_CLIENT_ID"):
        return None
    return VaultLogin(
        required("INFISICAL_URL", "the vault's address", environ),
        required("INFISICAL_ORG_ADMIN_CLIENT_ID", "the optional completeness identity", environ),
        required("INFISICAL_ORG_ADMIN_CLIENT_SECRET", "the optional completeness identity", environ),
    )


def state_bucket(policy: Policy) -> Bucket:
    """The bucket of Terraform's state and of the exports, with the machine's own AWS credentials."""
    return Bucket(policy.state_bucket.name)


def dump_bucket(policy: Policy) -> Bucket:
    """Where FreeScout's dump sets are."""
    return Bucket(policy.freescout.dump_bucket or policy.state_bucket.name)


def dump_removal(policy: Policy) -> DumpRemoval:
    """The client that removes dump sets that the policy no longer keeps."""
    from raxx_bcp.clients.s3_dump_removal import DumpRemoval

    return DumpRemoval(policy.freescout.dump_bucket or policy.state_bucket.name, policy.freescout.dump_prefix)


def second_bucket(policy: Policy) -> Bucket | None:
    """The bucket of the second copy, or None when the policy names none."""
    copy = policy.vault_export.second_copy
    return Bucket(copy.bucket, region=copy.region, profile=copy.profile) if copy.configured else None
