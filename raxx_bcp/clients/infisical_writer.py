"""The client for a vault that is written to: what a restore needs, and the one delete that a drill needs.

It repeats nothing blindly: a write whose answer was lost may have taken effect. It sends again only what the vault
did not process (429, or no connection was made). The caller reads what is there and continues from it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import msgspec

from raxx_bcp.clients.http import Answer
from raxx_bcp.clients.infisical import Environment, Infisical, Project, Tag
from raxx_bcp.clients.infisical_errors import DeniedError, is_refusal, not_the_api, said
from raxx_bcp.errors import BcpError, PermanentError, TransientError, UnreadableAnswerError

SERVER_BODY_LIMIT_BYTES: Final = 1_048_576
"""The largest body that the vault accepts (measured); above it, it answers 500, and proxies that allow "1m" 413."""
BODY_LIMIT_BYTES: Final = 1_000_000
"""The limit for several secrets together; a single one may go up to the vault's own limit."""

T = TypeVar("T")


class TooOldError(PermanentError):
    """The server has no API v4."""


class TooLargeError(PermanentError):
    """A request is larger than the vault, or a proxy before it, accepts. Nothing was done."""


class ServerStatus(msgspec.Struct, frozen=True):
    """The answer to ``GET /api/status`` without a login: the server is up and has its database."""

    message: str
    date: str = ""


class NewTag(msgspec.Struct, frozen=True):
    """A tag to create."""

    slug: str
    color: str


