"""The vault that is restored into, read in the form of an export, one environment at a time."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

import msgspec

from raxx_bcp.clients.decoding import decoded, misfit
from raxx_bcp.clients.infisical import Environment, Folder, Infisical, Project, Secret, SecretImport, Tag
from raxx_bcp.errors import PermanentError
from raxx_bcp.vault.document import ProjectFields
from raxx_bcp.vault.opening import ROOT, OpenedEnvironment, OpenedFolder, OpenedProject

T = TypeVar("T")


class TargetProject(msgspec.Struct):
    """A project as the vault lists it. ``environments`` are in the vault's order."""

    id: str
    name: str
    slug: str
    type: str
    environments: list[Environment]
    description: str | None = None

    def as_project(self) -> Project:
        """The project as the client knows it."""
        return Project(self.id, self.name, self.slug, tuple(self.environments))


def projects_of(vault: Infisical) -> dict[str, TargetProject]:
    """The projects that this identity has joined, by slug."""
    found = [_decoded(raw, TargetProject, "project") for raw in vault.projects()]
    return {project.slug: project for project in found}


def read_head(vault: Infisical, project: TargetProject) -> OpenedProject:
    """The project with its tags and no environment: those are read one by one."""
    fields = ProjectFields(project.id, project.name, project.slug, project.type, project.description)
    return OpenedProject(fields, [_decoded(raw, Tag, "tag") for raw in vault.tags(project.id)], [])


def read_environment(
    vault: Infisical, project_id: str, environment: Environment, imports_of: Collection[str] | None = None
) -> OpenedEnvironment:
    """One environment with all that it holds. ``imports_of``: the only folders whose imports are read.

    The API lists imports folder by folder, one request each. Where a restore has just made a folder, only the
    restore itself has put an import into it.
    """
    folders = {ROOT: OpenedFolder(ROOT, None, [], [])}
    for raw in vault.folders(project_id, environment.slug):
        folder = _decoded(raw, Folder, "folder")
        folders[folder.relative_path] = OpenedFolder(folder.relative_path, folder, [], [])
    for raw in vault.secrets(project_id, environment.slug):
        path = _decoded(raw, Secret, "secret").secret_path
        folders.setdefault(path, OpenedFolder(path, None, [], [])).secrets.append(raw)
    for path, folder_read in folders.items():
        if imports_of is None or path in imports_of:
            found = vault.imports(project_id, environment.slug, path)
            folder_read.imports = [_decoded(raw, SecretImport, "import") for raw in found]
    return OpenedEnvironment(environment, 0, list(folders.values()))


def _decoded(raw: msgspec.Raw, kind: type[T], what: str) -> T:
    found = decoded(raw, kind)
    if found is None:
        raise PermanentError(
            f"The target vault answered with a {what} that does not fit the documented shape: {misfit(raw, kind)}.",
            "Its API is another one than this restore knows: compare its version with docs/decisions/0014.",
        )
    return found
