"""The vault's content, as plain objects. Nothing here depends on HTTP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

Clock = Callable[[], float]
OrgRole = Literal["no-access", "member", "admin"]
ActorKind = Literal["identity", "user"]


def iso(seconds: float) -> str:
    """A moment as the vault writes it: UTC, milliseconds, ``Z``."""
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def clean_path(path: str) -> str:
    """``/a/b`` for ``a/b/``; ``/`` for an empty path."""
    return "/" + "/".join(part for part in path.split("/") if part)


def depth_of(path: str) -> int:
    """How many folders deep ``path`` is; 0 for ``/``."""
    return 0 if path == "/" else path.count("/")


@dataclass(slots=True)
class ClientSecret:
    """One client secret of an identity. Only a digest of it is kept."""

    id: str
    digest: bytes = field(repr=False)
    prefix: str = field(repr=False)
    created_at: str
    updated_at: str
    uses: int = 0
    uses_limit: int = 0
    ttl: int = 0
    born: float = 0.0
    revoked: bool = False


@dataclass(slots=True)
class UniversalAuth:
    """How an identity logs in: client id, client secrets, token life, lockout counters."""

    id: str
    client_id: str
    ttl: int = 2_592_000
    max_ttl: int = 2_592_000
    token_uses_limit: int = 0
    """How often an access token may be used (``accessTokenNumUsesLimit``); 0: no limit."""
    secrets: list[ClientSecret] = field(default_factory=list)
    failures: int = 0
    forget_failures_at: float = 0.0
    locked_until: float = 0.0


@dataclass(slots=True)
class Actor:
    """A person or a machine identity, with its role in the organisation."""

    id: str
    kind: ActorKind
    name: str
    org_role: OrgRole
    membership_id: str
    auth: UniversalAuth | None = None


@dataclass(slots=True)
class Tag:
    """A tag of a project."""

    id: str
    slug: str
    color: str
    created_at: str
    created_by: str
    created_by_kind: str


@dataclass(slots=True)
class Version:
    """A secret's content at one of its versions, and who set it."""

    version: int
    value: str = field(repr=False)
    comment: str
    skip_multiline: bool
    created_at: str
    actor: Actor


@dataclass(slots=True)
class Secret:
    """A secret of a folder. ``encoded`` caches its JSON in a list of secrets."""

    id: str
    key: str
    value: str = field(repr=False)
    folder: Folder = field(repr=False)
    created_at: str
    updated_at: str
    comment: str = ""
    skip_multiline: bool = False
    metadata: list[dict[str, Any]] = field(default_factory=list, repr=False)
    tags: list[Tag] = field(default_factory=list)
    reminder_note: str | None = None
    reminder_days: int | None = None
    version: int = 1
    rotation_id: str | None = None
    kind: Literal["shared", "personal"] = "shared"
    versions: list[Version] = field(default_factory=list, repr=False)
    personal: dict[str, Secret] = field(default_factory=dict, repr=False)
    encoded: bytes | None = field(default=None, repr=False)


@dataclass(slots=True)
class SecretImport:
    """A link that makes another folder's secrets appear in this one."""

    id: str
    folder: Folder = field(repr=False)
    source: Environment = field(repr=False)
    path: str
    position: int
    created_at: str


@dataclass(slots=True)
class Folder:
    """A folder of an environment; the root is the folder named ``root`` at ``/``."""

    id: str
    name: str
    path: str
    parent_id: str | None
    environment: Environment = field(repr=False)
    created_at: str
    updated_at: str
    description: str | None = None
    last_secret_modified: str | None = None
    secrets: dict[str, Secret] = field(default_factory=dict, repr=False)
    imports: list[SecretImport] = field(default_factory=list, repr=False)


@dataclass(slots=True)
class Environment:
    """An environment of a project, with its folders by path."""

    id: str
    name: str
    slug: str
    position: int
    project: Project = field(repr=False)
    created_at: str
    folders: dict[str, Folder] = field(default_factory=dict, repr=False)
    deleted: float | None = None
    """When it was marked as deleted; None for one that was not."""


@dataclass(slots=True)
class Role:
    """One role of a membership. ``slug`` is ``custom`` for a custom role, which then has a name."""

    id: str
    slug: str
    custom_name: str | None = None
    custom_slug: str | None = None


@dataclass(slots=True)
class Membership:
    """An actor's membership in a project: its roles and its additional privileges."""

    id: str
    actor: Actor
    created_at: str
    roles: list[Role]
    privileges: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class Project:
    """A project (``workspace`` in older words)."""

    id: str
    name: str
    slug: str
    kind: str
    description: str | None
    created_at: str
    updated_at: str
    order: int
    environments: dict[str, Environment] = field(default_factory=dict, repr=False)
    deleted_environments: dict[str, Environment] = field(default_factory=dict, repr=False)
    tags: dict[str, Tag] = field(default_factory=dict, repr=False)
    members: dict[str, Membership] = field(default_factory=dict, repr=False)

    def ordered_environments(self) -> list[Environment]:
        """Its environments by position."""
        return sorted(self.environments.values(), key=lambda environment: environment.position)