class NewSecret(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A secret as a batch takes it. ``None`` is not sent; a batch that creates takes no reminder."""

    secret_key: str
    secret_value: str
    secret_comment: str | None = None
    skip_multiline_encoding: bool | None = None
    tag_ids: Sequence[str] | None = None
    secret_metadata: Sequence[dict[str, Any]] | None = None
    secret_reminder_note: str | None = None
    secret_reminder_repeat_days: int | None = None

    def __repr__(self) -> str:
        return f"NewSecret({self.secret_key!r})"


class NewReminder(msgspec.Struct, frozen=True, rename="camel"):
    """The reminder of an existing secret, as a batch that updates takes it: its value stays as it is."""

    secret_key: str
    secret_reminder_note: str | None
    secret_reminder_repeat_days: int | None


class _Created(msgspec.Struct):
    project: Project


class _CreatedTag(msgspec.Struct):
    tag: Tag


class _CreatedEnvironment(msgspec.Struct):
    environment: Environment


class DeletedEnvironment(msgspec.Struct, frozen=True, rename="camel"):
    """An environment that is marked as deleted: it holds its slug until ``delete_after`` (ISO 8601; 14 days)."""

    id: str
    slug: str
    delete_after: str | None = None


class _WithDeleted(msgspec.Struct, rename="camel"):
    deleted_environments: list[DeletedEnvironment] = []


class _ProjectWithDeleted(msgspec.Struct):
    project: _WithDeleted


class _Batch(msgspec.Struct):
    secrets: list[msgspec.Raw] | None = None
    approval: dict[str, Any] | None = None


class InfisicalWriter(Infisical):
    """A session that may also write. It can do everything that ``Infisical`` can, and is a context manager too.

    ``deletable_prefix`` is the slug prefix of the projects that ``delete_project`` may delete; empty:
    none. Every write raises ``DeniedError`` (403), ``PermanentError`` (any other refusal) or
    ``TransientError``, after which the write **may have taken effect**.
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        client_secret: str,
        *,
        deletable_prefix: str = "",
        login_variables: str = "INFISICAL_RESTORE_CLIENT_",
        address_from: str = "--to",
        timeout_seconds: float = 120.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(
            url,
            client_id,
            client_secret,
            login_variables=login_variables,
            address_from=address_from,
            role="Admin",
            timeout_seconds=timeout_seconds,
            sleep=sleep,
        )
        self._deletable_prefix = deletable_prefix

    def __enter__(self) -> InfisicalWriter:
        super().__enter__()
        return self

    def status(self) -> ServerStatus:
        """Is the server up? Needs no login. Raises ``PermanentError`` where something else answers."""
        answer = self._door.send("GET", "/api/status")
        if not answer.ok:
            raise _refusal(answer, "GET", "/api/status")
        return _decoded(answer, ServerStatus, "GET", "/api/status")

    def require_v4(self) -> None:
        """Raise ``TooOldError`` unless the server has the v4 secrets API: the request names no project."""
        answer = self._authorized(lambda headers: self._door.send("GET", "/api/v4/secrets", headers=headers))
        if _is_missing_route(answer):
            raise TooOldError(
                f"The vault at {self.url} has no API v4: it is too old for this restore. Nothing was written.",
                f"Restore into a newer Infisical (one of 2026 is known to work), or correct {self._address_from}.",
            )

    def slug_is_taken(self, slug: str) -> bool:
        """Is there a project of this slug, including one that this identity has not joined?"""
        route = f"/api/v1/projects/slug/{slug}"
        answer = self._authorized(lambda headers: self._door.send("GET", route, headers=headers))
        if answer.status == 404 and not _is_missing_route(answer):
            return False
        if answer.ok or answer.status == 403:
            return True
        raise _refusal(answer, "GET", route)

    def create_project(self, name: str, slug: str, description: str | None, kind: str) -> Project:
        """A project without environments; this identity becomes its admin."""
        body: dict[str, Any] = {"projectName": name, "slug": slug, "type": kind, "shouldCreateDefaultEnvs": False}
        if description:
            body["projectDescription"] = description
        return self._write("POST", "/api/v1/projects", body, _Created).project

    def create_tag(self, project_id: str, tag: NewTag) -> Tag:
        """Create a tag, whose id secrets will name."""
        return self._write("POST", f"/api/v1/projects/{project_id}/tags", msgspec.to_builtins(tag), _CreatedTag).tag

    def create_environment(self, project_id: str, name: str, slug: str, position: int) -> Environment:
        """Create an environment at ``position`` (from 1); those at and behind it move up."""
        body = {"name": name, "slug": slug, "position": position}
        route = f"/api/v1/projects/{project_id}/environments"
        return self._write("POST", route, body, _CreatedEnvironment).environment

    def deleted_environments(self, project_id: str) -> list[DeletedEnvironment]:
        """Environments of a project that are marked as deleted and can still be restored; none on an older server."""
        route = f"/api/v1/projects/{project_id}"
        answer = self._authorized(lambda headers: self._door.send("GET", route, headers=headers))
        if not answer.ok:
            raise _refusal(answer, "GET", route)
        return _decoded(answer, _ProjectWithDeleted, "GET", route).project.deleted_environments

    def undelete_environment(self, project_id: str, environment_id: str) -> Environment:
        """Restore a deleted environment with all that it held, last in order."""
        route = f"/api/v1/projects/{project_id}/environments/{environment_id}/restore"
        return self._write("POST", route, {}, _CreatedEnvironment).environment

    def move_environment(self, project_id: str, environment_id: str, position: int) -> None:
        """Put it at ``position`` (from 1); where that place is taken, those in between move by one."""
        route = f"/api/v1/projects/{project_id}/environments/{environment_id}"
        self._write("PATCH", route, {"position": position}, _CreatedEnvironment)

    def create_folder(self, project_id: str, environment: str, path: str, description: str | None) -> None:
        """The folder at ``path``, such as ``/api/internal``; the vault makes missing parents by itself."""
        parent, _, name = path.rpartition("/")
        body = {"projectId": project_id, "environment": environment, "path": parent or "/", "name": name}
        self._write("POST", "/api/v2/folders", {**body, "description": description}, dict)

    def create_secrets(self, project_id: str, environment: str, path: str, rows: Sequence[msgspec.Raw]) -> bool:
        """Create secrets that are not there yet, all or none. False: an approval policy holds them back.

        ``rows`` are encoded ``NewSecret``. The caller keeps their sum below ``BODY_LIMIT_BYTES``, and a single one
        such that ``batch_bytes`` and it are at most ``SERVER_BODY_LIMIT_BYTES``.
        """
        return self._batch("POST", project_id, environment, path, rows)

    def update_secrets(self, project_id: str, environment: str, path: str, rows: Sequence[msgspec.Raw]) -> bool:
        """Update secrets that are there, and create those that are not. False: an approval policy holds them back."""
        return self._batch("PATCH", project_id, environment, path, rows)

    def create_import(self, project_id: str, environment: str, path: str, source: tuple[str, str]) -> None:
        """Append an import of ``source`` (environment, path). **Not idempotent**: list what is there first."""
        taken = {"environment": source[0], "path": source[1]}
        body = {"projectId": project_id, "environment": environment, "path": path, "import": taken}
        self._write("POST", "/api/v2/secret-imports", {**body, "isReplication": False}, dict)

    def delete_project(self, project_id: str) -> None:
        """Delete a throwaway project with all that it holds. One that is already gone is fine.

        It reads the slug first: unless the slug begins with ``deletable_prefix``, it raises ``PermanentError`` and
        sends nothing that deletes.
        """
        route = f"/api/v1/projects/{project_id}"
        answer = self._authorized(lambda headers: self._door.send("GET", route, headers=headers))
        if answer.status == 404 and not _is_missing_route(answer):
            return
        if not answer.ok:
            raise _refusal(answer, "GET", route)
        project = _decoded(answer, _Created, "GET", route).project
        if not self._deletable_prefix or not project.slug.startswith(self._deletable_prefix):
            raise PermanentError(
                f"The project {project.slug} is no throwaway of ours and is not deleted.",
                "Only projects whose slug begins with the policy's vault_drill.throwaway_prefix are ever deleted.",
            )
        answer = self._authorized(lambda headers: self._door.send("DELETE", route, headers=headers))
        if answer.status != 404 and not answer.ok:
            raise _refusal(answer, "DELETE", route)

    def _batch(self, method: str, project_id: str, environment: str, path: str, rows: Sequence[msgspec.Raw]) -> bool:
        body = _batch_body(project_id, environment, path, rows)
        if method == "PATCH" and not _needs_every_byte(environment, path, rows):
            body["mode"] = "upsert"
        written = self._write(method, "/api/v4/secrets/batch", body, _Batch)
        if written.approval is None and written.secrets is None:
            raise UnreadableAnswerError(
                f"The vault answered {method} /api/v4/secrets/batch with success, but not with what was written.",
                "Look for a proxy in between, then run the restore again: it reads what is there and continues.",
            )
        return written.approval is None

    def _write(self, method: str, route: str, body: dict[str, Any], kind: type[T]) -> T:
        encoded = msgspec.json.encode(body)
        answer = self._authorized(
            lambda headers: self._sent(method, route, encoded, headers),
        )
        if answer.status == 413:
            raise TooLargeError(
                f"The vault, or a proxy before it, answered {method} {route} with 413: {len(encoded)} bytes are more "
                "than it takes.",
                f"Let the proxy take {SERVER_BODY_LIMIT_BYTES} bytes, as the vault does (nginx: client_max_body_size).",
            )
        if not answer.ok:
            raise _refusal(answer, method, route)
        return _decoded(answer, kind, method, route)

    def _sent(self, method: str, route: str, encoded: bytes, headers: dict[str, str]) -> Answer:
        try:
            return self._door.send(method, route, body=encoded, headers=headers, retry_undone=True)
        except TransientError as error:
            raise TransientError(
                f"{error.what} Whether {method} {route} was done is not known.",
                "Run the same restore again: it reads what is there, and continues from it.",
            ) from None


def batch_bytes(environment: str, path: str) -> int:
    """How many bytes the body of a batch has beside its rows, without the commas between them."""
    return len(msgspec.json.encode(_batch_body("0" * 36, environment, path, ())))  # a project's id is a UUID


def _batch_body(project_id: str, environment: str, path: str, rows: Sequence[msgspec.Raw]) -> dict[str, Any]:
    return {"projectId": project_id, "environment": environment, "secretPath": path, "secrets": rows}


def _needs_every_byte(environment: str, path: str, rows: Sequence[msgspec.Raw]) -> bool:
    """Is it a single secret so large that the word ``upsert`` would not fit? An existing one does not need it."""
    size = batch_bytes(environment, path) + sum(memoryview(row).nbytes for row in rows)
    return len(rows) == 1 and size + len(',"mode":"upsert"') > SERVER_BODY_LIMIT_BYTES


def _is_missing_route(answer: Answer) -> bool:
    error = answer.error()
    return answer.status == 404 and error.reqId is None and "Route" in str(error.message)


def _decoded(answer: Answer, kind: type[T], method: str, route: str) -> T:
    decoded = answer.decoded(kind)
    if decoded is None:
        raise not_the_api(answer, f"{method} {route}")
    return decoded


def _refusal(answer: Answer, method: str, route: str) -> BcpError:
    """The refusal in a sentence. It does not repeat the vault's own message, which can quote what was sent."""
    if not is_refusal(answer):
        return not_the_api(answer, f"{method} {route}")
    if answer.status == 403 and (method, route) == ("POST", "/api/v1/projects"):
        return DeniedError(
            "This machine identity may not create projects in that vault: its organisation role is too weak.",
            "Give it the organisation role Member (Organization > Access Control > Identities), then run it again.",
        )
    if answer.status == 403:
        return DeniedError(
            f"The vault denies this machine identity {method} {route} ({said(answer) or 'Forbidden'}).",
            "Give the identity the role Admin in that project (Project > Access Control > Machine Identities).",
        )
    if _is_missing_route(answer):
        return TooOldError(
            f"The vault has no route {method} {route}: the server is too old, or the address is not an Infisical's.",
            "Restore into a newer Infisical (one of 2026 is known to work), or correct the address.",
        )
    return PermanentError(
        f"The vault answered {method} {route} with {answer.status} ({said(answer) or 'no reason given'}).",
        "Look at the vault's log for that request. What was written before it stays; a second run continues from it.",
    )
