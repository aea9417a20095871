"""The client for a self-hosted Infisical vault, read as a machine identity (universal auth).

It knows the routes, their errors and their traps; it knows nothing of documents or backups. It hands on the API's
answers as the vendor's own JSON (``msgspec.Raw``), so that nothing is lost on the way.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, TypeVar

import msgspec

from raxx_bcp.clients.decoding import decoded, from_base64url
from raxx_bcp.clients.http import Answer, Door
from raxx_bcp.clients.infisical_errors import login_refusal, not_the_api, refusal, token_is_used_up, token_used_up
from raxx_bcp.errors import TransientError, UnreadableAnswerError

HIDDEN_VALUE: Final = "<hidden-by-infisical>"
FULL_READ_ROLES: Final = frozenset({"viewer", "member", "admin"})
"""Project roles that read every secret; a custom role or ``no-access`` may see a part, without an error."""
PROJECT_KIND: Final = "secret-manager"  # the other kinds hold certificates and the like, no secrets

T = TypeVar("T")
_TOKEN: Final = re.compile(r"[\w-]+\.([\w-]+)\.[\w-]+", re.ASCII)
"""A JSON web token (RFC 7519); nothing else is ever sent back in a header."""


@dataclass(frozen=True)
class Identity:
    """Who is logged in, from the access token's own payload."""

    identity_id: str
    org_id: str


class Environment(msgspec.Struct, frozen=True):
    """One environment of a project, in the project's order."""

    id: str
    name: str
    slug: str


class Project(msgspec.Struct, frozen=True):
    """What the walk needs of a project; the vendor's whole object is kept beside it."""

    id: str
    name: str
    slug: str
    environments: tuple[Environment, ...]


class Folder(msgspec.Struct, frozen=True, rename="camel"):
    """One folder below the root; the API never lists the root itself."""

    id: str
    name: str
    relative_path: str
    description: str | None = None
    last_secret_modified: str | None = None


class Tag(msgspec.Struct, frozen=True, rename="camel"):
    """A tag of a project, or of a secret."""

    id: str
    slug: str
    color: str | None = None


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    """One key and value beside a secret."""

    key: str
    value: str
    is_encrypted: bool = False


class ImportSource(msgspec.Struct, frozen=True, rename="camel"):
    """The environment that an import reads from; of another project where ``project_id`` differs."""

    id: str
    slug: str
    project_id: str | None = None


class SecretImport(msgspec.Struct, frozen=True, rename="camel"):
    """One import of a folder; ``position`` orders them, later ones win."""

    id: str
    import_path: str
    import_env: ImportSource
    position: int
    is_replication: bool = False


class Secret(msgspec.Struct, frozen=True, rename="camel"):
    """One secret as listed; decoding into this is its schema check."""

    id: str
    version: int
    type: str
    secret_key: str
    secret_value: str
    secret_comment: str
    secret_path: str
    created_at: str
    updated_at: str
    secret_value_hidden: bool
    tags: list[Tag]
    secret_metadata: list[Metadata]
    skip_multiline_encoding: bool | None = None
    secret_reminder_note: str | None = None
    secret_reminder_repeat_days: int | None = None
    is_rotated_secret: bool = False


class Role(msgspec.Struct, frozen=True, rename="camel"):
    """One role of the identity in a project. Times are ISO 8601 as the vendor writes them."""

    role: str
    custom_role_slug: str | None = None
    is_temporary: bool = False
    temporary_access_end_time: str | None = None

    @property
    def label(self) -> str:
        return self.custom_role_slug or self.role


class PrivilegeRule(msgspec.Struct, frozen=True):
    """One permission of an additional privilege. ``inverted`` denies what a role allows.

    The vendor's own schema (``UnpackedPermissionSchema``) makes the subject optional.
    """

    subject: str | list[str] | None = None
    inverted: bool | None = None

    @property
    def subjects(self) -> tuple[str, ...]:
        """What the rule is about, such as ``secrets`` or ``secret-folders``; ``all`` where it names nothing."""
        if self.subject is None:
            return ("all",)
        return (self.subject,) if isinstance(self.subject, str) else tuple(self.subject)


