"""Reading secrets: the lists (v4, and v3 raw), one secret, its versions."""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from raxx_bcp_sandbox.infisical import shapes
from raxx_bcp_sandbox.infisical.call import Call, Reply, environment_of
from raxx_bcp_sandbox.infisical.errors import ApiError, bad_request, not_found, people_only
from raxx_bcp_sandbox.infisical.permissions import Permission
from raxx_bcp_sandbox.infisical.references import expand, may_read
from raxx_bcp_sandbox.infisical.state import Environment, Folder, Project, Secret, clean_path

ERROR_PAGE = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>502 Bad Gateway</body>\r\n</html>\r\n"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The query of a list of secrets."""

    environment: str
    path: str
    recursive: bool
    expand: bool
    imports: bool
    values: bool
    personal: bool


def list_v4(call: Call) -> Reply:
    """``GET /api/v4/secrets`` (25*, 30, 44, 45*, 51*, 52, 53).

    References are expanded and imports included unless the query says otherwise (25b). A parameter that
    this revision does not know, such as ``include_imports``, is ignored.
    """
    fields = call.query_fields()
    wanted = Wanted(
        environment=call.query.get("environment", ""),
        path=clean_path(call.query.get("secretPath", "/")),
        recursive=fields.flag("recursive", default=False),
        expand=fields.flag("expandSecretReferences", default=True),
        imports=fields.flag("includeImports", default=True),
        values=fields.flag("viewSecretValue", default=True),
        personal=fields.flag("includePersonalOverrides", default=False),
    )
    fields.done()
    return _list(call, call.query.get("projectId", ""), wanted)


def list_v3(call: Call) -> Reply:
    """``GET /api/v3/secrets/raw``: the older names, by default nothing is expanded or imported (26, 26b)."""
    fields = call.query_fields()
    wanted = Wanted(
        environment=call.query.get("environment", ""),
        path=clean_path(call.query.get("secretPath", "/")),
        recursive=fields.flag("recursive", default=False),
        expand=fields.flag("expandSecretReferences", default=False),
        imports=fields.flag("include_imports", default=False),
        values=fields.flag("viewSecretValue", default=True),
        personal=False,
    )
    fields.done()
    project_id = call.query.get("workspaceId", "")
    slug = call.query.get("workspaceSlug")
    if slug and not project_id:
        project = call.world.project_by_slug(slug)
        project_id = project.id if project else slug
    return _list(call, project_id, wanted)


def _list(call: Call, project_id: str, wanted: Wanted) -> Reply:
    if not project_id or not wanted.environment:
        raise bad_request("Missing project id or environment")
    project = _project(call, project_id)
    permission = call.permission(project)
    permission.require("describeSecret", "secrets")
    folders = _folders(project, wanted)
    broken = call.view.breaks_list_of(project.environments[wanted.environment])
    if broken == "page":
        return Reply(ERROR_PAGE, 502, "text/html")
    if broken == "body":
        return Reply(b'{"error":"401"}')
    visible = _readable(call, permission, folders, wanted)
    secrets = _encode_all(call, permission, visible, wanted)
    imports = _imports(call, permission, folders, wanted) if wanted.imports else []
    content = b'{"secrets":[' + b",".join(secrets) + b'],"imports":' + msgspec.json.encode(imports) + b"}"
    return _with_etag(content, call.if_none_match)


