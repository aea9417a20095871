"""The identities of a seeded vault, and their logins. Credentials come from the environment, never from code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from raxx_bcp_sandbox.infisical.state import Actor, OrgRole
from raxx_bcp_sandbox.infisical.world import World

PREFIX = "RAXX_SANDBOX_"
EXPORTER = ""
ORG_ADMIN = "ORG_ADMIN_"
RESTORE = "RESTORE_"
TOKEN_LIFE_S = 3_600


class MissingCredentials(Exception):  # noqa: N818 - read by people as a sentence
    """The exporter's client id or client secret is not set."""


@dataclass(frozen=True, slots=True)
class Login:
    """A client id and its client secret."""

    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The logins of the three machine identities; only the exporter must have one."""

    exporter: Login
    org_admin: Login | None = None
    restore: Login | None = None


def credentials_from(environment: Mapping[str, str]) -> Credentials:
    """Read ``RAXX_SANDBOX_[ORG_ADMIN_|RESTORE_]CLIENT_{ID,SECRET}``. Raises ``MissingCredentials``."""
    exporter = _login(environment, EXPORTER)
    if exporter is None:
        raise MissingCredentials(
            f"The vault stand-in needs {PREFIX}CLIENT_ID and {PREFIX}CLIENT_SECRET in the environment: "
            "it has no defaults, so that no credential is ever written down."
        )
    return Credentials(exporter, _login(environment, ORG_ADMIN), _login(environment, RESTORE))


def _login(environment: Mapping[str, str], who: str) -> Login | None:
    client_id = environment.get(f"{PREFIX}{who}CLIENT_ID", "")
    client_secret = environment.get(f"{PREFIX}{who}CLIENT_SECRET", "")
    return Login(client_id, client_secret) if client_id and client_secret else None


def add_identities(world: World, credentials: Credentials) -> tuple[Actor, Actor, Actor]:
    """Add the exporter (org role no-access), the org admin and the restore writer (org role member)."""
    exporter = _add(world, "raxx-bcp-exporter", "no-access", credentials.exporter)
    org_admin = _add(world, "raxx-bcp-completeness", "admin", credentials.org_admin)
    restore = _add(world, "raxx-bcp-restore", "member", credentials.restore)
    world.exporter_id = exporter.id
    return exporter, org_admin, restore


def _add(world: World, name: str, role: OrgRole, login: Login | None) -> Actor:
    client_id = login.client_id if login else None
    actor = world.add_actor(name, org_role=role, client_id=client_id, ttl=TOKEN_LIFE_S, max_ttl=2 * TOKEN_LIFE_S)
    if login is not None:
        world.add_client_secret(actor, login.client_secret)
    return actor
