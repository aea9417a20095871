"""The result of the walk: the vault as read, grouped the way a restore needs it."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from raxx_bcp.clients.infisical import Environment, Identity, Privilege, Project, Role


def place_of(project: str, environment: str, path: str) -> str:
    """``raxx-ops/prod/api`` for the folder ``/api``; ``raxx-ops/prod/`` for the root."""
    return f"{project}/{environment}{path}"


@dataclass
class FolderSurvey:
    """One folder as read. ``raw`` is None for the root, which the API never lists.

    Fields that hold secrets are kept out of ``repr``.
    """

    path: str
    raw: msgspec.Raw | None
    says_it_has_secrets: bool
    secrets: list[msgspec.Raw] = field(default_factory=list, repr=False)
    imports: list[msgspec.Raw] = field(default_factory=list, repr=False)


@dataclass
class EnvironmentSurvey:
    """One environment as read; ``folders`` by path, the root as ``/``."""

    environment: Environment
    folders: dict[str, FolderSurvey] = field(repr=False)
    secret_count: int = 0
    import_count: int = 0
    hidden_paths: tuple[str, ...] = ()
    newest_change: str = ""
    """ISO 8601 as the vendor writes it; empty where there are no secrets."""


@dataclass
class ProjectSurvey:
    """One project as read."""

    project: Project
    raw: msgspec.Raw = field(repr=False)
    roles: list[Role] = field(default_factory=list)
    tags: list[msgspec.Raw] = field(default_factory=list, repr=False)
    environments: list[EnvironmentSurvey] = field(default_factory=list)


@dataclass(frozen=True)
class Membership:
    """One project that the identity has joined.

    ``roles`` is None where it may not even read its role; ``privileges`` is None where the list of its
    additional privileges could not be read.
    """

    project: Project
    raw: msgspec.Raw = field(repr=False)
    roles: tuple[Role, ...] | None
    privileges: tuple[Privilege, ...] | None


@dataclass(frozen=True)
class EnvironmentCount:
    """How much of one environment was read; for tables and manifests."""

    project: str
    environment: str
    folders: int
    secrets: int
    imports: int


@dataclass
class Survey:
    """The whole vault as read by ``identity``."""

    url: str
    identity: Identity
    projects: list[ProjectSurvey]

    def counts(self) -> tuple[EnvironmentCount, ...]:
        """A row for every environment. ``folders`` does not count the root."""
        return tuple(
            EnvironmentCount(
                project=project.project.slug,
                environment=environment.environment.slug,
                folders=len(environment.folders) - 1,
                secrets=environment.secret_count,
                imports=environment.import_count,
            )
            for project in self.projects
            for environment in project.environments
        )

    def folders_with_secrets(self) -> dict[str, int]:
        """How many secrets each folder holds, by ``project/environment/path``; folders without any are left out."""
        return {
            place_of(project.project.slug, environment.environment.slug, path): len(folder.secrets)
            for project in self.projects
            for environment in project.environments
            for path, folder in environment.folders.items()
            if folder.secrets
        }

    @property
    def newest_change(self) -> str:
        """When the youngest secret was changed (ISO 8601), empty where there is none."""
        return max((e.newest_change for p in self.projects for e in p.environments), default="")