def _with_etag(content: bytes, if_none_match: str | None) -> Reply:
    """The ETag is a digest of the body; the same one sent back answers 304 without a body (53b)."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    etag = f'"{digest}"'
    if if_none_match == etag:
        return Reply(b"", 304, headers={"etag": etag})
    return Reply(content, headers={"etag": etag})


def _project(call: Call, project_id: str) -> Project:
    project = call.view.project(project_id)
    if project is None:
        message = (
            f"Project with ID '{project_id}' not found during bot lookup. Are you sure you are using the "
            "correct project ID?"
        )
        raise not_found(message)
    return project


def _folders(project: Project, wanted: Wanted) -> list[Folder]:
    """The folders to list. Only a plain list answers 404 for a path; a missing environment always does."""
    if wanted.recursive:
        environment = environment_of(project, wanted.environment)
        below = "/" if wanted.path == "/" else wanted.path + "/"
        return [folder for path, folder in environment.folders.items() if path == wanted.path or path.startswith(below)]
    known = project.environments.get(wanted.environment)
    folder = known.folders.get(wanted.path) if known else None
    if folder is None:
        raise path_not_found(wanted.path, wanted.environment)
    return [folder]


def path_not_found(path: str, environment: str) -> ApiError:
    """404 for a path or environment that does not exist (45d, 45e)."""
    message = (
        f"Folder with path '{path}' in environment '{environment}' was not found. Please ensure the "
        "environment slug and secret path is correct."
    )
    return not_found(message, "SecretPathNotFound")


def _readable(call: Call, permission: Permission, folders: Iterable[Folder], wanted: Wanted) -> list[Secret]:
    """The secrets that the caller may see, by key in byte order.

    A secret that it may not describe is left out. One that it may describe but not read is left out of a recursive
    list; a plain list then refuses the call (51*).
    """
    found: list[Iterable[Secret]] = []
    for folder in folders:
        secrets = call.view.secrets_in(folder)
        where = {"environment": wanted.environment, "secretPath": folder.path}
        if permission.looks_at_each_secret:
            found.append(_readable_each(permission, secrets.values(), where, values=wanted.values))
            continue
        if not secrets or not permission.can("describeSecret", "secrets", **where):
            continue
        if wanted.values and not permission.can("readValue", "secrets", **where):
            if wanted.recursive:
                continue
            permission.require("readValue", "secrets", **where)
        found.append(secrets.values())
    return sorted(itertools.chain.from_iterable(found), key=lambda secret: secret.key)


def _readable_each(
    permission: Permission, secrets: Iterable[Secret], where: Mapping[str, str], *, values: bool
) -> list[Secret]:
    """The secrets that no rule by name or tag hides; the list leaves hidden ones out with status 200 [run]."""
    actions = ("describeSecret", "readValue") if values else ("describeSecret",)
    return [
        secret
        for secret in secrets
        if all(
            permission.can(
                action, "secrets", **where, secretName=secret.key, secretTags=tuple(tag.slug for tag in secret.tags)
            )
            for action in actions
        )
    ]


def _encode_all(call: Call, permission: Permission, secrets: Iterable[Secret], wanted: Wanted) -> list[bytes]:
    if not wanted.values or call.view.hides_values():
        return [msgspec.json.encode(hidden(shapes.secret_listed(secret))) for secret in secrets]
    caller = call.actor.id if wanted.personal else None
    out = []
    for secret in secrets:
        shown = secret.personal.get(caller, secret) if caller else secret
        if wanted.expand and "${" in shown.value:
            listed = shapes.secret_listed(shown)
            listed["secretValue"] = expand(shown, call.view, permission)
            out.append(msgspec.json.encode(listed))
        else:
            out.append(shown.encoded or shapes.encoded_secret(shown))
    return out


def hidden(shape: dict[str, Any]) -> dict[str, Any]:
    """The same secret with its value hidden (25e)."""
    return {**shape, "secretValue": shapes.HIDDEN, "secretValueHidden": True}


def _imports(call: Call, permission: Permission, folders: Iterable[Folder], wanted: Wanted) -> list[dict[str, Any]]:
    """The imported folders in order, each once, without those that do not exist (25b, 25c).

    Imported values are expanded even when the query says not to (25c). Imports leave out what the caller may not read
    (51b). Imports of imports are not followed: no capture shows one.
    """
    sources: dict[str, tuple[Folder, Environment]] = {}
    for folder in folders:
        for link in folder.imports:
            source = link.source.folders.get(link.path)
            if source is not None and link.source.deleted is None:
                sources.setdefault(source.id, (source, link.source))
    return [
        {
            "secretPath": source.path,
            "environment": environment.slug,
            "folderId": source.id,
            "secrets": [
                _imported(call, permission, secret, values=wanted.values)
                for secret in sorted(call.view.secrets_in(source).values(), key=lambda one: one.key)
                if may_read(secret, permission)
            ],
        }
        for source, environment in sources.values()
    ]


def _imported(call: Call, permission: Permission, secret: Secret, *, values: bool) -> dict[str, Any]:
    shape = shapes.secret_imported(secret)
    if not values or call.view.hides_values():
        return hidden(shape)
    shape["secretValue"] = expand(secret, call.view, permission)
    return shape


def get_one(call: Call) -> dict[str, Any]:
    """``GET /api/v4/secrets/{name}``, with ``version`` also an older one (31c, 31e, 32, 32c)."""
    fields = call.query_fields()
    values = fields.flag("viewSecretValue", default=True)
    expanded = fields.flag("expandSecretReferences", default=True)
    number = fields.number("version")
    fields.done()
    project_id, environment = call.query.get("projectId", ""), call.query.get("environment", "")
    if not project_id or not environment:
        raise bad_request("Missing project id or environment")
    project = _project(call, project_id)
    permission = call.permission(project)
    path = clean_path(call.query.get("secretPath", "/"))
    where = {"environment": environment, "secretPath": path}
    permission.require("readValue" if values else "describeSecret", "secrets", **where)
    known = project.environments.get(environment)
    folder = known.folders.get(path) if known else None
    if folder is None:
        raise path_not_found(path, environment)
    name = call.path["name"]
    secret = call.view.secrets_in(folder).get(name)
    if secret is None:
        raise not_found(f"Secret with name '{name}' not found")
    shape = _one(call, permission, secret, expanded=expanded) if number is None else _old(secret, number)
    return {"secret": shape if values and not call.view.hides_values() else hidden(shape)}


def _one(call: Call, permission: Permission, secret: Secret, *, expanded: bool) -> dict[str, Any]:
    shape = {
        **shapes.secret_core(secret),
        "secretValueHidden": False,
        "secretPath": secret.folder.path,
        "tags": shapes.tags_of(secret),
        "secretMetadata": secret.metadata,
    }
    if expanded:
        shape["secretValue"] = expand(secret, call.view, permission)
    return shape


def _old(secret: Secret, number: int) -> dict[str, Any]:
    for version in secret.versions:
        if version.version == number:
            return shapes.secret_at_version(secret, version)
    raise not_found(f"Secret with name '{secret.key}' not found")


def get_by_id(call: Call) -> dict[str, Any]:
    """``GET /api/v4/secrets/id/{id}`` (32b)."""
    secret = call.world.secrets.get(call.path["id"])
    if secret is None or secret.key not in call.view.secrets_in(secret.folder):
        raise not_found(f"Secret with ID '{call.path['id']}' not found")
    environment = secret.folder.environment
    permission = call.permission(environment.project)
    where = {"environment": environment.slug, "secretPath": secret.folder.path}
    permission.require("readValue", "secrets", **where)
    shape = {
        **shapes.secret_core(secret),
        "secretPath": secret.folder.path,
        "tags": shapes.tags_of(secret),
        "secretMetadata": secret.metadata,
    }
    return {"secret": {**shape, "secretValue": shapes.HIDDEN} if call.view.hides_values() else shape}


def versions(call: Call) -> dict[str, Any]:
    """``GET /api/v1/secret/{id}/secret-versions``, newest first, for people only (31, 31d)."""
    if call.actor.kind != "user":
        raise people_only(call.url)
    fields = call.query_fields()
    limit = fields.bounded("limit", default=20, least=1)
    offset = fields.bounded("offset", default=0, least=0)
    fields.done()
    secret = call.world.secrets.get(call.path["id"])
    if secret is None:
        raise not_found(f"Secret with ID '{call.path['id']}' not found")
    call.permission(secret.folder.environment.project)
    rows = [shapes.version_row(secret, version) for version in reversed(secret.versions)]
    return {"secretVersions": rows[offset : offset + limit]}
