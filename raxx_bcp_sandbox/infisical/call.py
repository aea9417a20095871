"""One request as the handlers see it, and the look-ups that nearly all handlers share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from raxx_bcp_sandbox.infisical.auth import Authority
from raxx_bcp_sandbox.infisical.errors import not_a_member, not_found, unauthorized
from raxx_bcp_sandbox.infisical.faults import View
from raxx_bcp_sandbox.infisical.permissions import Permission
from raxx_bcp_sandbox.infisical.state import Actor, Environment, Folder, Project, clean_path
from raxx_bcp_sandbox.infisical.validation import Checked, kind_of
from raxx_bcp_sandbox.infisical.world import World


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is not simply 200 and JSON: raw bytes, a status, a media type, headers."""

    content: bytes
    status: int = 200
    media_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Call:
    """A request: its caller, its world and its fields."""

    view: View
    authority: Authority
    caller: Actor | None
    path: Mapping[str, Any]
    query: Mapping[str, str]
    body: Any
    url: str
    if_none_match: str | None = None

    @property
    def world(self) -> World:
        """The world that this request reads."""
        return self.view.world

    @property
    def actor(self) -> Actor:
        """The caller, on routes that need a token."""
        if self.caller is None:
            raise unauthorized("Token missing")
        return self.caller

    def query_fields(self) -> Checked:
        """The query, to be checked."""
        return Checked(self.query)

    def body_fields(self) -> Checked:
        """The JSON body, to be checked; anything other than an object is refused."""
        if isinstance(self.body, dict):
            return Checked(self.body)
        received = kind_of(self.body)
        fields = Checked({})
        fields.issues.append(
            {
                "code": "invalid_type",
                "expected": "object",
                "received": received,
                "path": [],
                "message": f"Expected object, received {received}",
            }
        )
        fields.done()
        return fields

    def project(self, project_id: str) -> tuple[Project, Permission]:
        """A project and the caller's permissions in it: 404 (45c), or 403 for a non-member (23e)."""
        project = self.view.project(project_id)
        if project is None:
            raise not_found(f"Project with ID '{project_id}' not found")
        return project, self.permission(project)

    def permission(self, project: Project) -> Permission:
        """The caller's permissions in this project; 403 for a caller who has not joined it."""
        permission = self.view.permission(project, self.actor)
        if permission is None:
            raise not_a_member(project.id)
        return permission


def environment_of(project: Project, slug: str, error: str = "NotFound") -> Environment:
    """The environment with this slug, or 404 (capture 45f)."""
    environment = project.environments.get(slug)
    if environment is None:
        raise not_found(f"Environment with slug '{slug}' in project with ID {project.id} not found", error)
    return environment


def folder_of(project: Project, slug: str, path: str, error: str) -> Folder:
    """The folder at ``path`` in an environment, or 404 with the message of the write routes (17d)."""
    environment = project.environments.get(slug)
    folder = environment.folders.get(clean_path(path)) if environment else None
    if folder is None:
        raise not_found(f"Folder with path '{path}' in environment with slug '{slug}' not found", error)
    return folder
