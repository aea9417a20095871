"""The walk over every project, environment and folder, a few requests at a time.

One recursive list per environment instead of one call per folder; imports have no recursive form. Each
object is decoded once, which is its schema check, and kept as the vendor's own bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

import msgspec

from raxx_bcp.clients.decoding import decoded, misfit
from raxx_bcp.clients.infisical import (
    HIDDEN_VALUE,
    Environment,
    Folder,
    Infisical,
    Privilege,
    Project,
    Secret,
    SecretImport,
    Tag,
)
from raxx_bcp.clients.infisical_errors import DeniedError, LoginRefusedError, TokenUsedUpError
from raxx_bcp.errors import PermanentError
from raxx_bcp.vault.survey import EnvironmentSurvey, FolderSurvey, Membership, ProjectSurvey, Survey

ROOT: Final = "/"
Progress = Callable[[str], None]
T = TypeVar("T")


def memberships(vault: Infisical) -> list[Membership]:
    """The joined projects with the identity's own roles and privileges, before any secret is read."""
    found = []
    for raw in vault.projects():
        project = _decode(raw, Project, "project")
        try:
            roles = tuple(vault.own_roles(project.id))
        except DeniedError:
            roles = None
        found.append(Membership(project, raw, roles, _own_privileges(vault, project)))
    return found


def _own_privileges(vault: Infisical, project: Project) -> tuple[Privilege, ...] | None:
    """None where the list cannot be read, for any reason on the server's side: unknown is not "none"."""
    try:
        return tuple(vault.own_privileges(project.slug))
    except (LoginRefusedError, TokenUsedUpError):
        raise  # that is not about this list: nothing at all can be read any more
    except (DeniedError, PermanentError):
        return None


def survey(vault: Infisical, joined: Sequence[Membership], *, concurrency: int, progress: Progress) -> Survey:
    """Read everything of the ``joined`` projects. Raises at the first answer that is not a whole 2xx page."""
    pool = ThreadPoolExecutor(max_workers=concurrency, thread_name_prefix="vault-walk")
    try:
        projects = [_start(pool, vault, member) for member in joined]
        finished = [_finish(started, progress) for started in projects]
        return Survey(vault.url, vault.identity, finished)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _EnvironmentReads:
    """The requests in flight for one environment. Imports follow once its folders are known."""

    def __init__(self, pool: ThreadPoolExecutor, vault: Infisical, project: Project, environment: Environment) -> None:
        self.environment = environment
        self._pool, self._vault, self._project = pool, vault, project
        self._secrets = pool.submit(self._read_secrets)
        self._folders = pool.submit(self._read_folders)
        self._imports: dict[str, Future[list[msgspec.Raw]]] = {}

    def ask_for_imports(self) -> None:
        self._found = self._folders.result()
        for path in self._found:
            self._imports[path] = self._pool.submit(self._read_imports, path)

    def result(self) -> EnvironmentSurvey:
        by_path, hidden, newest = self._secrets.result()
        where = f"{self._project.slug}/{self.environment.slug}"
        folders = self._found
        for path, secrets in by_path.items():
            # A folder made between the two lists is kept all the same: an export is not atomic.
            folders.setdefault(path, FolderSurvey(path, None, says_it_has_secrets=True)).secrets = secrets
        for path in folders:
            reading = self._imports.get(path)
            folders[path].imports = reading.result() if reading else self._read_imports(path)
            for raw in folders[path].imports:
                _decode(raw, SecretImport, f"import of {where}{path}")
        return EnvironmentSurvey(
            environment=self.environment,
            folders=folders,
            secret_count=sum(len(secrets) for secrets in by_path.values()),
            import_count=sum(len(folder.imports) for folder in folders.values()),
            hidden_paths=tuple(sorted(hidden)),
            newest_change=newest,
        )

    def _read_imports(self, path: str) -> list[msgspec.Raw]:
        return self._vault.imports(self._project.id, self.environment.slug, path)

    def _read_folders(self) -> dict[str, FolderSurvey]:
        found = {ROOT: FolderSurvey(ROOT, None, says_it_has_secrets=False)}
        for raw in self._vault.folders(self._project.id, self.environment.slug):
            folder = _decode(raw, Folder, f"folder of {self._project.slug}/{self.environment.slug}")
            found[folder.relative_path] = FolderSurvey(
                folder.relative_path, raw, says_it_has_secrets=folder.last_secret_modified is not None
            )
        return found

    def _read_secrets(self) -> tuple[dict[str, list[msgspec.Raw]], set[str], str]:
        by_path: dict[str, list[msgspec.Raw]] = {}
        hidden: set[str] = set()
        newest = ""
        where = f"secret of {self._project.slug}/{self.environment.slug}"
        for raw in self._vault.secrets(self._project.id, self.environment.slug):
            secret = _decode(raw, Secret, where)
            by_path.setdefault(secret.secret_path, []).append(raw)
            if secret.secret_value_hidden or secret.secret_value == HIDDEN_VALUE:
                hidden.add(secret.secret_path)
            newest = max(newest, secret.updated_at)
        return by_path, hidden, newest


class _ProjectReads:
    def __init__(self, member: Membership, tags: Future[list[msgspec.Raw]], reads: list[_EnvironmentReads]) -> None:
        self.member, self.tags, self.reads = member, tags, reads


def _start(pool: ThreadPoolExecutor, vault: Infisical, member: Membership) -> _ProjectReads:
    project = member.project
    reads = [_EnvironmentReads(pool, vault, project, environment) for environment in project.environments]
    return _ProjectReads(member, pool.submit(vault.tags, project.id), reads)


def _finish(started: _ProjectReads, progress: Progress) -> ProjectSurvey:
    project = started.member.project
    for reads in started.reads:
        reads.ask_for_imports()
    environments = []
    for reads in started.reads:
        read = reads.result()
        environments.append(read)
        progress(
            f"read {project.slug}/{read.environment.slug}: {read.secret_count} secrets, "
            f"{len(read.folders) - 1} folders, {read.import_count} imports"
        )
    tags = started.tags.result()
    for raw in tags:
        _decode(raw, Tag, f"tag of {project.slug}")
    roles = list(started.member.roles or ())
    return ProjectSurvey(project, started.member.raw, roles, tags, environments)


def _decode(raw: msgspec.Raw, kind: type[T], what: str) -> T:
    """Schema-check one object. The error names the place in the object, never its content."""
    found = decoded(raw, kind)
    if found is None:
        raise PermanentError(
            f"The vault answered with a {what} that does not fit the documented shape: {misfit(raw, kind)}.",
            "Infisical's API has changed or a proxy altered it: compare with docs/decisions/0002, then adapt the type.",
        )
    return found
