"""A whole vault as one JSON file, which replaces a real vault's database.

The file holds every value and the digests of the client secrets, so only its owner may read it. A vault host of the
sandbox keeps it on its disk; a copy of the disk is a copy of the vault.
"""

from __future__ import annotations

import base64
import os
import time
from pathlib import Path
from typing import Any

import msgspec

from raxx_bcp_sandbox.infisical.state import (
    Actor,
    ClientSecret,
    Clock,
    Environment,
    Folder,
    Membership,
    Project,
    Role,
    Secret,
    SecretImport,
    Tag,
    UniversalAuth,
    Version,
)
from raxx_bcp_sandbox.infisical.world import World

KIND = "raxx-bcp/sandbox-vault"
Json = dict[str, Any]


class SavedWorldError(Exception):
    """The file is missing, damaged, or not a saved vault."""


def save_world(world: World, path: Path) -> None:
    """Write ``world`` to ``path`` (mode 600), in one step: a reader sees the old file or the new one."""
    with world.lock:
        content = msgspec.json.encode(_world(world))
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    beside.replace(path)


def load_world(path: Path, clock: Clock = time.time) -> World:
    """The world in ``path``, with ``clock`` as its time. Raises ``SavedWorldError``."""
    try:
        return _Loader(msgspec.json.decode(path.read_bytes(), type=dict[str, Any])).world(clock)
    except OSError as error:
        raise SavedWorldError(f"{path.name}: {error.strerror}") from None
    except (msgspec.MsgspecError, ValueError, KeyError, TypeError) as error:
        raise SavedWorldError(f"{path.name} is not a saved vault ({type(error).__name__})") from None


def _world(world: World) -> Json:
    return {
        "kind": KIND,
        "org_name": world.org_name,
        "org_slug": world.org_slug,
        "org_id": world.org_id,
        "revision": world.revision,
        "exporter_id": world.exporter_id,
        "actors": [_actor(actor) for actor in world.actors.values()],
        "projects": [_project(project) for project in world.projects.values()],
    }


def _fields(thing: object, *names: str) -> Json:
    return {name: getattr(thing, name) for name in names}


def _actor(actor: Actor) -> Json:
    auth = actor.auth
    return {
        **_fields(actor, "id", "kind", "name", "org_role", "membership_id"),
        "auth": None if auth is None else _auth(auth),
    }


def _auth(auth: UniversalAuth) -> Json:
    """Lockouts are not kept: a restored vault has had no failed login yet."""
    return {
        **_fields(auth, "id", "client_id", "ttl", "max_ttl", "token_uses_limit"),
        "secrets": [_client_secret(s) for s in auth.secrets],
    }


_CLIENT_SECRET = ("id", "prefix", "created_at", "updated_at", "uses", "uses_limit", "ttl", "born", "revoked")
_PROJECT = ("id", "name", "slug", "kind", "description", "created_at", "updated_at", "order")
_FOLDER = ("id", "name", "path", "parent_id", "created_at", "updated_at", "description", "last_secret_modified")
_SECRET = (
    "id",
    "key",
    "value",
    "created_at",
    "updated_at",
    "comment",
    "skip_multiline",
    "metadata",
    "reminder_note",
    "reminder_days",
    "version",
    "rotation_id",
    "kind",
)
_VERSION = ("version", "value", "comment", "skip_multiline", "created_at")


def _client_secret(secret: ClientSecret) -> Json:
    return {**_fields(secret, *_CLIENT_SECRET), "digest": base64.b64encode(secret.digest).decode()}


def _project(project: Project) -> Json:
    return {
        **_fields(project, *_PROJECT),
        "tags": [
            _fields(tag, "id", "slug", "color", "created_at", "created_by", "created_by_kind")
            for tag in project.tags.values()
        ],
        "members": [_membership(member) for member in project.members.values()],
        "environments": [
            _environment(one) for one in (*project.environments.values(), *project.deleted_environments.values())
        ],
    }


def _membership(member: Membership) -> Json:
    return {
        **_fields(member, "id", "created_at", "privileges"),
        "actor": member.actor.id,
        "roles": [_fields(role, "id", "slug", "custom_name", "custom_slug") for role in member.roles],
    }


