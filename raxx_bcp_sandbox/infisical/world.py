"""The organisation and the operations that change it.

Ids are uuid5 of the organisation, a counter and the thing's name, times come from the world's clock. So the same steps
give the same world, and no two organisations share an id, as no two real vaults do.
"""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence

from raxx_bcp_sandbox.infisical.errors import internal
from raxx_bcp_sandbox.infisical.state import (
    Actor,
    ActorKind,
    ClientSecret,
    Clock,
    Environment,
    Folder,
    Membership,
    OrgRole,
    Project,
    Role,
    Secret,
    SecretImport,
    Tag,
    UniversalAuth,
    Version,
    depth_of,
    iso,
)

NAMESPACE = uuid.UUID("6f1f0b56-3f5f-5d0c-9d0a-7a1e6f7f5a11")
DEEPEST_FOLDER = 20
KEPT_S = 14 * 86_400.0
"""How long a deleted environment can be restored, and holds its slug."""
PURGE_EVERY_S = 300.0
"""The server's job that purges deleted projects runs every five minutes."""
DEFAULT_ENVIRONMENTS = (("Development", "dev"), ("Staging", "staging"), ("Production", "prod"))


class World:
    """The organisation. ``lock`` guards it; ``revision`` grows with every change."""

    def __init__(self, *, org_name: str, org_slug: str, clock: Clock, org_id: str | None = None) -> None:
        self.clock = clock
        self.org_name = org_name
        self.org_slug = org_slug
        self.lock = threading.RLock()
        self.revision = 0
        self.actors: dict[str, Actor] = {}
        self.projects: dict[str, Project] = {}
        self.secrets: dict[str, Secret] = {}
        self.exporter_id: str | None = None
        self._deleted: list[tuple[float, Project]] = []
        self._namespace = uuid.uuid5(NAMESPACE, org_slug)
        self.org_id = org_id or self.new_id("organization", org_slug)

    def new_id(self, *name: str) -> str:
        """The next id, for a thing of this name."""
        self.revision += 1
        return str(uuid.uuid5(self._namespace, "\0".join((str(self.revision), *name))))

    def now(self) -> str:
        """The current time as the vault writes it."""
        return iso(self.clock())

    def add_actor(
        self,
        name: str,
        *,
        kind: ActorKind = "identity",
        org_role: OrgRole = "no-access",
        actor_id: str | None = None,
        client_id: str | None = None,
        ttl: int = 2_592_000,
        max_ttl: int = 2_592_000,
    ) -> Actor:
        """Add a person or a machine identity; with ``client_id`` it can log in."""
        actor = Actor(
            id=actor_id or self.new_id(kind, name),
            kind=kind,
            name=name,
            org_role=org_role,
            membership_id=self.new_id("organization-membership", name),
        )
        if client_id is not None:
            actor.auth = UniversalAuth(self.new_id("universal-auth", name), client_id, ttl, max_ttl)
        self.actors[actor.id] = actor
        return actor

    def add_client_secret(
        self, actor: Actor, plain: str, *, uses_limit: int = 0, ttl: int = 0, secret_id: str | None = None
    ) -> ClientSecret:
        """Add a client secret to an identity."""
        if actor.auth is None:
            raise ValueError(f"{actor.name} has no universal auth")
        now = self.now()
        secret = ClientSecret(
            id=secret_id or self.new_id("client-secret", actor.name),
            digest=hashlib.sha256(plain.encode()).digest(),
            prefix=plain[:4],
            created_at=now,
            updated_at=now,
            uses_limit=uses_limit,
            ttl=ttl,
            born=self.clock(),
        )
        actor.auth.secrets.append(secret)
        return secret

    def add_project(
        self,
        name: str,
        slug: str,
        *,
        creator: Actor | None,
        kind: str = "secret-manager",
        description: str | None = None,
        environments: Iterable[tuple[str, str]] = DEFAULT_ENVIRONMENTS,
    ) -> Project:
        """Add a project; its creator becomes its admin."""
        now = self.now()
        project = Project(
            id=self.new_id("project", slug),
            name=name,
            slug=slug,
            kind=kind,
            description=description,
            created_at=now,
            updated_at=now,
            order=max((other.order for other in self.projects.values()), default=-1) + 1,
        )
        self.projects[project.id] = project
        for environment_name, environment_slug in environments:
            self.add_environment(project, environment_name, environment_slug)
        if creator is not None:
            self.add_member(project, creator, "admin")
        return project

    def remove_project(self, project: Project) -> None:
        """Mark a project as deleted: from now on no call finds it, and its rows stay until the job purges them."""
        self.revision += 1
        del self.projects[project.id]
        for secret in _secrets_of(project):
            self.secrets.pop(secret.id, None)
        project.slug = f"del-{project.id.replace('-', '')}"
        self._deleted.append((self.clock(), project))

    def secret_rows(self) -> int:
        """How many secrets the database holds, including those of deleted projects that are not purged yet."""
        last_purge = self.clock() // PURGE_EVERY_S * PURGE_EVERY_S
        self._deleted = [(at, project) for at, project in self._deleted if at >= last_purge]
        projects = [*self.projects.values(), *(project for _at, project in self._deleted)]
        return sum(1 for project in projects for _secret in _secrets_of(project))

    def add_member(self, project: Project, actor: Actor, *roles: str) -> Membership:
        """Make an actor a member of a project; these roles replace its former ones."""
        membership = Membership(
            id=self.new_id("membership", project.slug, actor.id),
            actor=actor,
            created_at=self.now(),
            roles=[Role(self.new_id("role", project.slug, actor.id, role), role) for role in roles],
        )
        project.members[actor.id] = membership
        return membership

    def add_environment(self, project: Project, name: str, slug: str, position: int | None = None) -> Environment:
        """Add an environment with its root folder, at the end or at ``position``."""
        place = len(project.environments) + 1 if position is None else position
        if any(other.position == place for other in project.environments.values()):
            for other in project.environments.values():
                other.position += other.position >= place
        environment = Environment(
            self.new_id("environment", project.slug, slug), name, slug, place, project, self.now()
        )
        project.environments[slug] = environment
        self._add_one_folder(environment, "root", "/", None)
        return environment

    def move_environment(self, environment: Environment, position: int) -> None:
        """Put it at ``position``; those between its old place and the new one move by one, if that one is taken."""
        others = [one for one in environment.project.environments.values() if one is not environment]
        old = environment.position
        if any(other.position == position for other in others):
            for other in others:
                if old < other.position <= position:
                    other.position -= 1
                elif position <= other.position < old:
                    other.position += 1
        environment.position = position
        self.revision += 1

    def delete_environment(self, environment: Environment) -> None:
        """Mark it as deleted: no list shows it or an import from it, and it holds its slug for 14 days."""
        project = environment.project
        del project.environments[environment.slug]
        for other in project.environments.values():
            other.position -= other.position > environment.position
        environment.deleted = self.clock()
        project.deleted_environments[environment.slug] = environment
        for secret in _secrets_in(environment):
            del self.secrets[secret.id]
        self.revision += 1

    def deleted_environments(self, project: Project) -> dict[str, Environment]:
        """Those that can still be restored, by slug; older ones are purged."""
        kept = project.deleted_environments
        for slug in [slug for slug, one in kept.items() if self.clock() >= (one.deleted or 0.0) + KEPT_S]:
            del kept[slug]
        return kept

    def restore_environment(self, environment: Environment) -> None:
        """Restore a deleted one with its content: it is the last in order."""
        project = environment.project
        del project.deleted_environments[environment.slug]
        environment.deleted = None
        environment.position = max((other.position for other in project.environments.values()), default=0) + 1
        project.environments[environment.slug] = environment
        self.secrets |= {secret.id: secret for secret in _secrets_in(environment)}
        self.revision += 1

    def add_tag(self, project: Project, slug: str, color: str, creator: Actor) -> Tag:
        """Add a tag to a project."""
        tag = Tag(self.new_id("tag", project.slug, slug), slug, color, self.now(), creator.id, creator.kind)
        project.tags[slug] = tag
        return tag

    def add_folder(self, environment: Environment, path: str, description: str | None = None) -> Folder:
        """Add the folder at ``path`` and its missing parents (capture 13b).

        The deepest folder that can be made is 20 levels down: the next one answers 500 (13e).
        """
        if depth_of(path) > DEEPEST_FOLDER:
            raise internal("Find by secret path")
        parent = environment.folders["/"]
        parts = path.strip("/").split("/")
        for depth, name in enumerate(parts, start=1):
            here = "/" + "/".join(parts[:depth])
            if here not in environment.folders:
                self._add_one_folder(environment, name, here, parent.id)
            parent = environment.folders[here]
        parent.description = description
        return parent

    def _add_one_folder(self, environment: Environment, name: str, path: str, parent_id: str | None) -> None:
        now = self.now()
        folder_id = self.new_id("folder", environment.id, path)
        environment.folders[path] = Folder(folder_id, name, path, parent_id, environment, now, now)

    def add_secret(self, folder: Folder, key: str, value: str, *, actor: Actor) -> Secret:
        """Add a shared secret at version 1."""
        now = self.now()
        secret = Secret(self.new_id("secret", folder.id, key), key, value, folder, now, now)
        secret.versions.append(Version(1, value, "", False, now, actor))
        folder.secrets[key] = secret
        self.secrets[secret.id] = secret
        self.touch(folder)
        return secret

    def change_secret(self, secret: Secret, *, actor: Actor, new_version: bool = True) -> None:
        """Finish a change of a secret's fields: set the version (the next or the same), the times, and the cache."""
        now = self.now()
        if new_version:
            secret.version += 1
        else:
            secret.versions.pop()
        secret.updated_at = now
        secret.encoded = None
        secret.versions.append(Version(secret.version, secret.value, secret.comment, secret.skip_multiline, now, actor))
        self.touch(secret.folder)

    def touch(self, folder: Folder) -> None:
        """Record that a secret of this folder changed (``lastSecretModified``, captures 13 and 24)."""
        self.revision += 1
        folder.last_secret_modified = folder.updated_at = self.now()

    def add_import(self, folder: Folder, source: Environment, path: str) -> SecretImport:
        """Append an import. Nothing is checked: neither its source nor a duplicate (captures 15b, 15d)."""
        link = SecretImport(self.new_id("import", folder.id), folder, source, path, len(folder.imports) + 1, self.now())
        folder.imports.append(link)
        return link

    def project_by_slug(self, slug: str) -> Project | None:
        """The project with this slug."""
        return next((project for project in self.projects.values() if project.slug == slug), None)

    def projects_in_order(self) -> Sequence[Project]:
        """By name, byte by byte; of two with the same name the newer first (captures 23b and 23h)."""
        return sorted(self.projects.values(), key=lambda project: (project.name, -project.order))


def _secrets_of(project: Project) -> Iterator[Secret]:
    for environment in (*project.environments.values(), *project.deleted_environments.values()):
        yield from _secrets_in(environment)


def _secrets_in(environment: Environment) -> Iterator[Secret]:
    for folder in environment.folders.values():
        yield from folder.secrets.values()