class Privilege(msgspec.Struct, frozen=True):
    """An additional privilege of the identity in one project, permanent or temporary."""

    slug: str
    permissions: tuple[PrivilegeRule, ...]


class OrgProject(msgspec.Struct, frozen=True):
    """A project as an organisation administrator lists it, joined or not."""

    id: str
    slug: str
    type: str


class _Login(msgspec.Struct, rename="camel"):
    access_token: str


class _Projects(msgspec.Struct):
    projects: list[msgspec.Raw]


class _OrgProjects(msgspec.Struct):
    projects: list[OrgProject]
    count: int


class _Folders(msgspec.Struct):
    folders: list[msgspec.Raw]


class _Secrets(msgspec.Struct):
    secrets: list[msgspec.Raw]


class _Imports(msgspec.Struct, rename="camel"):
    secret_imports: list[msgspec.Raw]


class _Tags(msgspec.Struct):
    tags: list[msgspec.Raw]


class _Membership(msgspec.Struct):
    roles: list[Role]


class _OwnMembership(msgspec.Struct, rename="camel"):
    identity_membership: _Membership


class _Privileges(msgspec.Struct):
    privileges: list[Privilege]


class Infisical:
    """A logged-in session with one vault. Use as a context manager: leaving it revokes the token.

    ``login_variables`` is the prefix of the variables ``…ID`` and ``…SECRET`` that gave the login, for the
    remedy of a refusal. ``address_from`` is what gave its address, ``role`` what it needs in each project.

    Every read raises ``DeniedError`` (403), ``PermanentError`` (any other refusal, or an answer that is
    not what the API documents) or ``TransientError`` (unreachable, busy).
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        client_secret: str,
        *,
        login_variables: str = "INFISICAL_CLIENT_",
        address_from: str = "INFISICAL_URL",
        role: str = "Viewer",
        timeout_seconds: float = 120.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url.rstrip("/")
        self._login_variables = login_variables.removesuffix("_")
        self._address_from = address_from
        self._role = role
        self._door = Door("The vault", url, timeout_seconds=timeout_seconds, sleep=sleep)
        self._client_id = client_id
        self._client_secret = client_secret
        self._token = ""
        self._token_lock = threading.Lock()
        self.token_ran_out = False
        """Was a token used as often as it may be (``accessTokenNumUsesLimit``)? Then one new token was taken."""
        self._identity: Identity | None = None

    def __enter__(self) -> Infisical:
        self.token_ran_out = False
        self._log_in(stale="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        token, self._token = self._token, ""
        try:
            if token:
                self._door.send(
                    "POST", "/api/v1/auth/token/revoke", json={"accessToken": token}, headers=_bearer(token)
                )
        except TransientError:
            pass  # the token lives an hour at most; losing the revocation must not hide what was read
        finally:
            self._door.close()

    @property
    def identity(self) -> Identity:
        """Who is logged in. Raises ``RuntimeError`` outside the context."""
        if self._identity is None:
            raise RuntimeError("not logged in")
        return self._identity

    def projects(self) -> list[msgspec.Raw]:
        """Every secret-manager project that the identity has **joined**; the API does not mention others at all."""
        return self.read("/api/v1/projects", _Projects, type=PROJECT_KIND).projects

    def own_roles(self, project_id: str) -> list[Role]:
        """The identity's own roles in a project. A ``no-access`` role may not read even this."""
        path = f"/api/v1/projects/{project_id}/memberships/identities/{self.identity.identity_id}"
        return self.read(path, _OwnMembership).identity_membership.roles

    def own_privileges(self, project_slug: str) -> list[Privilege]:
        """The identity's own additional privileges in a project, temporary ones too; it may read these itself.

        A role does not show what they deny: an inverted one leaves secrets out of every list with status 200
        (seen on a real server of the community edition).
        """
        return self.read(
            "/api/v1/additional-privilege/identity",
            _Privileges,
            identityId=self.identity.identity_id,
            projectSlug=project_slug,
        ).privileges

    def tags(self, project_id: str) -> list[msgspec.Raw]:
        """The project's tags with their colours."""
        return self.read(f"/api/v1/projects/{project_id}/tags", _Tags).tags

    def folders(self, project_id: str, environment: str) -> list[msgspec.Raw]:
        """Every folder below the root of an environment, at any depth (the vendor's limit is 20)."""
        return self.read(
            "/api/v2/folders",
            _Folders,
            projectId=project_id,
            environment=environment,
            path="/",
            recursive="true",
        ).folders

    def secrets(self, project_id: str, environment: str) -> list[msgspec.Raw]:
        """Every readable secret of an environment with its reference **unexpanded** and no imports mixed in.

        It sends both spellings of the import flag: its name and default changed between v4 revisions, and
        unknown parameters are ignored. The vendor expands references by default, and a broken one to "".
        """
        return self.read(
            "/api/v4/secrets",
            _Secrets,
            projectId=project_id,
            environment=environment,
            secretPath="/",
            recursive="true",
            expandSecretReferences="false",
            includeImports="false",
            include_imports="false",
            viewSecretValue="true",
        ).secrets

    def imports(self, project_id: str, environment: str, path: str) -> list[msgspec.Raw]:
        """The imports of one folder in order; the API has no recursive form."""
        return self.read(
            "/api/v2/secret-imports", _Imports, projectId=project_id, environment=environment, path=path
        ).secret_imports

    def organisation_projects(self) -> list[OrgProject]:
        """Every project of the organisation, joined or not; needs the organisation role ``admin``."""
        found: list[OrgProject] = []
        while True:
            page = self.read("/api/v1/organization-admin/projects", _OrgProjects, limit="100", offset=str(len(found)))
            found += page.projects
            if not page.projects or len(found) >= page.count:
                return found

    def read(self, route: str, kind: type[T], /, **params: str) -> T:
        """The answer to GET ``route``, as ``kind``."""
        answer = self._authorized(lambda headers: self._door.send("GET", route, params=params, headers=headers))
        if not answer.ok:
            raise refusal(answer, route, address_from=self._address_from, role=self._role)
        decoded = answer.decoded(kind)
        if decoded is None:
            raise not_the_api(answer, f"GET {route}")
        return decoded

    def _authorized(self, send: Callable[[dict[str, str]], Answer]) -> Answer:
        """Send with the token. When it has expired or is used up, log in and send again: the first one did nothing."""
        token = self._token
        answer = send(_bearer(token))
        used_up = token_is_used_up(answer)
        if not (used_up or (answer.status == 403 and answer.error().error == "TokenError")):
            return answer
        self._log_in(stale=token, used_up=used_up)
        answer = send(_bearer(self._token))
        if token_is_used_up(answer):
            raise token_used_up(self.url)
        return answer

    def _log_in(self, stale: str, *, used_up: bool = False) -> None:
        with self._token_lock:
            if self._token != stale:
                return  # another thread has renewed it meanwhile
            if used_up and self.token_ran_out:
                raise token_used_up(self.url)
            self.token_ran_out |= used_up
            credentials = {"clientId": self._client_id, "clientSecret": self._client_secret}
            # Busy is safe to try again; a refusal (401) is not, and is never retried.
            answer = self._door.send("POST", "/api/v1/auth/universal-auth/login", json=credentials, retry=True)
            if answer.status in (401, 403):
                raise login_refusal(answer, self.url, self._login_variables)
            if not answer.ok:
                route = "/api/v1/auth/universal-auth/login"
                raise refusal(answer, route, address_from=self._address_from)
            login = answer.decoded(_Login)
            identity = _identity(login.access_token) if login else None
            if login is None or identity is None:
                raise UnreadableAnswerError(
                    f"{self.url} answered the login with {answer.status} but not as an Infisical server does.",
                    f"Check that {self._address_from} is the vault's own address.",
                )
            self._token, self._identity = login.access_token, identity


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


class _TokenPayload(msgspec.Struct, rename="camel"):
    identity_id: str
    org_id: str = ""


def _identity(token: str) -> Identity | None:
    """The identity that the token names; None where it is not a token that could be sent back."""
    parts = _TOKEN.fullmatch(token)
    fields = decoded(from_base64url(parts[1]), _TokenPayload) if parts else None
    return Identity(fields.identity_id, fields.org_id) if fields else None