def _environment(environment: Environment) -> Json:
    return {
        **_fields(environment, "id", "name", "slug", "position", "created_at", "deleted"),
        "folders": [_folder(folder) for folder in environment.folders.values()],
    }


def _folder(folder: Folder) -> Json:
    return {
        **_fields(folder, *_FOLDER),
        "secrets": [_secret(secret) for secret in folder.secrets.values()],
        "imports": [
            {**_fields(link, "id", "path", "position", "created_at"), "source": link.source.id}
            for link in folder.imports
        ],
    }


def _secret(secret: Secret) -> Json:
    return {
        **_fields(secret, *_SECRET),
        "tags": [tag.slug for tag in secret.tags],
        "versions": [{**_fields(one, *_VERSION), "actor": one.actor.id} for one in secret.versions],
        "personal": {actor: _secret(own) for actor, own in secret.personal.items()},
    }


class _Loader:
    """Rebuilds the objects and their links. Imports come last, since they refer to environments."""

    def __init__(self, saved: Json) -> None:
        if saved.get("kind") != KIND:
            raise ValueError(KIND)
        self._saved = saved
        self._actors: dict[str, Actor] = {}
        self._environments: dict[str, Environment] = {}
        self._links: list[tuple[Folder, Json]] = []

    def world(self, clock: Clock) -> World:
        saved = self._saved
        world = World(org_name=saved["org_name"], org_slug=saved["org_slug"], clock=clock, org_id=saved["org_id"])
        world.actors = self._actors = {one["id"]: self._actor(one) for one in saved["actors"]}
        world.projects = {one["id"]: self._project(one) for one in saved["projects"]}
        for folder, link in self._links:
            source = self._environments[link["source"]]
            folder.imports.append(
                SecretImport(link["id"], folder, source, link["path"], link["position"], link["created_at"])
            )
        world.secrets = {
            secret.id: secret
            for environment in self._environments.values()
            if environment.deleted is None
            for folder in environment.folders.values()
            for secret in folder.secrets.values()
        }
        world.exporter_id, world.revision = saved["exporter_id"], saved["revision"]
        return world

    def _actor(self, saved: Json) -> Actor:
        auth = saved.pop("auth")
        return Actor(**saved, auth=None if auth is None else self._auth(auth))

    def _auth(self, saved: Json) -> UniversalAuth:
        secrets = [ClientSecret(**{**one, "digest": base64.b64decode(one["digest"])}) for one in saved.pop("secrets")]
        return UniversalAuth(**saved, secrets=secrets)

    def _project(self, saved: Json) -> Project:
        tags, members, environments = saved.pop("tags"), saved.pop("members"), saved.pop("environments")
        project = Project(**saved)
        project.tags = {one["slug"]: Tag(**one) for one in tags}
        project.members = {one["actor"]: self._membership(one) for one in members}
        loaded = [self._environment(one, project) for one in environments]
        project.environments = {one.slug: one for one in loaded if one.deleted is None}
        project.deleted_environments = {one.slug: one for one in loaded if one.deleted is not None}
        return project

    def _membership(self, saved: Json) -> Membership:
        roles = [Role(**role) for role in saved["roles"]]
        actor = self._actors[saved["actor"]]
        return Membership(saved["id"], actor, saved["created_at"], roles, saved["privileges"])

    def _environment(self, saved: Json, project: Project) -> Environment:
        folders = saved.pop("folders")
        environment = Environment(**saved, project=project)
        self._environments[environment.id] = environment
        environment.folders = {one["path"]: self._folder(one, environment) for one in folders}
        return environment

    def _folder(self, saved: Json, environment: Environment) -> Folder:
        secrets, imports = saved.pop("secrets"), saved.pop("imports")
        folder = Folder(**saved, environment=environment)
        folder.secrets = {one["key"]: self._secret(one, folder) for one in secrets}
        self._links += [(folder, link) for link in imports]
        return folder

    def _secret(self, saved: Json, folder: Folder) -> Secret:
        tags, versions, personal = saved.pop("tags"), saved.pop("versions"), saved.pop("personal")
        known = folder.environment.project.tags
        secret = Secret(**saved, folder=folder, tags=[known[slug] for slug in tags])
        secret.versions = [Version(**{**one, "actor": self._actors[one["actor"]]}) for one in versions]
        secret.personal = {actor: self._secret(own, folder) for actor, own in personal.items()}
        return secret
